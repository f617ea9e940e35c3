"""CreateImage, CopyImage and DeregisterImage: AMIs that hold what the machine had on its disks."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends
from moto.ec2.utils import random_ami_id

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.ec2_disks import check_size, root_settings
from amifactory.sandbox.ec2_world import check_id, ec2_error, tags_of
from amifactory.sandbox.images_model import RootVolume, SandboxAmi, SandboxSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amifactory.sandbox.ec2_world import World

log = logging.getLogger(__name__)

DEBIAN = "136693071363"
"""The account that publishes Debian's AMIs: https://wiki.debian.org/Cloud/AmazonEC2Image."""

NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
"""Names CreateImage takes: EC2 API reference, CreateImage, parameter Name."""


def source_ami_id(world: World, region: str) -> str:
    """Returns the source AMI's id in a Region: AMI ids differ between Regions."""
    known = world.settings.source_ami_id
    if region == world.settings.region:
        return known
    return f"ami-{sum(map(ord, region)):05x}{known.removeprefix('ami-')[5:]}"


class ImagesMixin:
    """Part of the EC2 backend: the AMIs of one account and Region."""

    world: World

    def _load_amis(self: Any) -> None:
        """Registers the one AMI that is there before anything was built: Debian's."""
        settings = self.world.settings
        ami_id = source_ami_id(self.world, self.region_name)
        self.amis[ami_id] = SandboxAmi(
            self,
            ami_id,
            name=settings.source_ami_name,
            description="Debian 12 for the amifactory sandbox: a systemd container, not a virtual machine",
            architecture=settings.architecture,
            root_device_name="/dev/xvda",
            root_volume=RootVolume(),
            driver_image=settings.source_ami_id,
            owner_id=DEBIAN,
            public=True,
            state="available",
        )

    def image(self: Any, ami_id: str) -> SandboxAmi:
        """Returns a registered AMI; raises InvalidAMIID.Malformed or .NotFound."""
        check_id(ami_id, prefix="ami", code="InvalidAMIID")
        ami = self.amis.get(ami_id)
        if ami is None:
            raise ec2_error("InvalidAMIID.NotFound", f"The image id '[{ami_id}]' does not exist")
        return ami  # type: ignore[no-any-return]

    def own_image(self: Any, ami_id: str) -> SandboxAmi:
        """Returns a registered AMI of this account; only those may be changed."""
        ami: SandboxAmi = self.image(ami_id)
        if ami.owner_id != self.account_id:
            raise ec2_error("AuthFailure", f"Not authorized for image:{ami_id}")
        return ami

    def check_image_name(self: Any, name: str | None) -> None:
        """Raises unless ``name`` is well formed and no AMI of the account has it."""
        if not name or not NAME.fullmatch(name):
            raise ec2_error(
                "InvalidAMIName.Malformed",
                "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
                "'(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'",
            )
        for ami in self.amis.values():
            if ami.name == name and ami.owner_id == self.account_id:
                raise ec2_error(
                    "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {ami.id}"
                )

    def create_image(
        self: Any,
        instance_id: str,
        name: str,
        description: str,
        tag_specifications: list[dict[str, Any]],
        mappings: Sequence[dict[str, Any]] = (),
    ) -> SandboxAmi:
        """Registers a pending AMI and has the driver snapshot the instance's disks for it.

        An AMI of an instance whose own AMI says ImdsSupport says it too. AWS's reference has no word on it;
        it was seen: https://github.com/hashicorp/packer-plugin-amazon/issues/472.
        """
        instance = self.get_instance(instance_id)
        if instance.state not in {"running", "stopping", "stopped"}:
            raise ec2_error("IncorrectState", f"Instance '{instance_id}' is not 'running' or 'stopped'")
        self.check_image_name(name)
        ami_id = random_ami_id()
        ami = SandboxAmi(
            self,
            ami_id,
            name=name,
            description=description,
            architecture=instance.architecture,
            root_device_name=instance.root_device_name,
            root_volume=changed_volume(root_volume_of(instance), mappings, instance.root_device_name),
            driver_image=ami_id,
            source=(instance.image_id, self.region_name),
            instance=instance,
            snapshot_description=f"Created by CreateImage({instance_id}) for {ami_id}",
        )
        ami.imds_support = instance.imds_support
        self.register_image_object(ami, tag_specifications)
        return ami

    def copy_image_as(
        self: Any, source: SandboxAmi, *, source_region: str, name: str, description: str, volume: RootVolume
    ) -> SandboxAmi:
        """Registers a pending copy of an AMI, perhaps another Region's."""
        self.check_image_name(name)
        ami_id = random_ami_id()
        ami = SandboxAmi(
            self,
            ami_id,
            name=name,
            description=description,
            architecture=source.architecture,
            root_device_name=source.root_device_name,
            root_volume=volume,
            driver_image=ami_id,
            source=(source.id, source_region),
            snapshot_description=f"Copied for DestinationAmi {ami_id} from SourceAmi {source.id}",
        )
        ami.imds_support = source.imds_support
        return ami

    def register_image_object(self: Any, ami: SandboxAmi, tag_specifications: list[dict[str, Any]]) -> None:
        """Makes a new AMI known, with the tags the request gave it and its snapshot."""
        self.amis[ami.id] = ami
        ami.add_tags(tags_of(tag_specifications, "image"))
        ami.ebs_snapshot.add_tags(tags_of(tag_specifications, "snapshot"))

    def make_image(self: Any, ami: SandboxAmi, *, key: str, disks: Callable[[], None]) -> None:
        """Runs ``disks`` in the background, after other work of ``key``, then settles the AMI's state."""

        def job() -> None:
            problem = None
            try:
                disks()
            except DriverError as error:
                log.exception("making %s failed", ami.id)
                problem = error.message
            except Exception as error:
                log.exception("making %s failed", ami.id)
                problem = f"Internal error: {error}"
            with self.world.lock:
                ami.finish(problem)
                wanted = ami.ebs_snapshot.id in self.snapshots
            if not wanted:  # deregistered and deleted while it was being made
                self.world.driver.delete_snapshot(ami.id)

        self.world.work.submit(key, job)

    def delete_snapshot(self: Any, snapshot_id: str) -> Any:
        """Deletes a snapshot, and has the driver forget the disks: no AMI can boot from them any more."""
        snapshot = super().delete_snapshot(snapshot_id)  # type: ignore[misc]
        if isinstance(snapshot, SandboxSnapshot) and snapshot.from_ami:
            ami_id = snapshot.from_ami
            self.world.work.submit(ami_id, partial(self.world.driver.delete_snapshot, ami_id))
        return snapshot


