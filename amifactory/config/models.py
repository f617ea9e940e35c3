"""The whole configuration, as the rest of amifactory takes it; its blocks stand in the modules beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from amifactory.config.factory_models import BuildSettings, Factory, FactoryFile, Registry
from amifactory.config.fields import Model
from amifactory.config.fleet_models import Channel, Fleet, Health, RefreshPreferences, SandboxGroup
from amifactory.config.image_models import Drain, Image, Secret, SourceAmiFilter, Verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "BuildSettings",
    "Channel",
    "Configuration",
    "Drain",
    "Factory",
    "FactoryFile",
    "Fleet",
    "Health",
    "Image",
    "Model",
    "RefreshPreferences",
    "Registry",
    "SandboxGroup",
    "Secret",
    "SourceAmiFilter",
    "Verify",
]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A factory, its images, channels and fleets, valid together.

    Attributes:
        root: The folder of ``factory.hcl``.
        images: By name, in the order of their names.
        channels: In the order in which a release goes through them.
        fleets: By name, in the order of the file.
    """

    root: Path
    factory: Factory
    images: Mapping[str, Image]
    channels: tuple[Channel, ...]
    fleets: Mapping[str, Fleet]

    @property
    def parents(self) -> Mapping[str, str | None]:
        """Each image's parent image, as `amifactory.domain.graph` takes it."""
        return MappingProxyType({name: image.parent for name, image in self.images.items()})

    def for_sandbox(self, *, registry_mirror: str, instance_profile: str) -> Configuration:
        """Returns it without what exists in the account only: network, key, mirrors, registries, other roles.

        The sandbox has distribution packages and nothing else of the internet, so builds there are offline.
        """
        given = self.factory.build
        build = BuildSettings(
            ssh_timeout=given.ssh_timeout,
            timeout=given.timeout,
            jobs=given.jobs,
            volume_size=given.volume_size,
            offline=True,
            registry_mirror=registry_mirror,
            instance_profile=instance_profile,
        )
        return replace(self, factory=self.factory.model_copy(update={"build": build}))
