"""DescribeImages: which AMIs a request means, as EC2 filters and pages them."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.ec2_world import check_id, ec2_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from amifactory.sandbox.images_model import SandboxAmi

LARGEST_PAGE = 1000


def timestamp(moment: Any) -> str:
    """Returns a time as EC2 writes it."""
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S')}.{moment.microsecond // 1000:03d}Z"


def _flag(value: object) -> str:
    return "true" if value else "false"


def _root(key: str) -> Callable[[SandboxAmi], object]:
    return lambda ami: ami.block_device_mappings[0]["Ebs"][key]


FILTERS: dict[str, Callable[[Any], object]] = {
    "architecture": lambda ami: ami.architecture,
    "block-device-mapping.delete-on-termination": lambda ami: _flag(_root("DeleteOnTermination")(ami)),
    "block-device-mapping.device-name": lambda ami: ami.root_device_name,
    "block-device-mapping.encrypted": lambda ami: _flag(_root("Encrypted")(ami)),
    "block-device-mapping.snapshot-id": _root("SnapshotId"),
    "block-device-mapping.volume-size": _root("VolumeSize"),
    "block-device-mapping.volume-type": _root("VolumeType"),
    "creation-date": lambda ami: timestamp(ami.creation_date),
    "description": lambda ami: ami.description,
    "ena-support": lambda _: "true",
    "hypervisor": lambda ami: ami.hypervisor,
    "image-allowed": lambda _: "true",
    "image-id": lambda ami: ami.id,
    "image-type": lambda ami: ami.image_type,
    "is-public": lambda ami: _flag(ami.is_public),
    "manifest-location": lambda ami: ami.image_location,
    "name": lambda ami: ami.name,
    "owner-alias": lambda ami: ami.owner_alias,
    "owner-id": lambda ami: ami.owner_id,
    "platform": lambda ami: ami.platform,
    "root-device-name": lambda ami: ami.root_device_name,
    "root-device-type": lambda ami: ami.root_device_type,
    "source-image-id": lambda ami: ami.source_image_id,
    "source-image-region": lambda ami: ami.source_image_region,
    "source-instance-id": lambda ami: ami.source_instance_id,
    "sriov-net-support": lambda ami: ami.sriov,
    "state": lambda ami: ami.state,
    "state-reason-code": lambda ami: (ami.state_reason or {}).get("Code"),
    "state-reason-message": lambda ami: (ami.state_reason or {}).get("Message"),
    "virtualization-type": lambda ami: ami.virtualization_type,
}
"""EC2 API reference, DescribeImages, Filters; without those of paravirtual and marketplace images."""


def tags(ami: Any) -> dict[str, str]:
    """Returns the AMI's tags."""
    return dict(ami.ec2_backend.tags.get(ami.id, {}))


def pattern(value: str) -> re.Pattern[str]:
    r"""Returns what a filter value matches: ``*`` anything, ``?`` one character, ``\`` makes them plain."""
    parts = re.findall(r"\\[*?\\]|.", value, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def matches(ami: Any, name: str, values: Iterable[str]) -> bool:
    """Returns whether one filter lets the AMI through; unknown filters are InvalidParameterValue."""
    if name.startswith("tag:"):
        tag = tags(ami).get(name.removeprefix("tag:"))
        found = [] if tag is None else [tag]
    elif name == "tag-key":
        found = list(tags(ami))
    elif name in FILTERS:
        value = FILTERS[name](ami)
        found = [] if value is None else [str(value)]
    else:
        raise ec2_error("InvalidParameterValue", f"The filter '{name}' is invalid")
    wanted = [pattern(value) for value in values]
    return any(expression.fullmatch(text) for expression in wanted for text in found)


def select(
    amis: Mapping[str, Any],
    *,
    account: str,
    ids: Sequence[str],
    owners: Sequence[str],
    executable_by: Sequence[str],
    filters: Mapping[str, Sequence[str]],
    disabled: bool,
) -> list[Any]:
    """Returns the AMIs a request means, ordered by id.

    Disabled ones only where asked for, even by id: "A disabled AMI does not appear in DescribeImages API
    calls by default" (DisableImage) makes no exception.
    """
    for ami_id in ids:
        check_id(ami_id, prefix="ami", code="InvalidAMIID")
    unknown = [ami_id for ami_id in ids if ami_id not in amis]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        verb = "do" if len(unknown) > 1 else "does"
        raise ec2_error(
            "InvalidAMIID.NotFound", f"The image id{plural} '[{', '.join(unknown)}]' {verb} not exist"
        )
    chosen = [amis[ami_id] for ami_id in sorted(set(ids) or amis)]
    owned_by = {account if owner == "self" else owner for owner in owners}
    runnable = {account if user == "self" else user for user in executable_by}
    return [
        ami
        for ami in chosen
        if (not owned_by or owned_by & {ami.owner_id, ami.owner_alias})
        and (not runnable or runnable & launchers(ami))
        and (disabled or ami.state != "disabled")
        and all(matches(ami, name, values) for name, values in filters.items())
    ]


def launchers(ami: Any) -> set[str]:
    """Returns whom the AMI's launch permissions name: account ids, or ``all``."""
    return {permission.get("UserId") or permission.get("Group", "") for permission in ami.launch_permissions}


def page(amis: Sequence[Any], *, size: int | None, token: str | None) -> tuple[Sequence[Any], str | None]:
    """Returns one page of AMIs ordered by id, and the token of the next if there is one."""
    if size is not None and not 1 <= size <= LARGEST_PAGE:
        raise ec2_error("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid.")
    if token:
        after = _decoded(token)
        amis = [ami for ami in amis if ami.id > after]
    size = size or LARGEST_PAGE
    rest = len(amis) > size
    return amis[:size], base64.urlsafe_b64encode(amis[size - 1].id.encode()).decode() if rest else None


def _decoded(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise ec2_error("InvalidNextToken", f"The token '{token}' is invalid") from error


def describe(ami: Any) -> dict[str, Any]:
    """Returns an AMI as DescribeImages answers it."""
    now = ami.ec2_backend.world.now()
    described = {
        "Architecture": ami.architecture,
        "BlockDeviceMappings": ami.block_device_mappings,
        "BootMode": ami.boot_mode,
        "CreationDate": ami.creation_date,
        "DeprecationTime": timestamp(ami.deprecate_at) if ami.deprecate_at else None,
        "DeregistrationProtection": ami.told_protection(now),
        "Description": ami.description or None,
        "EnaSupport": True,
        "Hypervisor": ami.hypervisor,
        "ImageId": ami.id,
        "ImageLocation": ami.image_location,
        "ImageOwnerAlias": ami.owner_alias,
        "ImageType": ami.image_type,
        "ImdsSupport": ami.imds_support,
        "LastLaunchedTime": ami.told_launch(now),
        "Name": ami.name,
        "OwnerId": ami.owner_id,
        "PlatformDetails": "Linux/UNIX",
        "Public": ami.is_public,
        "RootDeviceName": ami.root_device_name,
        "RootDeviceType": ami.root_device_type,
        "SourceImageId": ami.source_image_id,
        "SourceImageRegion": ami.source_image_region,
        "SourceInstanceId": ami.source_instance_id,
        "SriovNetSupport": ami.sriov,
        "State": ami.state,
        "StateReason": ami.state_reason,
        "Tags": [{"Key": key, "Value": value} for key, value in tags(ami).items()] or None,
        "UsageOperation": "RunInstances",
        "VirtualizationType": ami.virtualization_type,
    }
    return {key: value for key, value in described.items() if value is not None}
