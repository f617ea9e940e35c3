"""Lifecycle hooks of a group, and the actions by which held instances are let go.

API reference of each operation. An instance that is in no group and was given notice of termination is held
by the hook that the notice named, see `loose`. AWS documents no texts of errors: "No active Lifecycle Action
found with instance ID …" and "AutoScalingGroup name not found - null" are what clients in the field report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling import completing, hooks, loose
from amifactory.sandbox.scaling.errors import validation_error
from amifactory.sandbox.scaling.model import LAUNCHING_TRANSITION, TERMINATING_TRANSITION, Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.calls import Call
    from amifactory.sandbox.scaling.model import Group, Member

Result = dict[str, Any]
TRANSITIONS = (LAUNCHING_TRANSITION, TERMINATING_TRANSITION)
RESULTS = (completing.CONTINUE, completing.ABANDON)
MOST_HOOKS = 50
"""User guide, "Quotas for Auto Scaling resources and groups"."""


def put(group: Group, given: dict[str, Any]) -> None:
    """Makes a hook or changes what is given of one; held instances go on by what they were held with.

    Raises:
        ScalingError: ValidationError: no transition for a new hook, a timeout that is not 30 to 7200 s, a
            default result that is neither CONTINUE nor ABANDON.
    """
    name = given["LifecycleHookName"]
    before = group.hooks.get(name)
    transition = given.get("LifecycleTransition") or (before.transition if before else None)
    if transition not in TRANSITIONS:
        raise validation_error("A valid LifecycleTransition parameter is required when creating a hook.")
    if before is None and len(group.hooks) >= MOST_HOOKS:
        raise validation_error(f"An Auto Scaling group has up to {MOST_HOOKS} lifecycle hooks.")
    hook = Hook(name=name, transition=transition)
    kept = before or hook
    hook.heartbeat_timeout = given.get("HeartbeatTimeout", kept.heartbeat_timeout)
    hook.default_result = given.get("DefaultResult", kept.default_result)
    hook.metadata = given.get("NotificationMetadata", kept.metadata)
    hook.target_arn = given.get("NotificationTargetARN", kept.target_arn)
    hook.role_arn = given.get("RoleARN", kept.role_arn)
    if not 30 <= hook.heartbeat_timeout <= 7200:  # noqa: PLR2004 - PutLifecycleHook, HeartbeatTimeout
        raise validation_error("HeartbeatTimeout must be between 30 and 7200 seconds.")
    if hook.default_result not in RESULTS:
        raise validation_error(f"DefaultResult must be one of {', '.join(RESULTS)}.")
    group.hooks[name] = hook


def put_hook(call: Call) -> Result:
    """PutLifecycleHook: the sandbox notifies no targets; instances see their state in their metadata."""
    put(call.group(), call.given)
    return {}


def delete_hook(call: Call) -> Result:
    """DeleteLifecycleHook: "If there are any outstanding lifecycle actions, they are completed first".

    "(ABANDON for launching instances, CONTINUE for terminating instances)".
    """
    group, name = call.group(), call.given["LifecycleHookName"]
    if name not in group.hooks:
        raise validation_error(f"No Lifecycle Hook found with name {name}")
    hook = group.hooks.pop(name)
    launching = hook.transition == LAUNCHING_TRANSITION
    for member in list(group.members):
        if member.hook == name:
            result = completing.ABANDON if launching else completing.CONTINUE
            completing.complete(call.engine, group, member, result)
    call.engine.step(group)
    return {}


def describe_hooks(call: Call) -> Result:
    """DescribeLifecycleHooks: GlobalTimeout is 100 times HeartbeatTimeout, 48 hours at most."""
    name, wanted = call.given["AutoScalingGroupName"], call.given.get("LifecycleHookNames")
    group = call.engine.groups.get((call.account, call.region, name))
    found = (
        [view(name, hook) for hook in group.hooks.values()]
        if group
        else loose.hooks_of(call.engine.world, call.account, call.region, name)
    )
    if group is None and not found:
        raise validation_error("AutoScalingGroup name not found - null")
    return {"LifecycleHooks": [hook for hook in found if not wanted or hook["LifecycleHookName"] in wanted]}


def view(group: str, hook: Hook) -> Result:
    """Returns a hook as the API has it."""
    found = {
        "LifecycleHookName": hook.name,
        "AutoScalingGroupName": group,
        "LifecycleTransition": hook.transition,
        "NotificationTargetARN": hook.target_arn,
        "RoleARN": hook.role_arn,
        "NotificationMetadata": hook.metadata,
        "HeartbeatTimeout": hook.heartbeat_timeout,
        "GlobalTimeout": hooks.global_timeout(hook.heartbeat_timeout),
        "DefaultResult": hook.default_result,
    }
    return {name: value for name, value in found.items() if value is not None}


def complete(call: Call) -> Result:
    """CompleteLifecycleAction: by the instance's id or the action's token."""
    result = call.given["LifecycleActionResult"]
    if result not in RESULTS:
        raise validation_error(f"LifecycleActionResult must be CONTINUE or ABANDON, not {result}")
    held = _held(call)
    if held is None:
        loose.complete(call)
        return {}
    completing.complete(call.engine, *held, result)
    call.engine.step(held[0])
    return {}


def heartbeat(call: Call) -> Result:
    """RecordLifecycleActionHeartbeat: "extends the timeout by the length of time defined" with the hook."""
    held = _held(call)
    if held is None:
        loose.heartbeat(call)
    else:
        hooks.heartbeat(call.engine, *held)
    return {}


def _held(call: Call) -> tuple[Group, Member] | None:
    """Returns the member of a real group that a call means, or None: it may be an instance of none."""
    given = call.given
    group = call.engine.groups.get((call.account, call.region, given["AutoScalingGroupName"]))
    token = given.get("LifecycleActionToken")
    for member in group.members if group else ():
        meant = member.token == token if token else member.instance_id == given.get("InstanceId")
        if group and meant and member.hook == given["LifecycleHookName"]:
            return group, member
    return None


OPERATIONS: dict[str, Callable[[Call], Result]] = {
    "CompleteLifecycleAction": complete,
    "DeleteLifecycleHook": delete_hook,
    "DescribeLifecycleHooks": describe_hooks,
    "PutLifecycleHook": put_hook,
    "RecordLifecycleActionHeartbeat": heartbeat,
}
