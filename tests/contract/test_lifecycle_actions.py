"""Lifecycle actions of instances of no group that were given notice of termination.

Auto Scaling user guide, "Amazon EC2 Auto Scaling lifecycle hooks", and API reference. The texts of errors,
which AWS does not document, are those that clients report.
"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.driver import ServerSettings
    from amifactory.sandbox.ec2_world import World

HOOK = {"LifecycleHookName": "drain", "AutoScalingGroupName": "workers"}


@pytest.fixture
def autoscaling(client: Callable[..., Any]) -> Any:
    return client("autoscaling")


@pytest.fixture
def held(settings: ServerSettings, world: World, run: Callable[..., str], driver: Any) -> Callable[..., str]:
    """Runs an instance that its group then wants to be rid of, and returns its id."""
    del driver

    def held(**options: object) -> str:
        instance_id = run()
        world.work.wait(5)
        given = {"hook": "drain", "group": "workers", "heartbeat_timeout": 300, **options}
        connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=5)
        document = {"instance_id": instance_id, "event": "termination", **given}
        connection.request("POST", "/amifactory/notices", body=json.dumps(document))
        assert connection.getresponse().status == 200
        connection.close()
        return instance_id

    return held


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """Returns code and text of the error a call is refused with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_instance_in_no_group_is_ignored(autoscaling: Any, run: Callable[..., str]) -> None:
    """DescribeAutoScalingInstances: "If you specify an ID that does not exist, it is ignored"."""
    assert autoscaling.describe_auto_scaling_instances(InstanceIds=[run()])["AutoScalingInstances"] == []


def test_a_held_instance(autoscaling: Any, held: Callable[..., str], state: Callable[[str], str]) -> None:
    """It runs on, its lifecycle state is Terminating:Wait."""
    instance = held()
    other = held()
    (found,) = autoscaling.describe_auto_scaling_instances(InstanceIds=[instance])["AutoScalingInstances"]
    assert (found["InstanceId"], found["AutoScalingGroupName"], found["LifecycleState"]) == (
        instance,
        "workers",
        "Terminating:Wait",
    )
    assert found["AvailabilityZone"] == "eu-central-1a"
    assert found["ProtectedFromScaleIn"] is False
    assert state(instance) == "running"
    every = autoscaling.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert {instance, other} <= {found["InstanceId"] for found in every}


def test_other_regions_know_nothing_of_it(client: Callable[..., Any], held: Callable[..., str]) -> None:
    elsewhere = client("autoscaling", "us-west-2")
    assert elsewhere.describe_auto_scaling_instances(InstanceIds=[held()])["AutoScalingInstances"] == []


def test_the_groups_hooks(autoscaling: Any, held: Callable[..., str]) -> None:
    """LifecycleHook: GlobalTimeout is 100 times HeartbeatTimeout, 48 hours at most."""
    held(group="described", hook="drain", heartbeat_timeout=300)
    held(group="described", hook="slow", heartbeat_timeout=7200)
    hooks = autoscaling.describe_lifecycle_hooks(AutoScalingGroupName="described")["LifecycleHooks"]
    assert [
        (hook["LifecycleHookName"], hook["HeartbeatTimeout"], hook["GlobalTimeout"]) for hook in hooks
    ] == [("drain", 300, 30000), ("slow", 7200, 172800)]
    assert {hook["LifecycleTransition"] for hook in hooks} == {"autoscaling:EC2_INSTANCE_TERMINATING"}
    named = autoscaling.describe_lifecycle_hooks(
        AutoScalingGroupName="described", LifecycleHookNames=["slow"]
    )
    assert [hook["LifecycleHookName"] for hook in named["LifecycleHooks"]] == ["slow"]


def test_hooks_of_a_group_that_is_not_there(autoscaling: Any) -> None:
    assert refusal(autoscaling.describe_lifecycle_hooks, AutoScalingGroupName="nobody") == (
        "ValidationError",
        "AutoScalingGroup name not found - null",
    )


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_completing_the_action_terminates_the_instance(
    autoscaling: Any, held: Callable[..., str], world: World, state: Callable[[str], str], result: str
) -> None:
    """ "If the instance is terminating, both ABANDON and CONTINUE allow the instance to terminate"."""
    instance = held()
    autoscaling.complete_lifecycle_action(**HOOK, InstanceId=instance, LifecycleActionResult=result)
    world.work.wait(5)
    assert state(instance) == "terminated"
    assert autoscaling.describe_auto_scaling_instances(InstanceIds=[instance])["AutoScalingInstances"] == []


