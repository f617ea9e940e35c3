"""DescribeScalingActivities: newest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling.errors import not_in_the_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.calls import Call
    from amifactory.sandbox.scaling.model import Activity


def describe(call: Call) -> dict[str, Any]:
    """DescribeScalingActivities: of one group or of all; "ordered by start time", the latest first."""
    if call.given.get("IncludeDeletedGroups"):
        raise not_in_the_sandbox("IncludeDeletedGroups")
    if call.given.get("Filters"):
        raise not_in_the_sandbox("Filters of DescribeScalingActivities")
    groups = (
        [call.group()] if "AutoScalingGroupName" in call.given else call.engine.of(call.account, call.region)
    )
    wanted = set(call.given.get("ActivityIds") or [])
    found = [
        activity
        for group in groups
        for activity in reversed(group.activities)
        if not wanted or activity.activity_id in wanted
    ]
    found.sort(key=lambda activity: activity.started_at, reverse=True)
    page, more = call.page(found, lambda activity: activity.activity_id)
    return {"Activities": [view(activity, call) for activity in page], **more}


def view(activity: Activity, call: Call) -> dict[str, Any]:
    """Returns an activity as the API has it."""
    group = call.engine.groups.get((call.account, call.region, activity.group))
    found = {
        "ActivityId": activity.activity_id,
        "AutoScalingGroupName": activity.group,
        "AutoScalingGroupARN": group.arn if group else None,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_at,
        "EndTime": activity.ended_at,
        "StatusCode": activity.status,
        "StatusMessage": activity.message,
        "Progress": activity.progress,
        "Details": json.dumps({}),
    }
    return {name: value for name, value in found.items() if value is not None}


OPERATIONS: dict[str, Callable[[Call], dict[str, Any]]] = {"DescribeScalingActivities": describe}
