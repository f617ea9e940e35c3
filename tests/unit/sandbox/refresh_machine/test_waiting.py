"""What an instance refresh waits for, and for how long.

User guide, "How an instance refresh works in an Auto Scaling group", "Add checkpoints to an instance
refresh"; API reference, RefreshPreferences and InstanceRefresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.scaling.model import IN_SERVICE, STANDBY
from amifactory.sandbox.scaling.refresh_state import Protected, Standby, Status

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600


def test_it_is_pending_until_it_has_begun(fleet: Callable[..., Any]) -> None:
    workers = fleet()
    refresh = workers.start()
    assert (refresh.status, refresh.started_at) == (Status.PENDING, None)
    workers.tick()
    assert refresh.status is Status.IN_PROGRESS
    assert refresh.started_at is not None


def test_warm_up(fleet: Callable[..., Any]) -> None:
    """ "It waits for the warmup period before it moves on to replacing the next instance"."""
    workers = fleet(2)
    refresh = workers.start(warmup=300)
    for _ in range(3):
        workers.tick(1)
    assert workers.versions() == [1, 2]
    new = next(member for member in workers.group.members if member.template_version == 2)
    assert refresh.status_reason == (
        f"Waiting for instances to warm up before continuing. For example: {new.instance_id} is warming up."
    )
    assert (refresh.percent, refresh.to_update) == (0, 1)
    workers.tick(299)
    assert workers.versions() == [1, 2]
    workers.tick(1)
    assert workers.versions() == [2]
    assert (refresh.percent, refresh.to_update) == (50, 1)


def test_none_to_update_does_not_mean_that_it_is_over(fleet: Callable[..., Any]) -> None:
    workers = fleet(1)
    refresh = workers.start(warmup=300)
    for _ in range(3):
        workers.tick(1)
    assert (refresh.status, refresh.to_update, refresh.percent) == (Status.IN_PROGRESS, 0, 0)
    assert workers.run(100) is Status.SUCCESSFUL
    assert (refresh.to_update, refresh.percent) == (0, 100)


def test_skip_matching(fleet: Callable[..., Any]) -> None:
    """ "Ignore instances that already have your latest updates"."""
    workers = fleet(3)
    workers.group.members[0].template_version = 2
    kept = workers.group.members[0].instance_id
    refresh = workers.start(skip_matching=True)
    workers.tick()
    assert refresh.to_update == 2
    assert workers.run() is Status.SUCCESSFUL
    assert kept in workers.ids()


def test_when_all_match_it_succeeds_immediately(fleet: Callable[..., Any]) -> None:
    workers = fleet(3)
    kept = workers.ids()
    refresh = workers.start(desired="1", skip_matching=True, bake=HOUR)
    workers.tick()
    assert (refresh.status, refresh.percent) == (Status.SUCCESSFUL, 100)
    assert workers.ids() == kept


def test_skip_matching_without_a_desired_configuration_is_by_the_groups_own(
    fleet: Callable[..., Any],
) -> None:
    workers = fleet(2)
    workers.group.configuration["LaunchTemplate"]["Version"] = "3"
    workers.start(desired=None, skip_matching=True)
    assert workers.run() is Status.SUCCESSFUL
    assert workers.versions() == [3, 3]


def test_checkpoints(fleet: Callable[..., Any]) -> None:
    """The user guide's example: ten instances, checkpoints of 20, 50 and 100, two at a time."""
    workers = fleet(10)
    refresh = workers.start(min_healthy=80, checkpoints=(20, 50, 100), checkpoint_delay=HOUR)
    held = []
    for _ in range(100):
        workers.tick(100)
        if refresh.hold_until is not None:
            held.append(workers.versions().count(2))
    assert sorted(set(held)) == [2, 5]
    assert held.count(2) == held.count(5) == HOUR // 100
    assert workers.run() is Status.SUCCESSFUL


def test_a_checkpoint_that_was_passed_is_skipped(fleet: Callable[..., Any]) -> None:
    """ "Your Auto Scaling group has two instances and your checkpoint percentages are [10,40,100]"."""
    workers = fleet(2)
    refresh = workers.start(checkpoints=(10, 40, 100), checkpoint_delay=HOUR)
    for _ in range(5):
        workers.tick(1)
    assert workers.versions() == [1, 2]
    assert refresh.status_reason is not None
    assert "40 percent" in refresh.status_reason
    workers.tick(HOUR)
    assert workers.run() is Status.SUCCESSFUL


