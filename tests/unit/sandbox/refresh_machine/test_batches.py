"""In which batches an instance refresh replaces instances.

User guide, "How an instance refresh works in an Auto Scaling group"; API reference, RefreshPreferences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amifactory.sandbox.scaling.model import TERMINATING
from amifactory.sandbox.scaling.refresh_batches import Bounds, bounds
from amifactory.sandbox.scaling.refresh_state import Preferences, Status

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("desired", "lowest", "highest", "floor", "surge"),
    [
        (10, 90, None, 9, 0),  # the default: ten percent at a time
        (10, 90, 100, 9, 0),
        (10, 90, 120, 9, 2),
        (100, 90, 120, 90, 20),  # "might have as few as 90 instances and as many as 120"
        (10, 100, None, 10, 1),  # launches before it terminates
        (10, 100, 150, 10, 5),
        (10, 0, None, 0, 0),  # all at once
        (3, 90, None, 2, 0),  # no room: one is terminated and launched simultaneously
        (3, 90, 100, 3, 1),  # no room, and explicit: launched first
        (1, 50, 110, 1, 1),
    ],
)
def test_bounds(desired: int, lowest: int, highest: int | None, floor: int, surge: int) -> None:
    """An explicit MaxHealthyPercentage of 100 "is not equivalent to omitting it"."""
    preferences = Preferences(min_healthy=lowest, max_healthy=highest)
    assert bounds(preferences, desired=desired) == Bounds(floor=floor, surge=surge)


def test_a_weight_as_large_as_the_group_replaces_everything_at_once() -> None:
    """User guide, limitations: difference in behavior specific to weighted groups."""
    assert bounds(Preferences(), desired=4, heaviest=4) == Bounds(floor=0, surge=0)


def test_ten_percent_at_a_time_by_default(fleet: Callable[..., Any]) -> None:
    workers = fleet(10)
    workers.start()
    assert workers.run() is Status.SUCCESSFUL
    assert (workers.fewest, workers.most) == (9, 10)
    assert workers.versions() == [2] * 10


def test_one_hundred_percent_launches_before_it_terminates(fleet: Callable[..., Any]) -> None:
    """ "Launch the new instances first […] if the minimum healthy percentage is set to 100 percent"."""
    workers = fleet(3)
    workers.start(min_healthy=100)
    assert workers.run() is Status.SUCCESSFUL
    assert (workers.fewest, workers.most) == (3, 4)
    assert workers.versions() == [2] * 3


def test_zero_percent_replaces_all_at_once(fleet: Callable[..., Any]) -> None:
    workers = fleet(5)
    workers.start(min_healthy=0)
    workers.tick()
    assert {member.state for member in workers.group.members} == {TERMINATING}
    assert workers.run() is Status.SUCCESSFUL


def test_a_range_around_one_hundred_uses_both_sides_of_it(fleet: Callable[..., Any]) -> None:
    """ "A larger range increases the number of instances that can be replaced at the same time"."""
    workers = fleet(10)
    workers.start(min_healthy=90, max_healthy=120)
    assert workers.run() is Status.SUCCESSFUL
    assert (workers.fewest, workers.most) == (9, 12)


def test_a_single_instance(fleet: Callable[..., Any]) -> None:
    """Where both bounds leave no room, only an explicit maximum launches first."""
    omitted, explicit = fleet(1), fleet(1)
    omitted.start()
    explicit.start(max_healthy=100)
    assert omitted.run() is Status.SUCCESSFUL
    assert explicit.run() is Status.SUCCESSFUL
    assert (omitted.fewest, omitted.most) == (0, 1)
    assert (explicit.fewest, explicit.most) == (1, 2)


def test_weights_count_as_capacity(fleet: Callable[..., Any]) -> None:
    """Percentages are of the desired capacity, which is in the units of the weights."""
    workers = fleet(4)
    for member in workers.group.members:
        member.weight = 2
    workers.group.desired = 8
    workers.start(min_healthy=50)
    workers.tick()
    assert [member.leaving for member in workers.group.members].count(True) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    desired=st.integers(0, 12),
    lowest=st.integers(0, 100),
    highest=st.none() | st.integers(100, 200),
    warmup=st.sampled_from([0, 60]),
)
def test_every_refresh_ends_and_stays_within_its_bounds(
    fleet: Callable[..., Any], desired: int, lowest: int, highest: int | None, warmup: int
) -> None:
    workers = fleet(desired)
    preferences = Preferences(min_healthy=lowest, max_healthy=highest, warmup=warmup)
    workers.start(min_healthy=lowest, max_healthy=highest, warmup=warmup)
    assert workers.run(20) is Status.SUCCESSFUL
    room = bounds(preferences, desired=desired)
    assert workers.fewest >= room.floor
    assert workers.most <= desired + room.surge
    assert workers.versions() == [2] * desired
    assert workers.group.surge == 0
