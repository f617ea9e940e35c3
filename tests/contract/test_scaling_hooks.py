"""Lifecycle hooks of real groups, by the sandbox's clock.

Auto Scaling user guide, "How lifecycle hooks work", "Amazon EC2 Auto Scaling lifecycle hooks"; API reference,
PutLifecycleHook, CompleteLifecycleAction, RecordLifecycleActionHeartbeat, DeleteLifecycleHook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Found = dict[str, Any]
LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"


@pytest.fixture
def hooked(make_group: Callable[..., str]) -> Callable[..., str]:
    """Makes a group with a hook, of one instance unless told otherwise."""

    def hooked(transition: str, *more: Found, desired: int = 1, **options: object) -> str:
        hook = {"LifecycleHookName": "hook", "LifecycleTransition": transition, **options}
        return make_group(DesiredCapacity=desired, LifecycleHookSpecificationList=[hook, *more])

    return hooked


@pytest.fixture
def complete(scaling: Any, settle: Callable[..., None]) -> Callable[..., None]:
    """Completes the action of an instance's hook."""

    def complete(name: str, instance_id: str, result: str, hook: str = "hook") -> None:
        scaling.complete_lifecycle_action(
            AutoScalingGroupName=name,
            LifecycleHookName=hook,
            InstanceId=instance_id,
            LifecycleActionResult=result,
        )
        settle()

    return complete


@pytest.fixture
def leaving(
    scaling: Any, hooked: Callable[..., str], members: Callable[..., list[Found]], settle: Callable[..., None]
) -> Callable[..., tuple[str, str]]:
    """Makes a group with a termination hook that is scaled in to none; returns it and the instance's id."""

    def leaving(**options: object) -> tuple[str, str]:
        name = hooked(TERMINATING, **options)
        (member,) = members(name, "InService")
        scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
        settle()
        return name, str(member["InstanceId"])

    return leaving


def test_a_launching_hook_holds_a_new_instance(
    hooked: Callable[..., str],
    members: Callable[..., list[Found]],
    complete: Callable[..., None],
    state: Callable[[str], str],
) -> None:
    """It runs, in Pending:Wait, and is in service once the action is completed."""
    name = hooked(LAUNCHING)
    (held,) = members(name)
    assert (held["LifecycleState"], state(held["InstanceId"])) == ("Pending:Wait", "running")
    complete(name, held["InstanceId"], "CONTINUE")
    (member,) = members(name)
    assert (member["InstanceId"], member["LifecycleState"]) == (held["InstanceId"], "InService")


def test_an_abandoned_launch_is_made_up_for(
    scaling: Any,
    hooked: Callable[..., str],
    members: Callable[..., list[Found]],
    complete: Callable[..., None],
    state: Callable[[str], str],
) -> None:
    """ABANDON: the instance is terminated, and another launched, which is held too."""
    name = hooked(LAUNCHING)
    (held,) = members(name)
    complete(name, held["InstanceId"], "ABANDON")
    (again,) = members(name)
    assert (again["LifecycleState"], again["InstanceId"] != held["InstanceId"]) == ("Pending:Wait", True)
    assert state(held["InstanceId"]) == "terminated"
    found = scaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    (abandoned,) = [activity for activity in found if activity["StatusCode"] == "Cancelled"]
    assert "was abandoned: Lifecycle Action Completed with ABANDON Result" in abandoned["StatusMessage"]


@pytest.mark.parametrize(("result", "same"), [("CONTINUE", True), ("ABANDON", False)])
def test_a_launching_hook_that_is_not_heard_of_in_time(
    hooked: Callable[..., str],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
    result: str,
    same: bool,
) -> None:
    """After HeartbeatTimeout the default result counts."""
    name = hooked(LAUNCHING, HeartbeatTimeout=120, DefaultResult=result)
    (held,) = members(name)
    settle(119)
    assert members(name, "Pending:Wait") == [held]
    settle(2)
    (member,) = members(name)
    assert (member["InstanceId"] == held["InstanceId"]) == same


def test_a_terminating_hook_holds_an_instance(
    leaving: Callable[..., tuple[str, str]],
    members: Callable[..., list[Found]],
    complete: Callable[..., None],
    state: Callable[[str], str],
) -> None:
    name, instance = leaving()
    assert [member["LifecycleState"] for member in members(name)] == ["Terminating:Wait"]
    assert state(instance) == "running"
    complete(name, instance, "CONTINUE")
    assert (members(name), state(instance)) == ([], "terminated")


def test_between_completion_and_end(
    scaling: Any,
    leaving: Callable[..., tuple[str, str]],
    members: Callable[..., list[Found]],
    driver: Any,
    code: Callable[..., str],
) -> None:
    """Terminating:Proceed, and no action any more."""
    name, instance = leaving()
    driver.gate.clear()
    asked = {
        "AutoScalingGroupName": name,
        "LifecycleHookName": "hook",
        "InstanceId": instance,
        "LifecycleActionResult": "CONTINUE",
    }
    scaling.complete_lifecycle_action(**asked)
    states = [member["LifecycleState"] for member in members(name)]
    again = code(scaling.complete_lifecycle_action, **asked)
    driver.gate.set()
    assert (states, again) == (["Terminating:Proceed"], "ValidationError")


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_terminating_hook_that_is_not_heard_of_in_time(
    leaving: Callable[..., tuple[str, str]],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
    result: str,
) -> None:
    """It delays and does not prevent, whatever the default result."""
    name, _ = leaving(HeartbeatTimeout=60, DefaultResult=result)
    settle(61)
    assert members(name) == []


