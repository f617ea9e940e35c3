"""CreateOrUpdateTags, DescribeTags, DeleteTags of groups.

User guide, "Tag Auto Scaling groups and instances": a tag put later is for instances launched later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling.errors import validation_error
from amifactory.sandbox.scaling.groups_view import tag_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.calls import Call
    from amifactory.sandbox.scaling.model import Group

RESOURCE = "auto-scaling-group"
MOST_TAGS, LONGEST_KEY, LONGEST_VALUE = 50, 128, 256


def put(group: Group, given: dict[str, Any]) -> None:
    """Gives a group a tag, or another value to one it has.

    Raises:
        ScalingError: ValidationError: a reserved or too long key, or the 51st tag.
    """
    key, value = given["Key"], given.get("Value", "")
    if key.lower().startswith("aws:"):
        raise validation_error(f"aws: prefixed tag key names are not allowed for external use: {key}")
    if not 1 <= len(key) <= LONGEST_KEY or len(value) > LONGEST_VALUE:
        raise validation_error(
            f"A tag's key has 1 to {LONGEST_KEY} characters, its value up to {LONGEST_VALUE}."
        )
    others = [tag for tag in group.tags if tag["Key"] != key]
    if len(others) >= MOST_TAGS:
        raise validation_error(f"An Auto Scaling group has up to {MOST_TAGS} tags.")
    tag = {"Key": key, "Value": value, "PropagateAtLaunch": bool(given.get("PropagateAtLaunch", False))}
    group.tags = sorted([*others, tag], key=lambda tag: str(tag["Key"]))


def create(call: Call) -> dict[str, Any]:
    """CreateOrUpdateTags."""
    for given in call.given["Tags"]:
        put(_group(call, given), given)
    return {}


def delete(call: Call) -> dict[str, Any]:
    """DeleteTags: a tag that the group does not have is no error."""
    for given in call.given["Tags"]:
        group = _group(call, given)
        group.tags = [tag for tag in group.tags if not _same(tag, given)]
    return {}


def describe(call: Call) -> dict[str, Any]:
    """DescribeTags: filters ``auto-scaling-group``, ``key``, ``value``, ``propagate-at-launch``."""
    found = [
        tag_view(group, tag)
        for group in call.engine.of(call.account, call.region)
        for tag in group.tags
        if all(_meets(group, tag, asked) for asked in call.given.get("Filters") or [])
    ]
    page, more = call.page(found, lambda tag: f"{tag['ResourceId']}/{tag['Key']}")
    return {"Tags": page, **more}


def _group(call: Call, given: dict[str, Any]) -> Group:
    if given.get("ResourceType", RESOURCE) != RESOURCE:
        raise validation_error(f"The resource type of a tag is {RESOURCE}.")
    return call.engine.named(call.account, call.region, given.get("ResourceId") or "null")


def _same(tag: dict[str, Any], given: dict[str, Any]) -> bool:
    return bool(tag["Key"] == given["Key"] and given.get("Value", tag["Value"]) == tag["Value"])


def _meets(group: Group, tag: dict[str, Any], asked: dict[str, Any]) -> bool:
    values = {
        "auto-scaling-group": group.name,
        "key": tag["Key"],
        "value": tag["Value"],
        "propagate-at-launch": str(tag["PropagateAtLaunch"]).lower(),
    }
    if asked["Name"] not in values:
        raise validation_error(f"Filter type {asked['Name']} is not correct.")
    return values[asked["Name"]] in (asked.get("Values") or [])


OPERATIONS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "CreateOrUpdateTags": create,
    "DeleteTags": delete,
    "DescribeTags": describe,
}
