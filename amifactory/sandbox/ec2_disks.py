"""The one disk of the sandbox's instances: what block device mappings may say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.ec2_world import ec2_error

if TYPE_CHECKING:
    from collections.abc import Sequence


def root_settings(requested: Sequence[dict[str, Any]], root_device: str) -> dict[str, Any]:
    """Returns what mappings say of the root volume; raises Unsupported when they name another device."""
    settings: dict[str, Any] = {}
    for mapping in requested:
        if mapping["DeviceName"] != root_device:
            raise ec2_error(
                "Unsupported",
                f"The sandbox's instances have one disk, {root_device}; "
                f"it has not got {mapping['DeviceName']}.",
            )
        settings |= {key: value for key, value in (mapping.get("Ebs") or {}).items() if value is not None}
    return settings


def check_size(size: int, *, smallest: int) -> None:
    """Raises InvalidBlockDeviceMapping when a volume, in GiB, is smaller than what it shall hold."""
    if size < smallest:
        raise ec2_error(
            "InvalidBlockDeviceMapping",
            f"Volume of size {size}GB is smaller than snapshot, expect size >= {smallest}GB",
        )
