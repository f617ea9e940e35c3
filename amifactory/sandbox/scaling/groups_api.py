"""Create-, Update-, Delete- and DescribeAutoScalingGroups, SetDesiredCapacity."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling import activities, configurations, groups_rules, hooks_api, tags_api
from amifactory.sandbox.scaling.errors import ScalingError, validation_error
from amifactory.sandbox.scaling.groups_view import group_view
from amifactory.sandbox.scaling.model import Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.calls import Call

Result = dict[str, Any]


def create(call: Call) -> Result:
    """CreateAutoScalingGroup: the group is there at once, its instances come by and by.

    That a launch fails is told by a scaling activity, not by this call.
    """
    given, engine = call.given, call.engine
    name = given["AutoScalingGroupName"]
    if (call.account, call.region, name) in engine.groups:
        raise ScalingError(
            "AlreadyExists",
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
        )
    groups_rules.check_supported(given)
    backend = engine.backend_of(call.account, call.region)
    configuration = configurations.new_configuration(backend, given)
    smallest, largest = given["MinSize"], given["MaxSize"]
    desired = given.get("DesiredCapacity", smallest)
    groups_rules.check_sizes(smallest, largest, desired)
    zones = groups_rules.zones_of(backend, given)
    if zones is None or configuration is None:
        raise validation_error("At least one Availability Zone or VPC Subnet is required.")
    group = Group(
        name=name,
        arn=f"arn:aws:autoscaling:{call.region}:{call.account}:autoScalingGroup:{uuid.uuid4()}"
        f":autoScalingGroupName/{name}",
        region=call.region,
        account=call.account,
        configuration=configuration,
        desired=desired,
        smallest=smallest,
        largest=largest,
        created_at=engine.clock.utc(),
        subnets=zones[0],
        zones=zones[1],
    )
    group.because = _because(call, group, 0, desired)
    _set(group, given)
    for tag in given.get("Tags") or []:
        tags_api.put(group, tag)
    for hook in given.get("LifecycleHookSpecificationList") or []:
        hooks_api.put(group, hook)
    engine.groups[call.account, call.region, name] = group
    return {}


def update(call: Call) -> Result:
    """UpdateAutoScalingGroup: "any properties that you don't specify are not changed by this update"."""
    group, given = call.group(), call.given
    if group.deleting:
        raise _being_deleted(group)
    groups_rules.check_supported(given)
    configurations.refuse_while_refreshing(group, given)
    backend = call.engine.backend(group)
    configuration = configurations.new_configuration(backend, given, group)
    smallest, largest = given.get("MinSize", group.smallest), given.get("MaxSize", group.largest)
    desired = given.get("DesiredCapacity")
    if desired is None:
        desired = min(max(group.desired, smallest), max(largest, smallest))
    groups_rules.check_sizes(smallest, largest, desired)
    zones = groups_rules.zones_of(backend, given)
    if desired != group.desired:
        group.because = _because(call, group, group.desired, desired, smallest=smallest, largest=largest)
    group.smallest, group.largest, group.desired = smallest, largest, desired
    group.configuration = configuration or group.configuration
    group.subnets, group.zones = zones or (group.subnets, group.zones)
    group.retry_at = 0.0
    _set(group, given)
    call.engine.step(group)
    return {}


def delete(call: Call) -> Result:
    """DeleteAutoScalingGroup: with ForceDelete its instances too, without waiting for lifecycle actions."""
    group, force = call.group(), bool(call.given.get("ForceDelete"))
    groups_rules.refuse_deletion(group, force=force)
    group.deleting = True
    group.desired = group.smallest = group.surge = 0
    call.engine.step(group)
    return {}


def describe(call: Call) -> Result:
    """DescribeAutoScalingGroups: by names and tag filters; names of groups that are not there are ignored.

    Filters: API reference, Filter: ``tag-key``, ``tag-value``, ``tag:<key>``, "connected by AND".
    """
    wanted = set(call.given.get("AutoScalingGroupNames") or [])
    filters = call.given.get("Filters") or []
    for asked in filters:
        _check_filter(asked["Name"])
    found = [
        group
        for group in call.engine.of(call.account, call.region)
        if (not wanted or group.name in wanted) and all(_meets(group, asked) for asked in filters)
    ]
    page, more = call.page(found, lambda group: group.name)
    instances = call.given.get("IncludeInstances", True)
    return {"AutoScalingGroups": [group_view(group, instances=instances) for group in page], **more}


def set_desired_capacity(call: Call) -> Result:
    """SetDesiredCapacity: within the group's limits; with HonorCooldown not so soon after the last activity.

    "If you specify HonorCooldown … the request is rejected if the group is in a cooldown period":
    ScalingActivityInProgress. By default a manual change does not wait.
    """
    group, desired = call.group(), call.given["DesiredCapacity"]
    if group.deleting:
        raise _being_deleted(group)
    groups_rules.check_desired(group, desired)
    if call.given.get("HonorCooldown") and _cooling_down(call, group):
        raise ScalingError(
            "ScalingActivityInProgress",
            "Scaling activity is in progress for the group, whose cooldown period has not passed.",
        )
    if desired != group.desired:
        group.because = _because(call, group, group.desired, desired)
    group.desired, group.retry_at = desired, 0.0
    call.engine.step(group)
    return {}


def _set(group: Group, given: dict[str, Any]) -> None:
    """Sets what needs no checks."""
    group.protect_new = given.get("NewInstancesProtectedFromScaleIn", group.protect_new)
    group.grace_period = given.get("HealthCheckGracePeriod", group.grace_period)
    group.termination_policies = list(given.get("TerminationPolicies") or group.termination_policies)
    warmup = given.get("DefaultInstanceWarmup", group.default_warmup)
    group.default_warmup = None if warmup == -1 else warmup
    policy = given.get("InstanceMaintenancePolicy", group.maintenance_policy)
    group.maintenance_policy = None if policy and policy["MinHealthyPercentage"] == -1 else policy
    group.other |= {name: given[name] for name in groups_rules.KEPT if name in given}


def _because(
    call: Call,
    group: Group,
    before: int,
    desired: int,
    *,
    smallest: int | None = None,
    largest: int | None = None,
) -> str:
    least, most = (group.smallest, group.largest) if smallest is None else (smallest, largest)
    what = (
        f"a user request update of AutoScalingGroup constraints to min: {least}, max: {most}, "
        f"desired: {desired} changing the desired capacity from {before} to {desired}"
    )
    return activities.at(call.engine, what)


def _cooling_down(call: Call, group: Group) -> bool:
    cooldown = group.other.get("DefaultCooldown", 300)
    since = group.scaled_at
    busy = any(activity.ended_at is None for activity in group.activities)
    return busy or (since is not None and call.engine.clock.now() - since < cooldown)


def _check_filter(name: str) -> None:
    if name not in {"tag-key", "tag-value"} and not name.startswith("tag:"):
        raise validation_error(
            f"Filter type {name} is not correct. Allowed Filter types are: tag-key tag-value tag:<key>"
        )


def _meets(group: Group, asked: dict[str, Any]) -> bool:
    name, values = asked["Name"], set(asked.get("Values") or [])
    if name == "tag-key":
        found = {tag["Key"] for tag in group.tags}
    elif name == "tag-value":
        found = {tag["Value"] for tag in group.tags}
    else:
        found = {tag["Value"] for tag in group.tags if tag["Key"] == name.removeprefix("tag:")}
    return bool(found & values)


def _being_deleted(group: Group) -> ScalingError:
    return ScalingError(
        "ScalingActivityInProgress", f"AutoScalingGroup {group.name} is pending delete and cannot be updated."
    )


OPERATIONS: dict[str, Callable[[Call], Result]] = {
    "CreateAutoScalingGroup": create,
    "DeleteAutoScalingGroup": delete,
    "DescribeAutoScalingGroups": describe,
    "SetDesiredCapacity": set_desired_capacity,
    "UpdateAutoScalingGroup": update,
}
