"""What the Auto Scaling group is told, and when; and what happens when AWS does not listen."""

from __future__ import annotations

from signal import SIGQUIT
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.hooks.drain.conftest import Machine, Service


def test_the_job_ends_and_then_the_group_may_go_on(service: Callable[..., Service], machine: Machine) -> None:
    machine.runner = 7
    machine.terminate()
    draining = service()
    draining.pass_time(100)
    assert machine.completed == []
    machine.runner = 0
    draining.pass_time(30)
    assert machine.completed == [100]
    assert machine.signals == [(7, SIGQUIT)]
    (command,) = [ran for ran in machine.commands if "complete-lifecycle-action" in ran]
    assert {
        "--lifecycle-hook-name=drain",
        "--auto-scaling-group-name=workers",
        "--instance-id=i-1",
        "--lifecycle-action-result=CONTINUE",
        "--region=eu-central-1",
    } <= set(command)


def test_an_idle_worker_lets_go_at_once(service: Callable[..., Service], machine: Machine) -> None:
    machine.terminate()
    service().pass_time(60)
    assert machine.completed == [15]


def test_heartbeats_come_at_half_of_the_hooks_patience(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.runner = 7
    machine.hooks = {"drain": 120}
    machine.terminate()
    service().pass_time(300)
    assert machine.heartbeats == [0, 60, 120, 180, 240]


def test_heartbeats_end_with_the_time(service: Callable[..., Service], machine: Machine) -> None:
    """Or a worker that may not complete its action would be kept for days."""
    machine.runner = 7
    machine.hooks = {"drain": 30}
    machine.terminate()
    draining = service(timeout=60.0)
    draining.pass_time(65)
    machine.aws_problems = ["An error occurred (AccessDenied)"] * 1000
    draining.pass_time(600)
    assert machine.heartbeats[-1] < 70


def test_the_group_is_not_there_yet(service: Callable[..., Service], machine: Machine) -> None:
    """Metadata has the target state before the instance waits for its hook."""
    machine.terminate()
    machine.state = "Terminating"
    draining = service()
    draining.pass_time(30)
    assert machine.completed == []
    machine.state = "Terminating:Wait"
    draining.pass_time(30)
    assert len(machine.completed) == 1


@pytest.mark.parametrize("state", ["Terminating:Proceed", "Terminated"])
def test_the_group_goes_on_already(service: Callable[..., Service], machine: Machine, state: str) -> None:
    machine.terminate()
    machine.state = state
    service().pass_time(60)
    assert machine.completed == []
    assert machine.times["describe-auto-scaling-instances"] == [0, 15]


def test_an_action_that_is_completed_already_is_no_failure(
    service: Callable[..., Service], machine: Machine
) -> None:
    """The group may wait for another hook still."""
    machine.terminate()
    machine.hook_waits = False
    service().pass_time(60)
    assert len(machine.completed) == 1


@pytest.mark.parametrize(
    ("hooks", "wanted", "completed"),
    [
        ({"launch": 60, "drain": 60}, None, "drain"),
        ({"logs": 60, "drain": 60}, "drain", "drain"),
        ({"logs": 60, "drain": 60}, None, None),
        ({"logs": 60}, "drain", None),
        ({"launch": 60}, None, None),
        ({}, None, None),
    ],
)
def test_which_hook_is_completed(
    service: Callable[..., Service],
    machine: Machine,
    hooks: dict[str, int],
    wanted: str | None,
    completed: str | None,
) -> None:
    """The one that is named, else the only one for terminations: another's is not ours to end."""
    machine.hooks = hooks
    machine.terminate()
    service(hook=wanted).pass_time(60)
    asked = [ran for ran in machine.commands if "complete-lifecycle-action" in ran]
    names = [part.partition("=")[2] for ran in asked for part in ran if part.startswith("--lifecycle-hook-")]
    assert names == ([completed] if completed else [])
    if hooks.keys() == {"logs", "drain"} and completed is None:
        assert any("2 termination hooks" in text for text in machine.said)


def test_aws_fails_for_a_while(service: Callable[..., Service], machine: Machine) -> None:
    """It is asked again, after 5, 10, 20, 40, 60 seconds, and anew the next time; a problem is said once."""
    machine.terminate()
    machine.runner = 7
    machine.aws_problems = ["Could not connect to the endpoint URL"] * 6
    draining = service()
    draining.pass_time(300)
    assert machine.times["describe-auto-scaling-instances"] == [0, 5, 15, 35, 75, 135, 195]
    assert machine.heartbeats == [195]
    assert sum("Could not connect" in text for text in machine.said) == 1
    machine.aws_problems = ["Could not connect to the endpoint URL"]
    draining.pass_time(100)
    assert machine.heartbeats == [195, 345, 350]


def test_there_is_no_aws_program(service: Callable[..., Service], machine: Machine) -> None:
    machine.terminate()
    machine.aws_problems = ["aws is not installed"] * 1000
    service().pass_time(300)
    assert "describe-auto-scaling-instances: aws is not installed" in machine.said


@pytest.mark.parametrize("unknown", ["meta-data/instance-id", "meta-data/placement/region"])
def test_the_instance_does_not_know_yet_who_and_where_it_is(
    service: Callable[..., Service], machine: Machine, unknown: str
) -> None:
    machine.terminate()
    text = machine.metadata.pop(unknown)
    draining = service()
    draining.pass_time(60)
    assert machine.times == {}
    machine.metadata[unknown] = text
    draining.pass_time(60)
    assert len(machine.completed) == 1
