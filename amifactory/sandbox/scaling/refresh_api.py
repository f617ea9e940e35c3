"""The API of instance refresh: start, describe, cancel, roll back."""

from __future__ import annotations

import uuid
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling import refresh, refresh_rules
from amifactory.sandbox.scaling.errors import ScalingError
from amifactory.sandbox.scaling.refresh_state import Refresh, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.calls import Call
    from amifactory.sandbox.scaling.model import Group

KEPT = 6 * 7 * 24 * 3600
"""Seconds: "information about the instance refreshes […] from the previous six weeks" (API reference)."""


def start(call: Call) -> dict[str, Any]:
    """Starts a refresh, Pending; the next step of the engine begins it.

    One at a time: the text of that error is what clients in the field report. There is no client token, so
    a call that is repeated is refused like any other.
    """
    group, given = call.group(), call.given
    refresh_rules.check_shape(given)
    refresh_rules.check_strategy(given)
    if refresh.active(group) is not None:
        raise ScalingError(
            "InstanceRefreshInProgress",
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.",
        )
    desired = refresh_rules.desired_configuration(call.engine, group, given)
    started = Refresh(
        refresh_id=str(uuid.uuid4()),
        group=group.name,
        preferences=refresh_rules.preferences(call.engine, group, given),
        desired=desired,
        desired_given=deepcopy(given.get("DesiredConfiguration")),
    )
    group.refreshes.insert(0, started)
    group.pending_configuration = desired
    return {"InstanceRefreshId": started.refresh_id}


def describe(call: Call) -> dict[str, Any]:
    """Describes a group's refreshes, newest first; an id that is not there is left out."""
    group, wanted, now = call.group(), call.given.get("InstanceRefreshIds"), call.engine.clock.now()
    found = [
        each
        for each in group.refreshes
        if (not wanted or each.refresh_id in wanted) and (each.ended is None or now - each.ended <= KEPT)
    ]
    page, more = call.page(found, lambda each: str(each.refresh_id))
    return {"InstanceRefreshes": [described(each) for each in page], **more}


def cancel(call: Call) -> dict[str, Any]:
    """Cancels a refresh or a rollback; what has been replaced stays."""
    group = call.group()
    found = _active(group)
    refresh.cancel(call.engine, group, found, wait=call.given.get("WaitForTransitioningInstances", True))
    return {"InstanceRefreshId": found.refresh_id}


def roll_back(call: Call) -> dict[str, Any]:
    """Rolls an active refresh back; one that is being cancelled or rolled back already is not active here."""
    group = call.group()
    found = _active(group)
    if found.status in {Status.CANCELLING, Status.ROLLBACK_IN_PROGRESS}:
        raise _not_active(group)
    refresh_rules.check_rollback(call.engine, group, found)
    refresh.roll_back(call.engine, group, found, reason="Manual rollback was initiated.")
    return {"InstanceRefreshId": found.refresh_id}


def described(found: Refresh) -> dict[str, Any]:
    """Returns a refresh as DescribeInstanceRefreshes tells it.

    ProgressDetails are of groups with a warm pool only (API reference, InstanceRefresh), which the
    sandbox has not got.
    """
    told = {
        "InstanceRefreshId": found.refresh_id,
        "AutoScalingGroupName": found.group,
        "Status": str(found.status),
        "StatusReason": found.status_reason,
        "StartTime": found.started_at,
        "EndTime": found.ended_at,
        "PercentageComplete": found.percent,
        "InstancesToUpdate": found.to_update,
        "Preferences": _preferences(found),
        "DesiredConfiguration": found.desired_given,
        "RollbackDetails": _rollback(found),
        "Strategy": "Rolling",
    }
    return {name: value for name, value in told.items() if value is not None}


def _preferences(found: Refresh) -> dict[str, Any]:
    """Returns the preferences as given, and the defaults that AWS tells of."""
    preferences = found.preferences
    told = {
        "MinHealthyPercentage": preferences.min_healthy,
        "InstanceWarmup": preferences.warmup,
        "SkipMatching": preferences.skip_matching,
        "AutoRollback": preferences.auto_rollback,
    }
    if preferences.max_healthy is not None:
        told["MaxHealthyPercentage"] = preferences.max_healthy
    if preferences.checkpoints:
        told["CheckpointDelay"] = preferences.checkpoint_delay
    return {**told, **preferences.given}


def _rollback(found: Refresh) -> dict[str, Any] | None:
    rollback = found.rollback
    if rollback is None:
        return None
    return {
        "RollbackReason": rollback.reason,
        "RollbackStartTime": rollback.started_at,
        "PercentageCompleteOnRollback": rollback.percent,
        "InstancesToUpdateOnRollback": rollback.to_update,
    }


def _active(group: Group) -> Refresh:
    found = refresh.active(group)
    if found is None:
        raise _not_active(group)
    return found


def _not_active(group: Group) -> ScalingError:
    """Returns the error of API reference, CancelInstanceRefresh; its text is as clients report it."""
    return ScalingError(
        "ActiveInstanceRefreshNotFound",
        f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}",
    )


OPERATIONS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "StartInstanceRefresh": start,
    "DescribeInstanceRefreshes": describe,
    "CancelInstanceRefresh": cancel,
    "RollbackInstanceRefresh": roll_back,
}