def test_checkpoints_that_end_early_replace_a_part_only(fleet: Callable[..., Any]) -> None:
    """ "To replace all instances in the Auto Scaling group, the last number in the array must be 100"."""
    workers = fleet(4)
    workers.start(checkpoints=(50,), checkpoint_delay=60)
    assert workers.run(10) is Status.SUCCESSFUL
    assert workers.versions() == [1, 1, 2, 2]


def test_bake_time(fleet: Callable[..., Any]) -> None:
    """ "Waiting the specified bake time after an instance refresh has finished updating instances"."""
    workers = fleet(1)
    refresh = workers.start(bake=600)
    while refresh.status is not Status.BAKING:
        workers.tick(1)
    assert workers.group.configuration["LaunchTemplate"]["Version"] == "1"
    assert workers.tick(599) is Status.BAKING
    assert workers.tick(1) is Status.SUCCESSFUL


def test_protected_instances_are_waited_for_for_one_hour(fleet: Callable[..., Any]) -> None:
    """ "Waits one hour for you to remove scale-in protection. Otherwise, the instance refresh will fail"."""
    workers = fleet(2)
    first = workers.group.members[0]
    first.protected = True
    refresh = workers.start()
    for _ in range(10):
        workers.tick(1)
    assert workers.versions() == [1, 2]
    assert refresh.status_reason == (
        f"Waiting for remaining instances to be available. For example: {first.instance_id} is protected. "
        "Remove instance scale-in protection to continue."
    )
    assert workers.tick(HOUR - 20) is Status.IN_PROGRESS
    assert workers.tick(20) is Status.FAILED
    assert workers.versions() == [1, 2]


