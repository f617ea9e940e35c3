"""What is asked of single instances of a group: their end, protection, health, standby, detachment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling import activities, activities_api, loose
from amifactory.sandbox.scaling.errors import validation_error
from amifactory.sandbox.scaling.groups_view import details_view
from amifactory.sandbox.scaling.launching import GROUP_TAG
from amifactory.sandbox.scaling.model import IN_SERVICE, PENDING, STANDBY
from amifactory.sandbox.scaling.states import enter

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.calls import Call
    from amifactory.sandbox.scaling.model import Activity, Group, Member

Result = dict[str, Any]
HEALTH = {"Healthy": True, "Unhealthy": False}


def describe(call: Call) -> Result:
    """DescribeAutoScalingInstances: an id that does not exist "is ignored with no error"."""
    wanted = set(call.given.get("InstanceIds") or [])
    found = [
        details_view(group, member)
        for group in call.engine.of(call.account, call.region)
        for member in group.members
    ]
    found += loose.views(call.engine.world, call.account, call.region)
    if wanted:
        found = [view for view in found if view["InstanceId"] in wanted]
    page, more = call.page(found, lambda view: str(view["InstanceId"]))
    return {"AutoScalingInstances": page, **more}


def terminate(call: Call) -> Result:
    """TerminateInstanceInAutoScalingGroup: by way of the termination hooks; replaced unless the size falls.

    Protection does not keep an instance from this: user guide, "Use instance scale-in protection".
    """
    instance_ids = call.given.get("InstanceIds") or [call.given.get("InstanceId", "null")]
    pairs = [_managed(call, instance_id) for instance_id in instance_ids]
    decrement = call.given["ShouldDecrementDesiredCapacity"]
    started = []
    for group, member in pairs:
        if decrement and member.counts:
            if group.desired <= group.smallest:
                raise validation_error(
                    f"Currently, desiredSize equals minSize ({group.smallest}). Terminating instance without "
                    "replacement will violate group's min size constraint. Either set "
                    "shouldDecrementDesiredCapacity flag to false or lower group's min size."
                )
            group.desired -= member.weight
        cause = activities.at(call.engine, "instance was taken out of service in response to a user request")
        call.engine.terminate(group, member, cause=cause)
        started.append(activities_api.view(member.terminating, call) if member.terminating else {})
    for group in {id(group): group for group, _ in pairs}.values():
        call.engine.step(group)
    return {"Activities": started} if "InstanceIds" in call.given else {"Activity": started[0]}


def protect(call: Call) -> Result:
    """SetInstanceProtection: of instances of the group, whatever state they are in but the last ones."""
    group = call.group()
    for member in _members(group, call.given["InstanceIds"]):
        if member.leaving:
            raise validation_error(
                f"The instance {member.instance_id} is not in InService or EnteringStandby or Standby."
            )
        member.protected = call.given["ProtectedFromScaleIn"]
    return {}


def set_health(call: Call) -> Result:
    """SetInstanceHealth: an unhealthy instance is replaced, by default not before its grace period is over.

    API reference, ShouldRespectGracePeriod; the grace period begins when the instance is in service: user
    guide, "Set the health check grace period for an Auto Scaling group".
    """
    status = call.given["HealthStatus"]
    if status not in HEALTH:
        raise validation_error(
            f"Valid instance health states are: [{', '.join(HEALTH)}]. Value {status} is invalid."
        )
    group, member = _managed(call, call.given["InstanceId"])
    since = member.in_service_at
    young = since is None or call.engine.clock.now() - since < group.grace_period
    spared = call.given.get("ShouldRespectGracePeriod", True) and group.grace_period and young
    if HEALTH[status] or not spared:
        member.healthy = HEALTH[status]
    call.engine.step(group)
    return {}


def enter_standby(call: Call) -> Result:
    """EnterStandby: members stay in the group and count no more; replaced unless the size goes down."""
    group, decrement = call.group(), call.given["ShouldDecrementDesiredCapacity"]
    members = _members(group, call.given.get("InstanceIds") or [])
    _check_all(members, IN_SERVICE)
    if decrement:
        _decrement(group, members, "place into standby")
    return {"Activities": [_move(call, group, member, STANDBY) for member in members]}


def exit_standby(call: Call) -> Result:
    """ExitStandby: members go back into service by way of Pending; "the desired capacity is incremented"."""
    group = call.group()
    members = _members(group, call.given.get("InstanceIds") or [])
    _check_all(members, STANDBY)
    more = sum(member.weight for member in members)
    if group.desired + more > group.largest:
        raise validation_error(_sizes(group, "move out of standby", len(members)))
    group.desired += more
    result = {"Activities": [_move(call, group, member, PENDING) for member in members]}
    call.engine.step(group)
    return result


def detach(call: Call) -> Result:
    """DetachInstances: they run on and belong to nobody; replaced unless the size goes down."""
    group = call.group()
    members = _members(group, call.given.get("InstanceIds") or [])
    for member in members:
        if member.state not in {IN_SERVICE, STANDBY}:
            raise validation_error(f"The instance {member.instance_id} is not in InService or Standby.")
    counted = [member for member in members if member.counts]
    if call.given["ShouldDecrementDesiredCapacity"]:
        _decrement(group, counted, "detach")
    ended = []
    for member in members:
        activity = _activity(call, group, f"Detaching EC2 instance: {member.instance_id}", member, "detached")
        ended.append(activities_api.view(activity, call))
        group.members.remove(member)
        call.engine.forget(member.instance_id)
        call.engine.backend(group).tags.get(member.instance_id, {}).pop(GROUP_TAG, None)
    call.engine.step(group)
    return {"Activities": ended}


def _move(call: Call, group: Group, member: Member, state: str) -> Result:
    enter(call.engine, member, state)
    what = "to Standby" if state == STANDBY else "out of Standby"
    activity = _activity(
        call, group, f"Moving EC2 instance {what}: {member.instance_id}", member, f"moved {what.lower()}"
    )
    return activities_api.view(activity, call)


def _activity(call: Call, group: Group, description: str, member: Member, done: str) -> Activity:
    cause = activities.at(
        call.engine, f"instance {member.instance_id} was {done} in response to a user request"
    )
    activity = activities.begin(call.engine, group, description, cause=cause, instance_id=member.instance_id)
    activities.end(call.engine, group, activity)
    return activity


def _decrement(group: Group, members: list[Member], what: str) -> None:
    less = sum(member.weight for member in members)
    if group.desired - less < group.smallest:
        raise validation_error(_sizes(group, what, len(members)))
    group.desired -= less


def _sizes(group: Group, what: str, count: int) -> str:
    return (
        f"AutoScalingGroup {group.name} has min-size={group.smallest}, max-size={group.largest}, and "
        f"desired-size={group.desired}. To {what} {count} instance(s), please update the AutoScalingGroup "
        "sizes appropriately."
    )


def _check_all(members: list[Member], state: str) -> None:
    for member in members:
        if member.state != state:
            raise validation_error(f"The instance {member.instance_id} is not in {state}.")


def _members(group: Group, instance_ids: list[str]) -> list[Member]:
    """Returns the members of those ids; raises ValidationError for the first that is none."""
    found = []
    for instance_id in instance_ids:
        member = group.member(instance_id)
        if member is None:
            raise validation_error(
                f"The instance {instance_id} is not part of Auto Scaling group {group.name}."
            )
        found.append(member)
    return found


def _managed(call: Call, instance_id: str) -> tuple[Group, Member]:
    """Returns an instance's group and membership, in the call's account and Region."""
    found = call.engine.find(instance_id)
    if found is None or (found[0].account, found[0].region) != (call.account, call.region):
        raise validation_error(
            f"Instance Id not found - No managed instance found for instance ID {instance_id}"
        )
    return found


OPERATIONS: dict[str, Callable[[Call], Result]] = {
    "DescribeAutoScalingInstances": describe,
    "DetachInstances": detach,
    "EnterStandby": enter_standby,
    "ExitStandby": exit_standby,
    "SetInstanceHealth": set_health,
    "SetInstanceProtection": protect,
    "TerminateInstanceInAutoScalingGroup": terminate,
}
