"""DescribeSnapshots and DescribeImageAttribute, as EC2 answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.responses.amis import AmisResponse

from amifactory.sandbox.ec2_responses import plain
from amifactory.sandbox.ec2_world import check_id, ec2_error
from amifactory.sandbox.images_query import page

if TYPE_CHECKING:
    from collections.abc import Callable


def describe_snapshots(response: Any) -> Any:
    """DescribeSnapshots: by id, owner and filter, in pages."""
    response.error_on_dryrun()
    backend, asked = response.ec2_backend, plain(response.params)
    for snapshot_id in asked.get("SnapshotIds", []):
        check_id(snapshot_id, prefix="snap", code="InvalidSnapshot")
        if snapshot_id not in backend.snapshots:
            raise ec2_error("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    filters = response._filters_from_querystring()  # noqa: SLF001 - moto's way in
    found = backend.describe_snapshots(asked.get("SnapshotIds"), filters)
    owners = {backend.account_id if owner == "self" else owner for owner in asked.get("OwnerIds", [])}
    mine = sorted((s for s in found if not owners or s.owner_id in owners), key=lambda snapshot: snapshot.id)
    shown, token = page(mine, size=asked.get("MaxResults"), token=asked.get("NextToken"))
    return ActionResult({"Snapshots": shown, "NextToken": token})


def describe_image_attribute(response: Any) -> Any:
    """DescribeImageAttribute: moto's, for an AMI that exists, and those that moto has not."""
    backend, asked = response.ec2_backend, plain(response.params)
    ami = backend.image(asked["ImageId"])
    now = backend.world.now()
    values = {
        "deregistrationProtection": ("DeregistrationProtection", ami.told_protection(now)),
        "imdsSupport": ("ImdsSupport", ami.imds_support),
        "lastLaunchedTime": ("LastLaunchedTime", ami.told_launch(now)),
    }
    if asked["Attribute"] in values:
        name, value = values[asked["Attribute"]]
        return ActionResult({"ImageId": ami.id, name: {"Value": value}})
    if asked["Attribute"] not in {"bootMode", "description", "launchPermission", "sriovNetSupport"}:
        raise NotImplementedError(f"attribute {asked['Attribute']}")
    return AmisResponse.describe_image_attribute(response)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "describe_snapshots": describe_snapshots,
    "describe_image_attribute": describe_image_attribute,
}