def root_volume_of(instance: Any) -> RootVolume:
    """Returns what the root volume of an instance is like."""
    device = instance.block_device_mapping.get(instance.root_device_name)
    if device is None:
        return RootVolume()
    volume = instance.ec2_backend.get_volume(device.volume_id)
    return RootVolume(
        size=volume.size, kind=volume.volume_type, encrypted=volume.encrypted, kms_key_id=volume.kms_key_id
    )


def changed_volume(volume: RootVolume, mappings: Sequence[dict[str, Any]], root_device: str) -> RootVolume:
    """Returns a root volume with what CreateImage's BlockDeviceMappings change."""
    given = root_settings(mappings, root_device)
    size, kind = int(given.pop("VolumeSize", volume.size)), given.pop("VolumeType", volume.kind)
    keep = str(given.pop("DeleteOnTermination", True)).lower() != "true"
    if given or keep:
        settings = ", ".join([*sorted(given), *(["DeleteOnTermination=false"] if keep else [])])
        raise ec2_error("Unsupported", f"Of an AMI's root volume the sandbox cannot set {settings}.")
    check_size(size, smallest=volume.size)
    return replace(volume, size=size, kind=kind)


def source_image(account: str, region: str, ami_id: str) -> SandboxAmi:
    """Returns the AMI a CopyImage, perhaps another Region's, names."""
    if region not in ec2_backends[account].regions:
        raise ec2_error("InvalidParameterValue", f"The region '{region}' does not exist")
    backend: Any = ec2_backends[account][region]
    ami: SandboxAmi = backend.image(ami_id)
    return ami
