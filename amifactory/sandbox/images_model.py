"""AMIs and their snapshots as moto objects, with what moto's own leave out or make up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot

if TYPE_CHECKING:
    from datetime import datetime

LAUNCHES_TOLD_AFTER = timedelta(hours=24)
"""Image, LastLaunchedTime: "there is a 24-hour delay before that usage is reported"."""


class Protection(StrEnum):
    """Whether an AMI can be deregistered: Image, DeregistrationProtection."""

    NONE = "disabled"
    WITH_COOLDOWN = "enabled-with-cooldown"
    WITHOUT_COOLDOWN = "enabled-without-cooldown"


@dataclass(frozen=True, kw_only=True)
class RootVolume:
    """The root volume an AMI gives its instances. Size in GiB."""

    size: int = 8
    kind: str = "gp3"
    encrypted: bool = False
    kms_key_id: str | None = None


class SandboxSnapshot(Snapshot):
    """A snapshot that is not completed before its copy of the machine's disks is."""

    __module__ = "moto.ec2.models.elastic_block_store"  # moto's metaclass finds the service here

    @property
    def progress(self) -> str:
        """How far it is, as EC2 writes it."""
        return "100%" if self.status == "completed" else "0%"


class SandboxAmi(Ami):
    """An AMI backed by something the driver can boot.

    Attributes:
        driver_image: Id by which the driver knows what to boot.
        root_volume: What its one block device mapping says.
        state_reason: Why it failed, if it did.
        deprecate_at: From when on it is deprecated, UTC.
        protected_until: Until when it stays protected after protection with a cooldown was disabled.
        launched_at: When instances were launched from it.
    """

    __module__ = "moto.ec2.models.amis"

    def __init__(
        self,
        ec2_backend: Any,
        ami_id: str,
        *,
        name: str,
        description: str,
        architecture: str | None,
        root_device_name: str,
        root_volume: RootVolume,
        driver_image: str,
        source: tuple[str, str] | None = None,
        instance: Any = None,
        owner_id: str | None = None,
        owner_alias: str | None = None,
        public: bool = False,
        state: str = "pending",
        snapshot_description: str | None = None,
    ) -> None:
        super().__init__(
            ec2_backend,
            ami_id,
            instance=instance,
            name=name,
            description=description,
            owner_id=owner_id,
            owner_alias=owner_alias,
            public=public,
            state=state,
            root_device_name=root_device_name,
            root_device_type="ebs",
            region_name=ec2_backend.describe_availability_zones()[0].name,
            virtualization_type="hvm",
            architecture=architecture,
            hypervisor="xen",
            boot_mode="uefi-preferred",
        )
        self.architecture = architecture
        self.virtualization_type = "hvm"
        self.image_location = f"{self.owner_id}/{name}"
        self.root_volume = root_volume
        self.driver_image = driver_image
        self.source_image_id = source[0] if source else None
        self.source_image_region = source[1] if source else None
        self.imds_support: str | None = None
        self.state_reason: dict[str, str] | None = None
        self.deprecate_at: datetime | None = None
        self.protection = Protection.NONE
        self.protected_until: datetime | None = None
        self.launched_at: list[datetime] = []
        self._take_snapshot(snapshot_description)

    def _take_snapshot(self, description: str | None) -> None:
        """Replaces the snapshot moto made up."""
        made_up = self.ebs_snapshot
        self.ec2_backend.snapshots.pop(made_up.id)
        made_up.volume.size = self.root_volume.size
        self.ebs_snapshot = SandboxSnapshot(
            self.ec2_backend,
            made_up.id,
            made_up.volume,
            description or made_up.description,
            encrypted=self.root_volume.encrypted,
            kms_key_id=self.root_volume.kms_key_id,
            owner_id=self.owner_id,
            from_ami=self.id,
        )
        self.ebs_snapshot.status = "completed" if self.state == "available" else "pending"
        self.ec2_backend.snapshots[made_up.id] = self.ebs_snapshot

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The root volume's mapping: a sandbox AMI has no other."""
        ebs = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": self.root_volume.size,
            "VolumeType": self.root_volume.kind,
            "DeleteOnTermination": True,
            "Encrypted": self.root_volume.encrypted,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]

    def is_protected(self, now: datetime) -> bool:
        """Returns whether it cannot be deregistered now."""
        cooling = self.protected_until is not None and self.protected_until > now
        return self.protection != Protection.NONE or cooling

    def told_protection(self, now: datetime) -> str:
        """Returns DeregistrationProtection as EC2 tells it."""
        if self.protection == Protection.NONE and self.protected_until and self.is_protected(now):
            return f"disabled after {self.protected_until:%Y-%m-%dT%H:%M:%S.000Z}"
        return self.protection.value

    def told_launch(self, now: datetime) -> str | None:
        """Returns LastLaunchedTime as EC2 tells it: of launches a day ago and before."""
        told = [moment for moment in self.launched_at if moment <= now - LAUNCHES_TOLD_AFTER]
        return f"{max(told):%Y-%m-%dT%H:%M:%SZ}" if told else None

    def finish(self, problem: str | None) -> None:
        """Makes the AMI available, or failed with the reason EC2 gives for its own faults."""
        if problem is None:
            self.state, self.ebs_snapshot.status = "available", "completed"
            return
        self.state, self.ebs_snapshot.status = "failed", "error"
        self.state_reason = {"Code": "Server.InternalError", "Message": problem}
