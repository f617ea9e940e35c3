"""The boundary inside the sandbox: what the AWS API side asks of the machines, and nothing of how.

The API side (moto with its wrong pieces put right) knows instance ids, AMI ids and addresses; the
driver turns them into machines. Tests of the API side pass a fake driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from amifactory.errors import AmifactoryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Address, IPv4Network


class DriverError(AmifactoryError):
    """The machinery could not do what an instance or image needed."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """An instance to boot: which AMI, who it is on the sandbox's network, and its tag ``Name``."""

    instance_id: str
    image_id: str
    private_ip: str
    hostname: str
    name: str


class InstanceDriver(Protocol):
    """Runs instances and keeps snapshots; every method blocks until done or raises `DriverError`.

    Methods may be called from several threads at once, for different instances. Stopping,
    terminating or deleting what is already gone is no error.
    """

    subnet: IPv4Network
    """Where instances get their addresses; the API side makes it the default VPC's range."""

    def launch(self, launch: Launch) -> None:
        """Boots a new instance; returns once its sshd answers, or has had time enough to."""

    def stop(self, instance_id: str) -> None:
        """Shuts the instance down, keeping its disks."""

    def start(self, instance_id: str) -> None:
        """Boots a stopped instance again, at the same address."""

    def reboot(self, instance_id: str) -> None:
        """Shuts down and boots."""

    def terminate(self, instance_id: str) -> None:
        """Removes the instance and its disks."""

    def snapshot(self, instance_id: str, image_id: str) -> None:
        """Keeps the instance's disks, Docker's included, as what ``image_id`` boots from."""

    def copy_snapshot(self, source_image_id: str, image_id: str) -> None:
        """Makes ``image_id`` boot from the same disks as ``source_image_id``."""

    def delete_snapshot(self, image_id: str) -> None:
        """Removes what ``image_id`` boots from."""

    def console_output(self, instance_id: str) -> str:
        """Returns what the instance wrote to its console."""

    def watch(self, powered_off: Callable[[str], None]) -> None:
        """Returns at once; then calls back, from any thread, with each instance that stopped by itself."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What the AWS server needs to know, chosen by the machinery before it starts.

    Attributes:
        addresses: Where to listen, nowhere else: loopback and the gateway of the instances' network.
        port: The AWS endpoint's, at every address.
        imds_port: The instance metadata service's, at ``gateway`` only; what instances send to
            169.254.169.254:80 arrives there.
        instance_endpoint: The AWS endpoint as instances reach it.
        state_bucket: Made at start, as is ``instance_profile`` with a role of the same name.
        reserved: How many addresses at the start of the subnet belong to the sandbox itself.
        source_ami_id: Id of the Debian 12 AMI the driver boots from without a snapshot having been made.
        source_ami_name: Its name, as Debian's cloud team writes them.
    """

    addresses: tuple[IPv4Address, ...]
    port: int
    imds_port: int
    gateway: IPv4Address
    instance_endpoint: str
    region: str
    state_bucket: str
    instance_profile: str
    access_key_id: str
    secret_access_key: str
    reserved: int
    source_ami_id: str
    source_ami_name: str
    architecture: str
