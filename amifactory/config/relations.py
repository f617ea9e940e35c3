"""What has to hold between images, and between the keys of one image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.config.schema import did_you_mean
from amifactory.domain.graph import find_cycle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from amifactory.config.image_models import Image
    from amifactory.config.reader import Reader
    from amifactory.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An ``image.hcl`` as read; ``image`` is None when it is wrong in itself."""

    reader: Reader
    image: Image | None

    @property
    def parent(self) -> str | None:
        """The parent it names, if that is a name at all."""
        parent = self.reader.data.get("parent")
        return parent if isinstance(parent, str) else None


def check_relations(drafts: Mapping[str, Draft], *, names: Sequence[str]) -> list[Problem]:
    """Returns what is wrong between images.

    Args:
        drafts: The images whose file could be parsed.
        names: All images, also those whose file could not.
    """
    for name, draft in drafts.items():
        _check_origin(name, draft, names)
        if draft.image is not None:
            _check_source(draft.image, draft.reader)
            _check_repeats(draft.image, draft.reader)
            _check_instance_type(draft.image, draft.reader)
            parent = drafts.get(draft.image.parent or "")
            if parent is not None and parent.image is not None:
                _check_architectures(draft.image, draft.reader, parent.image)
    _check_cycles(drafts)
    _check_inherited_secrets(drafts)
    return [problem for draft in drafts.values() for problem in draft.reader.problems]


def _check_origin(name: str, draft: Draft, names: Sequence[str]) -> None:
    reader = draft.reader
    on_parent, on_source = reader.has("parent"), reader.has("source_ami", 0)
    if on_parent and on_source:
        reader.complain("both parent and source_ami are given; an image is built on one of them", "parent")
    elif not on_parent and not on_source:
        reader.complain("neither parent nor source_ami is given; an image is built on one of them")
    if draft.parent is not None and draft.parent not in names:
        near = did_you_mean(draft.parent, (other for other in names if other != name))
        reader.complain(f'parent "{draft.parent}" is not an image{near}', "parent")


def _check_source(image: Image, reader: Reader) -> None:
    if image.os is not None and image.source is None:
        if image.parent is not None:
            reader.complain('"os" chooses between source_ami blocks; an image with a parent has none', "os")
            return
        known = [source.os for source in image.source_amis]
        reader.complain(f'os "{image.os}" has no source_ami block{did_you_mean(image.os, known)}', "os")
    if image.source is not None:
        for architecture in image.architectures:
            if architecture not in image.source.name:
                message = f'source_ami "{image.source.os}" names no AMI for architecture "{architecture}"'
                reader.complain(message, "architectures")


def _check_architectures(image: Image, reader: Reader, parent: Image) -> None:
    for architecture in image.architectures:
        if architecture not in parent.architectures:
            message = f'parent "{parent.name}" is not built for architecture "{architecture}"'
            reader.complain(message, "architectures" if reader.has("architectures") else "parent")


def _check_repeats(image: Image, reader: Reader) -> None:
    given: dict[str, Iterable[str]] = {
        "architectures": image.architectures,
        "prepull": image.prepull,
        "secret": (secret.path for secret in image.secrets),
    }
    for key, values in given.items():
        for value, times in Counter(values).items():
            if times > 1:
                reader.complain(f'{key} has "{value}" twice', key, 1)


def _check_inherited_secrets(drafts: Mapping[str, Draft]) -> None:
    """Complains of secrets that share a name along a line of images: state and messages go by it."""
    for draft in drafts.values():
        for number, secret in enumerate(draft.image.secrets if draft.image else ()):
            for ancestor in _ancestors(draft, drafts):
                if any(other.name == secret.name and other.path != secret.path for other in ancestor.secrets):
                    where = f'image "{ancestor.name}", which this one is built on, at another path'
                    message = f'secret "{secret.name}" is also one of {where}'
                    draft.reader.complain(message, "secret", number)


def _ancestors(draft: Draft, drafts: Mapping[str, Draft]) -> Iterator[Image]:
    seen: set[str] = set()
    name = draft.parent
    while name is not None and name in drafts and name not in seen:
        seen.add(name)
        image = drafts[name].image
        if image is not None:
            yield image
        name = drafts[name].parent


def _check_instance_type(image: Image, reader: Reader) -> None:
    if len(set(image.architectures)) == 1:
        return
    for place, value in (
        (("instance_type",), reader.data.get("instance_type")),
        (("verify", "instance_type"), reader.data.get("verify", {}).get("instance_type")),
    ):
        if isinstance(value, str):
            every = ", ".join(f'{architecture} = "…"' for architecture in image.architectures)
            reader.complain(f'"{value}" has one architecture; write instance_type = {{ {every} }}', *place)


def _check_cycles(drafts: Mapping[str, Draft]) -> None:
    parents = {name: draft.parent for name, draft in drafts.items()}
    while cycle := find_cycle(parents):
        message = f"parents go in a circle: {' -> '.join(cycle)}"
        drafts[cycle[0]].reader.complain(message, "parent")
        parents = {name: parent for name, parent in parents.items() if name not in cycle}
