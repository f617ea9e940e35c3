"""What an image has from those it is built on: its source AMI, specs, secrets, drain settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from amifactory.config.models import Configuration, Drain, Image, Secret, SourceAmiFilter


def lineage(configuration: Configuration, image: Image) -> tuple[Image, ...]:
    """Returns the image, its parent, and so on to the one built on a source AMI."""
    found = [image]
    while found[-1].parent:
        found.append(configuration.images[found[-1].parent])
    return tuple(found)


def root_source(configuration: Configuration, image: Image) -> SourceAmiFilter:
    """Returns the source AMI block that an image's first ancestor is built on."""
    source = lineage(configuration, image)[-1].source
    assert source is not None  # noqa: S101 - loading lets no image through that has neither
    return source


def shared_folder(configuration: Configuration) -> Path:
    """Returns the folder with what every image needs."""
    return configuration.root / "images" / "_shared"


def hooks_folder(configuration: Configuration) -> Path:
    """Returns the folder with what is baked into every image."""
    return configuration.root / "hooks" / "instance"


def spec_folders(configuration: Configuration, image: Image) -> tuple[Path, ...]:
    """Returns the folders of the specs that decide an image's verdict: shared, ancestors', its own."""
    ancestors = reversed(lineage(configuration, image))
    owners = (shared_folder(configuration), *(ancestor.folder for ancestor in ancestors))
    return tuple(folder for folder in (owner / "spec" for owner in owners) if folder.is_dir())


def secrets_of(configuration: Configuration, image: Image) -> tuple[Secret, ...]:
    """Returns the secrets an instance of the image has: its own, and its ancestors' at other paths."""
    by_path = {
        secret.path: secret
        for ancestor in reversed(lineage(configuration, image))
        for secret in ancestor.secrets
    }
    return tuple(by_path[path] for path in sorted(by_path))


def baked_secrets(configuration: Configuration, image: Image) -> tuple[str, ...]:
    """Returns the names of the secrets that are in the image's AMI.

    One that an ancestor baked stays in the AMI's history, whatever a descendant does at its path.
    """
    ancestors = lineage(configuration, image)
    names = {secret.name for ancestor in ancestors for secret in ancestor.secrets if secret.when == "build"}
    return tuple(sorted(names))


def drain_of(configuration: Configuration, image: Image) -> Drain | None:
    """Returns the drain block in force: the image's own, or its nearest ancestor's."""
    return next((ancestor.drain for ancestor in lineage(configuration, image) if ancestor.drain), None)