def test_between_completion_and_end(autoscaling: Any, held: Callable[..., str], driver: Any) -> None:
    """The instance is in Terminating:Proceed, and there is no action any more."""
    instance = held()
    driver.gate.clear()
    autoscaling.complete_lifecycle_action(**HOOK, InstanceId=instance, LifecycleActionResult="CONTINUE")
    (found,) = autoscaling.describe_auto_scaling_instances(InstanceIds=[instance])["AutoScalingInstances"]
    assert found["LifecycleState"] == "Terminating:Proceed"
    again = refusal(
        autoscaling.complete_lifecycle_action, **HOOK, InstanceId=instance, LifecycleActionResult="CONTINUE"
    )
    driver.gate.set()
    assert again == ("ValidationError", f"No active Lifecycle Action found with instance ID {instance}")


@pytest.mark.parametrize(
    "wrong", [{"LifecycleHookName": "other"}, {"AutoScalingGroupName": "other"}, {"InstanceId": "i-0"}]
)
@pytest.mark.parametrize("operation", ["complete_lifecycle_action", "record_lifecycle_action_heartbeat"])
def test_no_such_action(
    autoscaling: Any,
    held: Callable[..., str],
    state: Callable[[str], str],
    operation: str,
    wrong: dict[str, str],
) -> None:
    instance = held()
    more = {"LifecycleActionResult": "CONTINUE"} if operation.startswith("complete") else {}
    asked = {**HOOK, "InstanceId": instance, **more, **wrong}
    assert refusal(getattr(autoscaling, operation), **asked) == (
        "ValidationError",
        f"No active Lifecycle Action found with instance ID {asked['InstanceId']}",
    )
    assert state(instance) == "running"


def test_by_token(
    autoscaling: Any, held: Callable[..., str], world: World, state: Callable[[str], str]
) -> None:
    """The token that a notification target is sent names the action as well as the instance's id does."""
    instance, nobody = held(), "00000000-0000-0000-0000-000000000000"
    action = world.notices.of(instance).action
    assert action is not None
    assert refusal(autoscaling.record_lifecycle_action_heartbeat, **HOOK, LifecycleActionToken=nobody) == (
        "ValidationError",
        f"No active Lifecycle Action found with token {nobody}",
    )
    autoscaling.complete_lifecycle_action(
        **HOOK, LifecycleActionToken=action.token, LifecycleActionResult="CONTINUE"
    )
    world.work.wait(5)
    assert state(instance) == "terminated"


def test_what_is_neither_continue_nor_abandon(autoscaling: Any, held: Callable[..., str]) -> None:
    code, _ = refusal(
        autoscaling.complete_lifecycle_action, **HOOK, InstanceId=held(), LifecycleActionResult="MAYBE"
    )
    assert code == "ValidationError"


def test_a_hook_that_is_not_heard_of_in_time(
    held: Callable[..., str], world: World, state: Callable[[str], str]
) -> None:
    """After HeartbeatTimeout the group goes on; whatever the default result, the instance ends."""
    instance = held(heartbeat_timeout=30)
    left = world.notices.alarms.left(f"lifecycle-{instance}")
    assert left is not None
    assert 25 < left <= 30
    world.notices.alarms.ring(f"lifecycle-{instance}")
    world.work.wait(5)
    assert state(instance) == "terminated"


def test_a_heartbeat_gives_the_time_anew(autoscaling: Any, held: Callable[..., str], world: World) -> None:
    """RecordLifecycleActionHeartbeat "extends the timeout by the length of time defined" with the hook."""
    instance = held(heartbeat_timeout=30)
    world.notices.alarms.set(f"lifecycle-{instance}", 5, lambda: None)
    autoscaling.record_lifecycle_action_heartbeat(**HOOK, InstanceId=instance)
    left = world.notices.alarms.left(f"lifecycle-{instance}")
    assert left is not None
    assert 25 < left <= 30


def test_without_a_hook_it_goes_at_once(
    held: Callable[..., str], world: World, state: Callable[[str], str]
) -> None:
    instance = held(hook=None)
    world.work.wait(5)
    assert state(instance) == "terminated"


@pytest.mark.parametrize("operation", ["describe_launch_configurations", "describe_policies"])
def test_the_rest_of_auto_scaling_is_refused(autoscaling: Any, operation: str) -> None:
    code, message = refusal(getattr(autoscaling, operation))
    assert code == "InvalidAction"
    assert "The sandbox has not got autoscaling:Describe" in message
