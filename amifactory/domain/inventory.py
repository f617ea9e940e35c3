"""What a verified instance has: the facts that its SBOM keeps and that two builds are compared by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class OperatingSystem:
    """A distribution, as os-release(5) has it: ``debian``, ``12``, ``Debian GNU/Linux 12 (bookworm)``."""

    id: str
    version: str
    name: str


@dataclass(frozen=True, kw_only=True, order=True)
class Package:
    """A package of the distribution; ``manager`` is ``deb`` or ``rpm``, and says how versions are ordered."""

    name: str
    version: str
    architecture: str
    manager: str


@dataclass(frozen=True, kw_only=True, order=True)
class Tool:
    """A program installed as its maker ships it, not as a package."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True, order=True)
class ContainerImage:
    """A container image in Docker's store.

    Attributes:
        reference: Its name and tag, as Docker shows them.
        digest: Of its manifest in the registry; empty when it came from none.
        image_id: Digest of its configuration.
        size: Bytes, unpacked.
    """

    reference: str
    digest: str
    image_id: str
    size: int

    @property
    def content(self) -> str:
        """Returns the digest that changes when its content does."""
        return self.digest or self.image_id


@dataclass(frozen=True, kw_only=True, order=True)
class User:
    """A local user."""

    name: str
    uid: int
    shell: str


@dataclass(frozen=True, kw_only=True, order=True)
class Port:
    """A listening port.

    Attributes:
        protocol: ``tcp`` or ``udp``.
        address: Such as ``0.0.0.0``; ``%eth0`` for a socket bound to an interface and its address.
        program: Who listens; empty when it is no process of the instance.
    """

    protocol: str
    address: str
    port: int
    program: str


_Sortable = TypeVar("_Sortable", Package, Tool, ContainerImage, User, Port, str)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All of it, sorted, each thing once.

    Attributes:
        kernel: Release of the running kernel.
        units: Names of the enabled systemd units.
        ephemeral_ports: First and last port that the kernel gives to programs that ask for any.
        problems: What could not be listed, and why.
    """

    os: OperatingSystem
    kernel: str
    packages: tuple[Package, ...] = ()
    tools: tuple[Tool, ...] = ()
    container_images: tuple[ContainerImage, ...] = ()
    users: tuple[User, ...] = ()
    ports: tuple[Port, ...] = ()
    units: tuple[str, ...] = ()
    ephemeral_ports: tuple[int, int] | None = None
    problems: tuple[str, ...] = ()

    def is_ephemeral(self, port: Port) -> bool:
        """Returns whether the kernel chose the number, so that it says nothing of the image."""
        return (
            self.ephemeral_ports is not None
            and self.ephemeral_ports[0] <= port.port <= self.ephemeral_ports[1]
        )


def read_inventory(found: Mapping[str, Any]) -> Inventory:
    """Returns what the probe ``inventory`` found."""
    first_and_last = found["ephemeral_ports"]
    return Inventory(
        os=OperatingSystem(**found["os"]),
        kernel=found["kernel"],
        packages=_unique(Package(**package) for package in found["packages"]),
        tools=_unique(Tool(**tool) for tool in found["tools"]),
        container_images=_unique(ContainerImage(**image) for image in found["container_images"]),
        users=_unique(User(**user) for user in found["users"]),
        ports=_unique(Port(**port) for port in found["ports"]),
        units=_unique(found["units"]),
        ephemeral_ports=(first_and_last[0], first_and_last[1]) if first_and_last else None,
        problems=_unique(found["problems"]),
    )


def _unique(found: Iterable[_Sortable]) -> tuple[_Sortable, ...]:
    return tuple(sorted(set(found)))
