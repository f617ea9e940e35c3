"""Instances of no group that were given notice of termination: held as a group's hook would hold them.

An instance comes here by a notice (`amifactory.sandbox.notify`) that names a group and hook, and is then
taken for one of that group's. User guide, "How lifecycle hooks work": a termination hook delays and never
prevents, so CONTINUE, ABANDON and a hook that is not heard of in time all end the instance. This waits in
real time, as the machine whose shutting down is tried does.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.ec2_world import ec2_regions
from amifactory.sandbox.notices import LifecycleAction
from amifactory.sandbox.scaling.errors import validation_error
from amifactory.sandbox.scaling.hooks import global_timeout
from amifactory.sandbox.scaling.model import TERMINATING_PROCEED, TERMINATING_TRANSITION, TERMINATING_WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.sandbox.ec2_world import World
    from amifactory.sandbox.scaling.calls import Call

log = logging.getLogger(__name__)

LIVE = {"pending", "running", "stopping", "stopped", "shutting-down"}


def views(world: World, account: str, region: str) -> list[dict[str, Any]]:
    """Returns the held instances as DescribeAutoScalingInstances has them."""
    return [
        {
            "InstanceId": instance.id,
            "InstanceType": instance.instance_type,
            "AutoScalingGroupName": action.group,
            "AvailabilityZone": instance.availability_zone,
            "LifecycleState": TERMINATING_WAIT if action.waiting else TERMINATING_PROCEED,
            "HealthStatus": "HEALTHY",
            "ImageId": instance.image_id,
            "ProtectedFromScaleIn": False,
        }
        for instance, action in _held(world, account, region)
    ]


def hooks_of(world: World, account: str, region: str, group: str) -> list[dict[str, Any]]:
    """Returns the hooks of a group that only notices have named, as DescribeLifecycleHooks has them."""
    actions = {action.hook: action for _, action in _held(world, account, region) if action.group == group}
    return [
        {
            "LifecycleHookName": hook,
            "AutoScalingGroupName": group,
            "LifecycleTransition": TERMINATING_TRANSITION,
            "HeartbeatTimeout": action.heartbeat_timeout,
            "GlobalTimeout": global_timeout(action.heartbeat_timeout),
            "DefaultResult": "ABANDON",
        }
        for hook, action in sorted(actions.items())
    ]


def heartbeat(call: Call) -> None:
    """Records a heartbeat of an action; raises ValidationError when there is none."""
    instance, action = _active(call)
    await_heartbeat(call.engine.world, instance.id, action)


def complete(call: Call) -> None:
    """Completes an action; raises ValidationError when there is none."""
    instance, _ = _active(call)
    release(call.engine.world, instance.id)


def hold(world: World, instance_id: str, *, group: str, hook: str, heartbeat_timeout: int) -> None:
    """Puts an instance into ``Terminating:Wait``; the world's lock is held."""
    action = LifecycleAction(
        group=group,
        hook=hook,
        token=str(uuid.uuid4()),
        heartbeat_timeout=heartbeat_timeout,
        until=time.monotonic() + global_timeout(heartbeat_timeout),
    )
    told = world.notices.told
    told[instance_id] = replace(world.notices.of(instance_id), action=action)
    await_heartbeat(world, instance_id, action)


def await_heartbeat(world: World, instance_id: str, action: LifecycleAction) -> None:
    """Gives a hook its time anew; when that has passed, the instance goes as by the default result."""

    def lapse() -> None:
        log.info("lifecycle hook %s of %s was not heard of in time", action.hook, instance_id)
        with world.lock:
            release(world, instance_id)

    seconds = min(action.heartbeat_timeout, action.until - time.monotonic())
    world.notices.alarms.set(alarm_of(instance_id), seconds, lapse)


def alarm_of(instance_id: str) -> str:
    """Returns the key of the alarm that ends a hook's patience."""
    return f"lifecycle-{instance_id}"


def release(world: World, instance_id: str) -> None:
    """Terminates an instance that was held; the world's lock is held."""
    notices = world.notices
    notices.alarms.cancel(alarm_of(instance_id))
    notice = notices.of(instance_id)
    if notice.action:
        notices.told[instance_id] = replace(notice, action=replace(notice.action, waiting=False))
    instance = find_instance(instance_id)
    instance.ec2_backend.terminate_instances([instance_id])


def find_instance(instance_id: str) -> Any:
    """Returns an instance of any account and Region, or None."""
    found = (backend.get_instance_by_id(instance_id) for backend in ec2_regions())
    return next((instance for instance in found if instance is not None), None)


def _active(call: Call) -> tuple[Any, LifecycleAction]:
    """Returns the instance and action that a call names by instance id or by token."""
    given = call.given
    token, instance_id = given.get("LifecycleActionToken"), given.get("InstanceId")
    named = (given["AutoScalingGroupName"], given["LifecycleHookName"])
    for instance, action in _held(call.engine.world, call.account, call.region):
        meant = action.token == token if token else instance.id == instance_id
        if meant and action.waiting and (action.group, action.hook) == named:
            return instance, action
    what = f"token {token}" if token else f"instance ID {instance_id}"
    raise validation_error(f"No active Lifecycle Action found with {what}")


def _held(world: World, account: str, region: str) -> Iterator[tuple[Any, LifecycleAction]]:
    for instance_id, notice in world.notices.told.items():
        if notice.action is None:
            continue
        instance = find_instance(instance_id)
        backend = instance.ec2_backend if instance is not None else None
        if (
            backend
            and instance.state in LIVE
            and (backend.account_id, backend.region_name) == (account, region)
        ):
            yield instance, notice.action
