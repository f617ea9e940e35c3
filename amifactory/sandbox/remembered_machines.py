"""Machines that are only remembered: the sandbox's AWS without Docker, for tests and benchmarks of calls."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from amifactory.sandbox.driver import DriverError, Launch, ServerSettings
from amifactory.sandbox.state import SandboxState

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_SECONDS = 5
REGION = "eu-central-1"
SOURCE_AMI = "ami-0debdebdebdebdeb0"
NETWORK = IPv4Network("10.99.0.0/20")


@dataclass(kw_only=True)
class RememberedMachines:
    """Remembers what was asked of it, as `amifactory.sandbox.driver.InstanceDriver`.

    Attributes:
        asked: Method and arguments of each call.
        launched: By instance id.
        broken: Names of methods that shall fail.
        gate: Closed, it keeps machines from finishing.
    """

    subnet: IPv4Network = NETWORK
    asked: list[tuple[str, ...]] = field(default_factory=list)
    launched: dict[str, Launch] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    gate: threading.Event = field(default_factory=threading.Event)
    powered_off: Callable[[str], None] | None = None

    def launch(self, launch: Launch) -> None:
        """Remembers a launch."""
        self.launched[launch.instance_id] = launch
        self._do("launch", launch.instance_id, launch.image_id)

    def stop(self, instance_id: str) -> None:
        """Remembers a stop."""
        self._do("stop", instance_id)

    def start(self, instance_id: str) -> None:
        """Remembers a start."""
        self._do("start", instance_id)

    def reboot(self, instance_id: str) -> None:
        """Remembers a reboot."""
        self._do("reboot", instance_id)

    def terminate(self, instance_id: str) -> None:
        """Remembers a termination."""
        self._do("terminate", instance_id)

    def snapshot(self, instance_id: str, image_id: str) -> None:
        """Remembers a snapshot."""
        self._do("snapshot", instance_id, image_id)

    def copy_snapshot(self, source_image_id: str, image_id: str) -> None:
        """Remembers a copy."""
        self._do("copy_snapshot", source_image_id, image_id)

    def delete_snapshot(self, image_id: str) -> None:
        """Remembers that one was deleted."""
        self._do("delete_snapshot", image_id)

    def console_output(self, instance_id: str) -> str:
        """Returns a console that tells whose it is."""
        return f"console of {instance_id}\n"

    def watch(self, powered_off: Callable[[str], None]) -> None:
        """Keeps whom to tell."""
        self.powered_off = powered_off

    def _do(self, what: str, *about: str) -> None:
        self.gate.wait(WAIT_SECONDS)
        self.asked.append((what, *about))
        if what in self.broken:
            raise DriverError(f"cannot {what}")


def local_settings() -> ServerSettings:
    """Returns settings for a server on free ports of the loopback interface, with example credentials."""
    loopback, port = IPv4Address("127.0.0.1"), free_port()
    return ServerSettings(
        addresses=(loopback,),
        port=port,
        imds_port=free_port(),
        gateway=loopback,
        instance_endpoint=f"http://10.99.0.1:{port}",
        region=REGION,
        state_bucket="example-amifactory-state",
        instance_profile="amifactory-sandbox",
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",  # noqa: S106 - AWS's own example
        reserved=16,
        source_ami_id=SOURCE_AMI,
        source_ami_name="debian-12-amd64-20261121-1",
        architecture="x86_64",
    )


def local_state(settings: ServerSettings) -> SandboxState:
    """Returns what such a server tells those who use it; it has no registry and no instances' network."""
    endpoint = f"http://127.0.0.1:{settings.port}"
    return SandboxState(
        id="remembered",
        pid=0,
        endpoint=endpoint,
        instance_endpoint=endpoint,
        network="",
        subnet="",
        registry="",
        instance_registry="",
        region=settings.region,
        state_bucket=settings.state_bucket,
        access_key_id=settings.access_key_id,
        secret_access_key=settings.secret_access_key,
        source_ami_id=settings.source_ami_id,
        instance_profile=settings.instance_profile,
    )


def free_port() -> int:
    """Returns a port of the loopback interface that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
