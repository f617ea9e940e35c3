"""Which notices count, and how long jobs have after each."""

from __future__ import annotations

from signal import SIGQUIT, SIGTERM
from typing import TYPE_CHECKING

import pytest
from drain import MARK
from notices import Notice, read_notices

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.hooks.drain.conftest import Machine, Service

SPOT, REBALANCE = "meta-data/spot/instance-action", "meta-data/events/recommendations/rebalance"
TARGET = "meta-data/autoscaling/target-lifecycle-state"
IN_TWO_MINUTES = '{"action": "terminate", "time": "2027-01-15T08:02:00Z"}'
TERMINATION = "termination by the Auto Scaling group"


def test_nothing_happens_without_a_notice(service: Callable[..., Service], machine: Machine) -> None:
    machine.runner = 7
    machine.metadata[TARGET] = "InService"
    service().pass_time(3600)
    assert (machine.commands, machine.signals, machine.said) == ([], [], [])
    assert list(machine.root.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        (SPOT, IN_TWO_MINUTES, "Spot interruption (terminate) at 2027-01-15T08:02:00Z\n"),
        (
            REBALANCE,
            '{"noticeTime": "2027-01-15T08:00:00Z"}',
            "rebalance recommendation of 2027-01-15T08:00:00Z\n",
        ),
        (TARGET, "Terminated", f"{TERMINATION}\n"),
    ],
)
def test_each_kind_of_notice_stops_work(
    service: Callable[..., Service], machine: Machine, path: str, text: str, reason: str
) -> None:
    machine.runner = 7
    machine.metadata[path] = text
    service().pass_time(5)
    assert (machine.root / MARK).read_text() == reason
    assert machine.signals == [(7, SIGQUIT)]


@pytest.mark.parametrize(
    ("kind", "path", "text"),
    [("spot", SPOT, IN_TWO_MINUTES), ("rebalance", REBALANCE, "{}"), ("termination", TARGET, "Terminated")],
)
def test_only_what_was_asked_for_counts(
    service: Callable[..., Service], machine: Machine, kind: str, path: str, text: str
) -> None:
    others = tuple({"spot", "rebalance", "termination"} - {kind})
    machine.runner = 7
    machine.metadata[path] = text
    service(on=others).pass_time(60)
    assert machine.signals == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TARGET, "InService"),
        (TARGET, "Standby"),
        (TARGET, "Detached"),
        (SPOT, '{"action": "hibernate", "time": "2027-01-15T08:02:00Z"}'),
    ],
)
def test_what_is_no_end(service: Callable[..., Service], machine: Machine, path: str, text: str) -> None:
    machine.runner = 7
    machine.metadata[path] = text
    service().pass_time(60)
    assert machine.signals == []


def test_a_spot_notice_that_is_not_understood_is_one() -> None:
    """Its time is then taken to be AWS's two minutes."""
    assert read_notices({SPOT: "soon"}.get, ["spot"]) == {"spot": Notice("Spot interruption: soon")}


def test_metadata_fails_for_a_while(service: Callable[..., Service], machine: Machine) -> None:
    """What was begun goes on."""
    machine.metadata_answers = False
    draining = service()
    draining.pass_time(60)
    assert machine.said == ["the instance metadata service does not answer"]
    machine.metadata_answers = True
    machine.runner = 7
    machine.terminate()
    draining.pass_time(5)
    machine.metadata_answers = False
    draining.pass_time(60)
    machine.runner = 0
    draining.pass_time(30)
    assert machine.completed == []
    machine.metadata_answers = True
    draining.pass_time(60)
    assert len(machine.completed) == 1


def test_when_the_time_is_up_gitlab_runner_aborts_and_the_group_goes_on(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.runner = 7
    machine.terminate()
    service(timeout=60.0).pass_time(120)
    assert machine.signals == [(7, SIGQUIT), (7, SIGTERM)]
    assert machine.completed == [70]


def test_a_job_over_ssh_has_its_time_too(service: Callable[..., Service], machine: Machine) -> None:
    machine.connect(user=1001)
    machine.terminate()
    service(timeout=60.0).pass_time(120)
    assert machine.signals == []
    assert machine.completed == [70]


def test_a_spot_interruption_is_waited_for_no_longer_than_it_waits(
    service: Callable[..., Service], machine: Machine
) -> None:
    """Two minutes, less what it takes to put things in order."""
    machine.runner = 7
    machine.metadata[SPOT] = IN_TWO_MINUTES
    machine.state = "Terminating:Wait"
    service().pass_time(120)
    assert machine.signals == [(7, SIGQUIT), (7, SIGTERM)]
    assert machine.completed == [110]


def test_a_spot_interruption_of_an_instance_without_a_group(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.metadata[SPOT] = IN_TWO_MINUTES
    service().pass_time(120)
    assert list(machine.times) == ["describe-auto-scaling-instances"]
    assert len(machine.times["describe-auto-scaling-instances"]) == 1


def test_a_rebalance_recommendation_forces_nothing_until_a_spot_notice_does(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.runner = 7
    machine.metadata[REBALANCE] = "{}"
    draining = service(timeout=600.0)
    draining.pass_time(3600)
    assert machine.signals == [(7, SIGQUIT)]
    assert machine.times == {}
    machine.metadata[SPOT] = '{"action": "stop", "time": "2027-01-15T09:02:00Z"}'
    draining.pass_time(120)
    assert machine.signals == [(7, SIGQUIT), (7, SIGTERM)]
    assert (machine.root / MARK).read_text().splitlines() == [
        "rebalance recommendation: {}",
        "Spot interruption (stop) at 2027-01-15T09:02:00Z",
    ]


def test_a_spot_notice_shortens_the_time_after_a_termination(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.runner = 7
    machine.terminate()
    draining = service(timeout=7200.0)
    draining.pass_time(5)
    machine.metadata[SPOT] = IN_TWO_MINUTES
    draining.pass_time(115)
    assert machine.completed == [110]


def test_a_later_termination_lengthens_nothing(service: Callable[..., Service], machine: Machine) -> None:
    machine.runner = 7
    machine.metadata[SPOT] = IN_TWO_MINUTES
    draining = service()
    draining.pass_time(50)
    machine.terminate()
    draining.pass_time(70)
    assert machine.completed == [110]
