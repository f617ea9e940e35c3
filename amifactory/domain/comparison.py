"""What changed from one build to another: what is in them, how they start, what their specs say."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING

from amifactory.domain.staleness import recipe_differences
from amifactory.domain.versions import deb_key, rpm_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from amifactory.domain.inventory import Inventory, Package, Port
    from amifactory.domain.model import Build, Recipe
    from amifactory.domain.versions import SortKey

_ORDER: Mapping[str, Callable[[str], SortKey]] = {"deb": deb_key, "rpm": rpm_key}


class ChangeKind(StrEnum):
    """How something changed; ``up`` and ``down`` are said of versions."""

    UP = "up"
    DOWN = "down"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is not what it was.

    Attributes:
        before: Its version, digest, outcome or the like; None when it is new.
        after: None when it is gone.
    """

    name: str
    kind: ChangeKind
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One thing measured on both builds; None where it was not."""

    name: str
    before: float | None
    after: float | None

    @property
    def percent(self) -> float | None:
        """Returns how much more the later build has or takes; None where that cannot be said."""
        if not self.before or self.after is None:
            return None
        return 100 * (self.after - self.before) / self.before


@dataclass(frozen=True, kw_only=True)
class BuildFacts:
    """What is known of a build.

    Attributes:
        recipes: Its own, then those of the builds it stands on; as far as they are kept.
        tests: Test to outcome, as its last verification found.
        cold_start: Part of the start to median seconds.
        disk_used: Bytes on the root file system.
        instance_type: What it was verified on.
    """

    build: Build
    inventory: Inventory
    recipes: tuple[Recipe, ...]
    tests: Mapping[str, str]
    cold_start: Mapping[str, float | None]
    disk_used: float | None
    instance_type: str | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that differs between two builds, and what was measured on both.

    Attributes:
        system: The distribution and the kernel.
        recipe: What differs in what they were made from, in words; empty for builds of different images.
    """

    before: BuildFacts
    after: BuildFacts
    packages: tuple[Change, ...]
    tools: tuple[Change, ...]
    container_images: tuple[Change, ...]
    system: tuple[Change, ...]
    users: tuple[Change, ...]
    ports: tuple[Change, ...]
    units: tuple[Change, ...]
    tests: tuple[Change, ...]
    recipe: tuple[str, ...]
    cold_start: tuple[Measurement, ...]
    disk_used: Measurement

    @property
    def sections(self) -> Mapping[str, tuple[Change, ...]]:
        """Returns the changes under the names people know them by, in the order they read them."""
        return {
            "packages": self.packages,
            "tools": self.tools,
            "container images": self.container_images,
            "system": self.system,
            "users": self.users,
            "ports": self.ports,
            "units": self.units,
            "spec": self.tests,
        }

    @property
    def is_different(self) -> bool:
        """Returns whether anything but a measurement differs: no two runs take the same time."""
        return any(self.sections.values()) or bool(self.recipe)


def compare(before: BuildFacts, after: BuildFacts) -> Comparison:
    """Returns what changed from one build to another."""
    old, new = before.inventory, after.inventory
    return Comparison(
        before=before,
        after=after,
        packages=_package_changes(old.packages, new.packages),
        tools=_changes(
            ((tool.name, tool.version) for tool in old.tools),
            ((tool.name, tool.version) for tool in new.tools),
            order=deb_key,
        ),
        container_images=_changes(
            ((image.reference, image.content) for image in old.container_images),
            ((image.reference, image.content) for image in new.container_images),
        ),
        system=_changes(_system(old), _system(new)),
        users=_changes(_users(old), _users(new)),
        ports=_changes(_ports(old), _ports(new)),
        units=_changes(((unit, "enabled") for unit in old.units), ((unit, "enabled") for unit in new.units)),
        tests=_test_changes(before.tests, after.tests),
        recipe=tuple(_recipe_changes(before, after)),
        cold_start=tuple(_measurements(before.cold_start, after.cold_start)),
        disk_used=Measurement(name="disk used", before=before.disk_used, after=after.disk_used),
    )


