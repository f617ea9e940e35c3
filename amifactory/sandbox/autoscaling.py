"""Auto Scaling, as much of it as an instance that is to be terminated asks for.

An instance comes here by a notice (`amifactory.sandbox.notify`), as there are no groups yet. From then on it
is in the group and held by the hook that the notice named. Rules and texts:
- API reference, CompleteLifecycleAction, RecordLifecycleActionHeartbeat, DescribeLifecycleHooks and
  DescribeAutoScalingInstances ("If you specify an ID that does not exist, it is ignored with no error");
- user guide, "How lifecycle hooks work": a termination hook delays and never prevents, so CONTINUE, ABANDON
  and a hook that is not heard of in time all end the instance;
- AWS documents no texts of errors: "No active Lifecycle Action found with instance ID …" and
  "AutoScalingGroup name not found - null" are what clients in the field report.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from moto.core.serialize import QuerySerializer
from moto.core.utils import get_service_model

from amifactory.sandbox.ec2_world import ec2_regions
from amifactory.sandbox.moto_errors import Reply, error_reply
from amifactory.sandbox.notices import LifecycleAction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.sandbox.ec2_world import World
    from amifactory.sandbox.moto_requests import AwsRequest

log = logging.getLogger(__name__)

LIVE = {"pending", "running", "stopping", "stopped", "shutting-down"}
RESULTS = {"CONTINUE", "ABANDON"}
LONGEST_WAIT = 48 * 3600
MOST_HEARTBEATS = 100
"""API reference, LifecycleHook: GlobalTimeout is 48 hours or 100 times HeartbeatTimeout, the smaller one."""


class RefusedError(Exception):
    """A call that Auto Scaling answers with ValidationError."""


class AutoScaling:
    """Answers the four calls about instances that were given notice of termination."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._operations = {
            "CompleteLifecycleAction": self._complete,
            "DescribeAutoScalingInstances": self._describe_instances,
            "DescribeLifecycleHooks": self._describe_hooks,
            "RecordLifecycleActionHeartbeat": self._heartbeat,
        }

    def __call__(self, request: AwsRequest, environ: dict[str, Any]) -> Reply:
        """Returns what a call is answered."""
        form = parse_qs(environ["wsgi.input"].getvalue().decode(errors="replace"))
        given = {name: values[0] for name, values in form.items()}
        try:
            with self._world.lock:
                result = self._operations[request.operation](request.region, given)
        except RefusedError as error:
            return error_reply(request, code="ValidationError", message=str(error))
        model = get_service_model("autoscaling").operation_model(request.operation)
        written = QuerySerializer(model).serialize(result)
        body = written["body"]
        data = body.encode() if isinstance(body, str) else body
        headers = (("Content-Type", "text/xml"), ("Content-Length", str(len(data))))
        return Reply(status=written["status_code"], headers=headers, body=data)

    def _describe_instances(self, region: str, given: dict[str, str]) -> dict[str, Any]:
        wanted = _members(given, "InstanceIds")
        return {
            "AutoScalingInstances": [
                {
                    "InstanceId": instance.id,
                    "InstanceType": instance.instance_type,
                    "AutoScalingGroupName": action.group,
                    "AvailabilityZone": instance.availability_zone,
                    "LifecycleState": "Terminating:Wait" if action.waiting else "Terminating:Proceed",
                    "HealthStatus": "HEALTHY",
                    "ImageId": instance.image_id,
                    "ProtectedFromScaleIn": False,
                }
                for instance, action in self._held(region)
                if not wanted or instance.id in wanted
            ]
        }

    def _describe_hooks(self, region: str, given: dict[str, str]) -> dict[str, Any]:
        group, wanted = given["AutoScalingGroupName"], _members(given, "LifecycleHookNames")
        actions = {action.hook: action for _, action in self._held(region) if action.group == group}
        if not actions:
            raise RefusedError("AutoScalingGroup name not found - null")
        return {
            "LifecycleHooks": [
                {
                    "LifecycleHookName": hook,
                    "AutoScalingGroupName": group,
                    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                    "HeartbeatTimeout": action.heartbeat_timeout,
                    "GlobalTimeout": global_timeout(action.heartbeat_timeout),
                    "DefaultResult": "ABANDON",
                }
                for hook, action in sorted(actions.items())
                if not wanted or hook in wanted
            ]
        }

    def _heartbeat(self, region: str, given: dict[str, str]) -> dict[str, Any]:
        instance, action = self._active(region, given)
        await_heartbeat(self._world, instance.id, action)
        return {}

    def _complete(self, region: str, given: dict[str, str]) -> dict[str, Any]:
        result = given["LifecycleActionResult"]
        if result not in RESULTS:
            raise RefusedError(f"LifecycleActionResult must be CONTINUE or ABANDON, not {result}")
        instance, _ = self._active(region, given)
        release(self._world, instance.id)
        return {}

    def _active(self, region: str, given: dict[str, str]) -> tuple[Any, LifecycleAction]:
        """Returns the instance and action that a call names by instance id or by token."""
        token, instance_id = given.get("LifecycleActionToken"), given.get("InstanceId")
        named = (given["AutoScalingGroupName"], given["LifecycleHookName"])
        for instance, action in self._held(region):
            meant = action.token == token if token else instance.id == instance_id
            if meant and action.waiting and (action.group, action.hook) == named:
                return instance, action
        what = f"token {token}" if token else f"instance ID {instance_id}"
        raise RefusedError(f"No active Lifecycle Action found with {what}")

    def _held(self, region: str) -> Iterator[tuple[Any, LifecycleAction]]:
        for instance_id, notice in self._world.notices.told.items():
            if notice.action is None:
                continue
            instance = find_instance(instance_id)
            if instance and instance.state in LIVE and instance.ec2_backend.region_name == region:
                yield instance, notice.action


def find_instance(instance_id: str) -> Any:
    """Returns an instance of any account and Region, or None."""
    found = (backend.get_instance_by_id(instance_id) for backend in ec2_regions())
    return next((instance for instance in found if instance is not None), None)


def global_timeout(heartbeat_timeout: int) -> int:
    """Returns for how many seconds an instance can be held at most."""
    return min(LONGEST_WAIT, MOST_HEARTBEATS * heartbeat_timeout)


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


def _members(given: dict[str, str], name: str) -> set[str]:
    """Returns the values of a list parameter."""
    return {value for key, value in given.items() if key.startswith(f"{name}.member.")}