def test_it_goes_on_once_protection_is_removed(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    workers.group.members[0].protected = True
    workers.start()
    for _ in range(10):
        workers.tick(1)
    workers.group.members[0].protected = False
    workers.tick(HOUR - 20)
    assert workers.run() is Status.SUCCESSFUL
    assert workers.versions() == [2, 2]


def test_protected_instances_are_ignored(fleet: Callable[..., Any]) -> None:
    """It "continues to replace instances that are not protected" and succeeds with old ones left."""
    workers = fleet(2)
    workers.group.members[0].protected = True
    workers.start(protected=Protected.IGNORE)
    assert workers.run() is Status.SUCCESSFUL
    assert workers.versions() == [1, 2]
    assert workers.group.configuration["LaunchTemplate"]["Version"] == "2"


def test_protected_instances_are_replaced_when_told_to(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    for member in workers.group.members:
        member.protected = True
    workers.start(protected=Protected.REFRESH)
    assert workers.run() is Status.SUCCESSFUL
    assert workers.versions() == [2, 2]


@pytest.mark.parametrize(
    ("standby", "status", "versions"),
    [
        (Standby.WAIT, Status.FAILED, [1, 2]),
        (Standby.IGNORE, Status.SUCCESSFUL, [1, 2]),
        (Standby.TERMINATE, Status.SUCCESSFUL, [2]),
    ],
)
def test_instances_in_standby(
    fleet: Callable[..., Any], standby: Standby, status: Status, versions: list[int]
) -> None:
    """API reference, RefreshPreferences, StandbyInstances. They do not count towards the desired capacity."""
    workers = fleet(2)
    workers.group.members[0].state = STANDBY
    workers.group.desired = 1
    workers.start(standby=standby)
    assert workers.run(60) is status
    assert workers.versions() == versions


@pytest.mark.parametrize("process", ["InstanceRefresh", "Launch", "Terminate"])
def test_a_suspended_process_pauses_it_silently(fleet: Callable[..., Any], process: str) -> None:
    """User guide, "Suspend and resume processes"; the hour does not run meanwhile."""
    workers = fleet(2)
    refresh = workers.start()
    workers.tick(1)
    workers.tick(1)
    workers.group.suspended.add(process)
    before = workers.ids()
    for _ in range(5):
        workers.tick(HOUR)
    assert (refresh.status, workers.ids()) == (Status.IN_PROGRESS, before)
    workers.group.suspended.clear()
    assert workers.run() is Status.SUCCESSFUL


def test_replacements_that_never_become_healthy_fail_it_after_one_hour(fleet: Callable[..., Any]) -> None:
    """ "It will eventually fail, leaving the other 90 percent of the group untouched"."""
    workers = fleet(10)
    old = workers.ids()
    workers.bad = {2}
    refresh = workers.start()
    started = workers.clock.now()
    assert workers.run(10, steps=500) is Status.FAILED
    assert HOUR <= workers.clock.now() - started < HOUR + 100
    assert len(old & workers.ids()) == 9
    assert "did not become healthy" in str(refresh.status_reason)


def test_launches_that_fail_fail_it_after_one_hour(fleet: Callable[..., Any]) -> None:
    workers = fleet(2)
    workers.start(min_healthy=100)
    workers.launches = False
    assert workers.run(60) is Status.FAILED
    assert workers.versions() == [1, 1]
    assert workers.clock.now() >= HOUR


def test_a_launch_hook_is_waited_for_longer_than_an_hour(fleet: Callable[..., Any]) -> None:
    """User guide, "How lifecycle hooks work": Pending:Wait is not unhealthy."""
    workers = fleet(1)
    refresh = workers.start()
    workers.launch_hook = True
    for _ in range(5):
        workers.tick(HOUR)
    assert refresh.status is Status.IN_PROGRESS
    workers.launch_hook = False
    assert workers.run() is Status.SUCCESSFUL


def test_terminations_under_way_are_part_of_a_batch(fleet: Callable[..., Any]) -> None:
    """Terminate-first, the next one goes when the last is gone; then the end waits for the last one too."""
    workers = fleet(2)
    refresh = workers.start()
    workers.terminate_hook = True
    for _ in range(5):
        workers.tick(HOUR)
    assert workers.versions() == [1, 2]
    assert refresh.status is Status.IN_PROGRESS
    workers.release()
    for _ in range(5):
        workers.tick(HOUR)
    assert workers.versions() == [2, 2]
    assert refresh.status is Status.IN_PROGRESS
    workers.release()
    assert workers.run() is Status.SUCCESSFUL


def test_scale_out_launches_the_desired_configuration(fleet: Callable[..., Any]) -> None:
    """ "Launches new instances with the desired configuration instead of the group's current settings"."""
    workers = fleet(2)
    workers.start(warmup=300)
    workers.tick(1)
    workers.group.desired = 4
    workers.tick(1)
    assert workers.versions() == [1, 2, 2, 2]
    assert workers.run(100) is Status.SUCCESSFUL
    assert workers.versions() == [2] * 4


def test_a_default_version_that_moves_has_new_instances_replaced_again(fleet: Callable[..., Any]) -> None:
    """With $Default as the desired version, which is why one should pass numbers."""
    workers = fleet(3)
    workers.default = 2
    refresh = workers.start(desired="$Default")
    while workers.versions().count(2) < 2:
        workers.tick(1)
    workers.default = 3
    assert workers.run() is Status.SUCCESSFUL
    assert workers.versions() == [3] * 3
    assert refresh.percent == 100


def test_unhealthy_old_instances_go_first(fleet: Callable[..., Any]) -> None:
    workers = fleet(4)
    workers.group.members[2].state, workers.boots = "Pending", False
    workers.start(min_healthy=75)
    workers.tick()
    assert workers.group.members[2].leaving
    assert [member.state for member in workers.group.members].count(IN_SERVICE) == 3


def test_fourteen_days_are_the_most(fleet: Callable[..., Any]) -> None:
    """User guide, limitations: total duration."""
    workers = fleet(2)
    refresh = workers.start(checkpoints=(50, 100), checkpoint_delay=172800)
    workers.launch_hook = True
    for _ in range(14):
        workers.tick(24 * HOUR)
        assert refresh.status is Status.IN_PROGRESS
    workers.tick(24 * HOUR)
    assert refresh.status is Status.FAILED
