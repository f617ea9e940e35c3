"""DescribeInstanceRefreshes: API reference, and user guide, "Monitor an instance refresh"."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WEEK = 7 * 24 * 3600


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [found["InstanceRefreshId"] for found in answer["InstanceRefreshes"]]


def test_newest_first_and_in_pages(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """ "Instance refreshes are ordered by start time"; MaxRecords is 50 by default and 100 at most."""
    fleet, describe = workers(), scaling.describe_instance_refreshes
    made = [fleet.refresh(None)["InstanceRefreshId"] for _ in range(3)][::-1]
    assert ids_of(describe(AutoScalingGroupName=fleet.name)) == made
    first = describe(AutoScalingGroupName=fleet.name, MaxRecords=2)
    assert ids_of(first) == made[:2]
    rest = describe(AutoScalingGroupName=fleet.name, NextToken=first["NextToken"])
    assert ids_of(rest) == made[2:]
    assert "NextToken" not in rest
    chosen = describe(AutoScalingGroupName=fleet.name, InstanceRefreshIds=[made[1], "another"])
    assert ids_of(chosen) == made[1:2]
    assert refusal(describe, AutoScalingGroupName=fleet.name, NextToken="no")[0] == "InvalidNextToken"
    assert refusal(describe, AutoScalingGroupName=fleet.name, MaxRecords=101)[0] == "ValidationError"


def test_a_group_without_refreshes_and_one_that_is_not_there(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    describe = scaling.describe_instance_refreshes
    assert ids_of(describe(AutoScalingGroupName=workers().name)) == []
    assert refusal(describe, AutoScalingGroupName="none")[0] == "ValidationError"


def test_what_an_ended_refresh_tells(workers: Callable[..., Any]) -> None:
    """ProgressDetails are "for an Auto Scaling group that has a warm pool", RollbackDetails of a rollback."""
    found = workers(1).refresh()
    assert found["Status"] == "Successful"
    assert isinstance(found["StartTime"], datetime)
    assert found["StartTime"] <= found["EndTime"]
    assert (found["PercentageComplete"], found["InstancesToUpdate"]) == (100, 0)
    assert not {"ProgressDetails", "RollbackDetails", "StatusReason"} & found.keys()


def test_what_is_older_than_six_weeks_is_not_told(
    scaling: Any, workers: Callable[..., Any], clock: Callable[..., Any]
) -> None:
    """ "Information about the instance refreshes […] from the previous six weeks"."""
    fleet, describe = workers(), scaling.describe_instance_refreshes
    fleet.refresh()
    clock(5 * WEEK)
    assert ids_of(describe(AutoScalingGroupName=fleet.name))
    clock(WEEK)
    assert not ids_of(describe(AutoScalingGroupName=fleet.name))