def test_a_heartbeat_gives_the_time_anew(
    scaling: Any,
    leaving: Callable[..., tuple[str, str]],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
) -> None:
    """ "extends the timeout by the length of time defined" with the hook, up to the global timeout."""
    name, instance = leaving(HeartbeatTimeout=60)
    asked = {"AutoScalingGroupName": name, "LifecycleHookName": "hook", "InstanceId": instance}
    settle(50)
    scaling.record_lifecycle_action_heartbeat(**asked)
    settle(50)
    assert len(members(name, "Terminating:Wait")) == 1
    settle(11)
    assert members(name) == []


def test_the_global_timeout(
    scaling: Any,
    leaving: Callable[..., tuple[str, str]],
    members: Callable[..., list[Found]],
    clock: Callable[..., Any],
    settle: Callable[..., None],
) -> None:
    """100 times HeartbeatTimeout, however often it is heard of."""
    name, instance = leaving(HeartbeatTimeout=30)
    for _ in range(103):
        clock(29)
        scaling.record_lifecycle_action_heartbeat(
            AutoScalingGroupName=name, LifecycleHookName="hook", InstanceId=instance
        )
    assert len(members(name, "Terminating:Wait")) == 1
    settle(14)
    assert members(name) == []


def test_by_token_of_nobody(
    scaling: Any, leaving: Callable[..., tuple[str, str]], refusal: Callable[..., tuple[str, str]]
) -> None:
    name, _ = leaving()
    nobody = "00000000-0000-0000-0000-000000000000"
    asked = {"AutoScalingGroupName": name, "LifecycleHookName": "hook", "LifecycleActionToken": nobody}
    assert refusal(scaling.record_lifecycle_action_heartbeat, **asked) == (
        "ValidationError",
        f"No active Lifecycle Action found with token {nobody}",
    )


def test_several_hooks(
    scaling: Any,
    hooked: Callable[..., str],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
    complete: Callable[..., None],
) -> None:
    """CONTINUE "allows any other lifecycle hooks to complete"."""
    name = hooked(TERMINATING, {"LifecycleHookName": "second", "LifecycleTransition": TERMINATING})
    (member,) = members(name)
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    settle()
    complete(name, member["InstanceId"], "CONTINUE")
    assert len(members(name, "Terminating:Wait")) == 1
    complete(name, member["InstanceId"], "CONTINUE", hook="second")
    assert members(name) == []


def test_abandon_stops_the_other_hooks(
    scaling: Any,
    hooked: Callable[..., str],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
    complete: Callable[..., None],
) -> None:
    """ABANDON "stops any remaining actions, such as other lifecycle hooks"."""
    name = hooked(TERMINATING, {"LifecycleHookName": "second", "LifecycleTransition": TERMINATING})
    (member,) = members(name)
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    settle()
    complete(name, member["InstanceId"], "ABANDON")
    assert members(name) == []


@pytest.mark.parametrize(("transition", "left"), [(LAUNCHING, 1), (TERMINATING, 0)])
def test_deleting_a_hook_completes_its_actions(
    fleet: Any, hooked: Callable[..., str], transition: str, left: int
) -> None:
    """DeleteLifecycleHook: "ABANDON for launching instances, CONTINUE for terminating instances"."""
    name = hooked(transition)
    (held,) = fleet.members(name)
    if transition == TERMINATING:
        fleet.scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
        fleet.settle()
    fleet.scaling.delete_lifecycle_hook(AutoScalingGroupName=name, LifecycleHookName="hook")
    fleet.settle()
    found = fleet.members(name)
    assert len(found) == left
    assert held["InstanceId"] not in {member["InstanceId"] for member in found}


def test_describing_hooks(scaling: Any, hooked: Callable[..., str]) -> None:
    """LifecycleHook: HeartbeatTimeout 3600 and ABANDON by default, GlobalTimeout 48 hours at most."""
    name = hooked(TERMINATING, desired=0, NotificationMetadata="of ours")
    scaling.put_lifecycle_hook(AutoScalingGroupName=name, LifecycleHookName="hook", DefaultResult="CONTINUE")
    (hook,) = scaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
    assert hook == {
        "LifecycleHookName": "hook",
        "AutoScalingGroupName": name,
        "LifecycleTransition": TERMINATING,
        "NotificationMetadata": "of ours",
        "HeartbeatTimeout": 3600,
        "GlobalTimeout": 172_800,
        "DefaultResult": "CONTINUE",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"LifecycleTransition": "autoscaling:EC2_INSTANCE_SLEEPING"},
        {},
        {"LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 29},
        {"LifecycleTransition": LAUNCHING, "HeartbeatTimeout": 7201},
        {"LifecycleTransition": LAUNCHING, "DefaultResult": "MAYBE"},
    ],
)
def test_hooks_that_are_refused(
    scaling: Any, make_group: Callable[..., str], code: Callable[..., str], wrong: Found
) -> None:
    """PutLifecycleHook: a transition for a new hook, 30 to 7200 seconds, CONTINUE or ABANDON."""
    asked = {"AutoScalingGroupName": make_group(), "LifecycleHookName": "hook", **wrong}
    assert code(scaling.put_lifecycle_hook, **asked) == "ValidationError"
