"""How an instance refresh ends: success, failure, cancellation, rollback.

User guide, "How an instance refresh works", "Cancel an instance refresh", "Undo changes with a rollback"; API
reference, InstanceRefresh and RollbackDetails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amifactory.sandbox.scaling import refresh as machine
from amifactory.sandbox.scaling.refresh_state import Status

if TYPE_CHECKING:
    from collections.abc import Callable


def saved(workers: Any) -> str:
    return str(workers.group.configuration["LaunchTemplate"]["Version"])


def until(workers: Any, new: int) -> None:
    """Ticks until so many instances of version 2 are in service."""
    for _ in range(100):
        if (
            sum(1 for member in workers.staying() if member.template_version == 2 and member.in_service_at)
            >= new
        ):
            return
        workers.tick(1)
    raise AssertionError(workers.versions())


def test_success_saves_the_desired_configuration(fleet: Callable[..., Any]) -> None:
    """ "After the instance refresh succeeds, [it] updates the Auto Scaling group settings"."""
    workers = fleet(2)
    refresh = workers.start()
    workers.tick()
    assert (saved(workers), workers.group.launches["LaunchTemplate"]["Version"]) == ("1", "2")
    assert workers.run() is Status.SUCCESSFUL
    assert (saved(workers), workers.group.pending_configuration) == ("2", None)
    assert machine.active(workers.group) is None
    assert (refresh.percent, refresh.status_reason) == (100, None)
    assert refresh.ended_at is not None


def test_without_a_desired_configuration_the_groups_own_is_launched(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    old = workers.ids()
    workers.start(desired=None)
    assert workers.run() is Status.SUCCESSFUL
    assert workers.versions() == [1, 1]
    assert not old & workers.ids()


def test_no_instances(fleet: Callable[..., Any]) -> None:
    """Nothing to replace: successful at once, and the desired configuration is saved."""
    workers = fleet(0)
    refresh = workers.start(auto_rollback=True, bake=600)
    workers.tick()
    assert (refresh.status, refresh.percent, saved(workers)) == (Status.SUCCESSFUL, 100, "2")


def test_an_alarm_fails_it(fleet: Callable[..., Any]) -> None:
    """Failed leaves a mixed fleet and the old configuration."""
    workers = fleet(2)
    workers.alarms = {"errors": "INSUFFICIENT_DATA"}
    refresh = workers.start(alarms=("errors", "not-there"), warmup=60)
    until(workers, 1)
    workers.alarms = {"errors": "ALARM"}
    workers.tick(1)
    assert refresh.status is Status.FAILED
    assert "errors" in str(refresh.status_reason)
    assert (workers.versions(), saved(workers)) == ([1, 2], "1")
    assert workers.group.pending_configuration is None


def test_an_alarm_that_is_on_already_fails_it_at_once(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    workers.alarms = {"errors": "ALARM"}
    workers.start(alarms=("errors",))
    workers.tick()
    assert workers.refresh.status is Status.FAILED
    assert workers.versions() == [1, 1]


def test_an_alarm_during_the_bake_time_rolls_it_back(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    refresh = workers.start(alarms=("errors",), auto_rollback=True, bake=600)
    while refresh.status is not Status.BAKING:
        workers.tick(1)
    workers.alarms = {"errors": "ALARM"}
    assert workers.tick(1) is Status.ROLLBACK_IN_PROGRESS
    assert workers.run() is Status.ROLLBACK_SUCCESSFUL
    assert (workers.versions(), saved(workers)) == ([1, 1], "1")
    assert (refresh.rollback.percent, refresh.rollback.to_update) == (100, 0)
    assert refresh.rollback.reason.startswith("Automatic rollback")


def test_a_rollback_replaces_what_was_replaced(fleet: Callable[..., Any]) -> None:
    """The percentage goes back down; what was not updated is not replaced and goes on being counted."""
    workers = fleet(4)
    refresh = workers.start(warmup=60)
    for _ in range(4):
        workers.tick(30)
    assert workers.versions() == [1, 1, 2, 2] or workers.versions() == [1, 1, 1, 2]
    untouched = {member.instance_id for member in workers.staying() if member.template_version == 1}
    percent, left = refresh.percent, refresh.to_update
    machine.roll_back(workers, workers.group, refresh, reason="by hand")
    assert refresh.status is Status.ROLLBACK_IN_PROGRESS
    assert (refresh.rollback.percent, refresh.rollback.to_update) == (percent, left)
    seen = [percent]
    while machine.active(workers.group):
        workers.tick(30)
        seen.append(refresh.percent)
    assert seen == sorted(seen, reverse=True)
    assert (refresh.status, refresh.percent, refresh.to_update) == (Status.ROLLBACK_SUCCESSFUL, 0, left)
    assert workers.versions() == [1] * 4
    assert untouched <= workers.ids()


def test_a_rollback_that_launched_ahead_takes_no_old_instance(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    old = workers.ids()
    refresh = workers.start(min_healthy=100, warmup=60)
    workers.tick(1)
    workers.tick(1)
    assert workers.versions() == [1, 1, 2]
    machine.roll_back(workers, workers.group, refresh, reason="by hand")
    assert workers.run() is Status.ROLLBACK_SUCCESSFUL
    assert workers.ids() == old


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(1, 8),
    lowest=st.integers(0, 100),
    highest=st.none() | st.integers(100, 200),
    steps=st.integers(0, 12),
    by_rollback=st.booleans(),
)
def test_at_any_moment_it_can_be_rolled_back_or_cancelled(
    fleet: Callable[..., Any], *, size: int, lowest: int, highest: int | None, steps: int, by_rollback: bool
) -> None:
    """A rollback takes none of the old instances that are left; cancelling leaves as many as desired."""
    workers = fleet(size)
    refresh = workers.start(min_healthy=lowest, max_healthy=highest, warmup=20, bake=1000)
    for _ in range(steps):
        workers.tick(10)
    left = {member.instance_id for member in workers.staying() if member.template_version == 1}
    if by_rollback:
        machine.roll_back(workers, workers.group, refresh, reason="by hand")
        assert machine.active(workers.group) is None or workers.run(10) is Status.ROLLBACK_SUCCESSFUL
        assert workers.versions() == [1] * size
        assert left <= workers.ids()
    else:
        machine.cancel(workers, workers.group, refresh, wait=True)
        assert machine.active(workers.group) is None or workers.run(10) is Status.CANCELLED
    workers.tick()
    workers.tick()
    workers.tick()
    assert len(workers.staying()) == size
    assert (saved(workers), workers.group.surge) == ("1", 0)


def test_a_refresh_that_has_not_begun_has_nothing_to_roll_back(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    old = workers.ids()
    refresh = workers.start()
    machine.roll_back(workers, workers.group, refresh, reason="by hand")
    assert refresh.status is Status.ROLLBACK_SUCCESSFUL
    workers.tick()
    assert workers.ids() == old


def test_a_rollback_fails_after_one_hour_too(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    refresh = workers.start()
    until(workers, 1)
    workers.launches = False
    machine.roll_back(workers, workers.group, refresh, reason="by hand")
    assert workers.run(60) is Status.ROLLBACK_FAILED
    assert "could not be launched" in str(refresh.status_reason)
    assert (saved(workers), workers.group.pending_configuration) == ("1", None)


def test_cancelling_waits_for_what_is_under_way(fleet: Callable[..., Any]) -> None:
    """Cancellation "prevents new replacements from being started" and leaves what has been replaced."""
    workers = fleet(4)
    refresh = workers.start(min_healthy=50)
    workers.tick(1)
    workers.boots = False
    workers.tick(1)
    machine.cancel(workers, workers.group, refresh, wait=True)
    assert refresh.status is Status.CANCELLING
    workers.tick(1)
    assert refresh.status is Status.CANCELLING
    workers.boots = True
    assert workers.run() is Status.CANCELLED
    assert (workers.versions(), saved(workers)) == ([1, 1, 2, 2], "1")
    assert workers.group.pending_configuration is None


def test_cancelling_keeps_what_was_launched_ahead_until_it_is_in_service(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    refresh = workers.start(min_healthy=100)
    workers.tick(1)
    workers.boots = False
    workers.tick(1)
    machine.cancel(workers, workers.group, refresh, wait=True)
    workers.tick(1)
    assert workers.versions() == [1, 1, 2]
    workers.boots = True
    assert workers.run() is Status.CANCELLED
    workers.tick(1)
    assert len(workers.versions()) == 2


def test_what_was_launched_ahead_goes_when_it_fails(fleet: Callable[..., Any]) -> None:
    """Not an instance in service, which scale-in might take for it."""
    workers = fleet(2)
    old = workers.ids()
    workers.start(min_healthy=100, alarms=("errors",))
    workers.tick(1)
    workers.boots = False
    workers.tick(1)
    workers.alarms = {"errors": "ALARM"}
    assert workers.run() is Status.FAILED
    workers.tick(1)
    assert workers.ids() == old


def test_cancelling_without_waiting(fleet: Callable[..., Any]) -> None:
    """ "Cancels the instance refresh without waiting for any pending launches or terminations"."""
    workers = fleet(4)
    refresh = workers.start(min_healthy=50)
    workers.tick(1)
    machine.cancel(workers, workers.group, refresh, wait=False)
    assert refresh.status is Status.CANCELLED
    assert refresh.ended_at is not None


def test_a_rollback_can_be_cancelled(fleet: Callable[..., Any]) -> None:
    """API reference, CancelInstanceRefresh: "an instance refresh or rollback that is in progress"."""
    workers = fleet(4)
    refresh = workers.start()
    until(workers, 2)
    machine.roll_back(workers, workers.group, refresh, reason="by hand")
    machine.cancel(workers, workers.group, refresh, wait=True)
    assert workers.run() is Status.CANCELLED
    assert saved(workers) == "1"


def test_a_cancelled_refresh_goes_on_being_cancelled_while_suspended(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    refresh = workers.start()
    workers.tick(1)
    workers.group.suspended.add("InstanceRefresh")
    machine.cancel(workers, workers.group, refresh, wait=True)
    assert workers.run() is Status.CANCELLED