def _changes(
    before: Iterable[tuple[str, str]],
    after: Iterable[tuple[str, str]],
    *,
    order: Callable[[str], SortKey] | None = None,
) -> tuple[Change, ...]:
    """Returns how the values of each name changed; what has several at a time is matched in order."""
    old, new = _by_name(before), _by_name(after)
    return tuple(
        Change(name=name, kind=_kind(gone, come, order), before=gone, after=come)
        for name in sorted(old.keys() | new.keys())
        for gone, come in zip_longest(
            sorted(old[name] - new[name], key=order), sorted(new[name] - old[name], key=order)
        )
    )


def _by_name(pairs: Iterable[tuple[str, str]]) -> defaultdict[str, set[str]]:
    values: defaultdict[str, set[str]] = defaultdict(set)
    for name, value in pairs:
        values[name].add(value)
    return values


def _kind(before: str | None, after: str | None, order: Callable[[str], SortKey] | None) -> ChangeKind:
    if before is None:
        return ChangeKind.NEW
    if after is None:
        return ChangeKind.GONE
    if order is None or order(before) == order(after):
        return ChangeKind.CHANGED
    return ChangeKind.UP if order(before) < order(after) else ChangeKind.DOWN


def _package_changes(before: Sequence[Package], after: Sequence[Package]) -> tuple[Change, ...]:
    """Names a package with its architecture where it comes in several."""
    architectures = _by_name((package.name, package.architecture) for package in (*before, *after))
    managers = {package.manager for package in (*before, *after)}

    def named(packages: Iterable[Package]) -> Iterator[tuple[str, str]]:
        for package in packages:
            is_alone = len(architectures[package.name]) == 1
            yield package.name if is_alone else f"{package.name}:{package.architecture}", package.version

    return _changes(named(before), named(after), order=_ORDER[managers.pop()] if len(managers) == 1 else None)


def _test_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """Returns nothing where the specs of one build did not come to run: that is for its verdict to say."""
    return _changes(before.items(), after.items()) if before and after else ()


def _system(inventory: Inventory) -> Iterator[tuple[str, str]]:
    yield "distribution", inventory.os.name
    yield "kernel", inventory.kernel


def _users(inventory: Inventory) -> Iterator[tuple[str, str]]:
    for user in inventory.users:
        yield user.name, f"uid {user.uid}, {user.shell}"


def _ports(inventory: Inventory) -> Iterator[tuple[str, str]]:
    for port in inventory.ports:
        number = "ephemeral" if inventory.is_ephemeral(port) else port.port
        yield f"{port.protocol} {_in_brackets(port)}:{number}", port.program or "unknown program"


def _in_brackets(port: Port) -> str:
    return f"[{port.address}]" if ":" in port.address else port.address


def _recipe_changes(before: BuildFacts, after: BuildFacts) -> Iterator[str]:
    """Yields what differs in the recipes, the build's own first, and each thing once."""
    is_same = before.build.fingerprint == after.build.fingerprint
    if is_same or before.build.target.image != after.build.target.image:
        return
    if not before.recipes or not after.recipes:
        yield "recipe changed"
        return
    said: dict[str, str] = {}
    earlier = {recipe.variables["image_name"]: recipe for recipe in before.recipes}
    for recipe in after.recipes:
        image = recipe.variables["image_name"]
        whose = "" if image == after.build.target.image else f"{image}: "
        for text in recipe_differences(earlier.get(image, recipe), recipe):
            said.setdefault(text, f"{whose}{text}")
    yield from said.values()
    old, new = before.recipes[-1].parent, after.recipes[-1].parent
    if old != new and old.startswith("ami-") and new.startswith("ami-"):
        yield f"source AMI {new}, not {old}"
    elif not said:
        yield "parent changed"


def _measurements(
    before: Mapping[str, float | None], after: Mapping[str, float | None]
) -> Iterator[Measurement]:
    for name in dict.fromkeys((*after, *before)):
        yield Measurement(name=name, before=before.get(name), after=after.get(name))
