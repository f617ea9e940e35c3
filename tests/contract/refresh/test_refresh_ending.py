"""Refreshes that fail, are rolled back or cancelled, over HTTP.

User guide, "Undo changes with a rollback", "Cancel an instance refresh"; API reference of the operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600


def test_an_alarm_rolls_it_back_during_the_bake_time(
    workers: Callable[..., Any], alarm: Callable[[str], None]
) -> None:
    """AutoRollback: "if the instance refresh fails or a CloudWatch alarm threshold is met"."""
    alarm("OK")
    fleet = workers(1)
    preferences = {"BakeTime": HOUR, "AlarmSpecification": {"Alarms": ["errors"]}, "AutoRollback": True}
    assert fleet.refresh(**preferences)["Status"] == "Baking"
    assert (fleet.versions(), fleet.saved()) == (["2"], "1")
    alarm("ALARM")
    found = fleet.settled()
    assert (found["Status"], found["PercentageComplete"]) == ("RollbackSuccessful", 0)
    assert (fleet.versions(), fleet.saved()) == (["1"], "1")
    details = found["RollbackDetails"]
    assert (details["PercentageCompleteOnRollback"], details["InstancesToUpdateOnRollback"]) == (100, 0)
    assert "errors" in details["RollbackReason"]
    assert found["StartTime"] <= details["RollbackStartTime"] <= found["EndTime"]


def test_an_alarm_fails_it_without_rollback(
    workers: Callable[..., Any], alarm: Callable[[str], None]
) -> None:
    """Failed leaves the new instances and the old configuration. INSUFFICIENT_DATA is not an alarm."""
    alarm("INSUFFICIENT_DATA")
    fleet = workers(1)
    preferences = {"BakeTime": HOUR, "AlarmSpecification": {"Alarms": ["errors"]}}
    assert fleet.refresh(**preferences)["Status"] == "Baking"
    alarm("ALARM")
    assert fleet.settled()["Status"] == "Failed"
    assert (fleet.versions(), fleet.saved()) == (["2"], "1")


def test_the_bake_time_ends(workers: Callable[..., Any]) -> None:
    fleet = workers(1)
    assert fleet.refresh(BakeTime=HOUR)["Status"] == "Baking"
    assert fleet.settled(HOUR)["Status"] == "Successful"
    assert fleet.saved() == "2"


def test_rolled_back_by_hand(scaling: Any, workers: Callable[..., Any]) -> None:
    """ "Replaces any instances that were replaced during the instance refresh", and no others."""
    fleet = workers(2)
    old = fleet.ids()
    refresh_id = fleet.refresh(CheckpointPercentages=[50, 100])["InstanceRefreshId"]
    assert fleet.versions() == ["1", "2"]
    kept = old & fleet.ids()
    answer = scaling.rollback_instance_refresh(AutoScalingGroupName=fleet.name)
    assert answer["InstanceRefreshId"] == refresh_id
    found = fleet.settled()
    assert (found["Status"], found["InstancesToUpdate"]) == ("RollbackSuccessful", 1)
    assert (fleet.versions(), fleet.saved()) == (["1", "1"], "1")
    assert kept <= fleet.ids()


def test_what_cannot_be_rolled_back(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """API reference, RollbackInstanceRefresh: errors."""
    idle, plain, moving = workers(), workers(1), workers(1, version="$Default")
    plain.start(None, InstanceWarmup=HOUR)
    moving.start(InstanceWarmup=HOUR)
    rollback = scaling.rollback_instance_refresh
    assert refusal(rollback, AutoScalingGroupName=idle.name)[0] == "ActiveInstanceRefreshNotFound"
    for fleet in (plain, moving):
        code, text = refusal(rollback, AutoScalingGroupName=fleet.name)
        assert code == "IrreversibleInstanceRefresh"
        assert "a desired configuration was not found" in text


def test_what_has_ended_cannot_be_rolled_back(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """ "You can't roll it back after it's finished"."""
    fleet = workers(1)
    assert fleet.refresh()["Status"] == "Successful"
    code, _ = refusal(scaling.rollback_instance_refresh, AutoScalingGroupName=fleet.name)
    assert code == "ActiveInstanceRefreshNotFound"


def test_cancelled_it_leaves_a_mixed_fleet_and_the_old_configuration(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """ "When you cancel an instance refresh, this does not roll back any changes that it made"."""
    fleet = workers(2)
    refresh_id = fleet.refresh(CheckpointPercentages=[50, 100])["InstanceRefreshId"]
    cancel = scaling.cancel_instance_refresh
    assert cancel(AutoScalingGroupName=fleet.name)["InstanceRefreshId"] == refresh_id
    assert fleet.settled()["Status"] == "Cancelled"
    assert (fleet.versions(), fleet.saved()) == (["1", "2"], "1")
    code, text = refusal(cancel, AutoScalingGroupName=fleet.name)
    assert (code, fleet.name in text) == ("ActiveInstanceRefreshNotFound", True)
    fleet.start()


def test_cancelling_waits_for_what_is_under_way_unless_told_not_to(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """WaitForTransitioningInstances, true by default: a termination hook holds the old instance here."""
    patient, hasty = workers(1), workers(1)
    for fleet in (patient, hasty):
        scaling.put_lifecycle_hook(
            AutoScalingGroupName=fleet.name,
            LifecycleHookName="drain",
            LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        )
        fleet.refresh()
    scaling.cancel_instance_refresh(AutoScalingGroupName=patient.name)
    scaling.cancel_instance_refresh(AutoScalingGroupName=hasty.name, WaitForTransitioningInstances=False)
    assert hasty.settled()["Status"] == "Cancelled"
    assert patient.settled()["Status"] == "Cancelling"
    code, _ = refusal(scaling.start_instance_refresh, AutoScalingGroupName=patient.name)
    assert code == "InstanceRefreshInProgress"
    assert patient.settled(HOUR)["Status"] == "Cancelled"


def test_the_configuration_cannot_be_updated_until_a_rollback_has_ended(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """User guide, "How an instance refresh works", limitations: as long as the refresh is active."""
    fleet = workers(1)
    scaling.put_lifecycle_hook(
        AutoScalingGroupName=fleet.name,
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    fleet.refresh()
    scaling.rollback_instance_refresh(AutoScalingGroupName=fleet.name)
    assert fleet.newest()["Status"] == "RollbackInProgress"
    code, text = refusal(scaling.update_auto_scaling_group, AutoScalingGroupName=fleet.name, **fleet.to("3"))
    assert (code, text.split(".")[0]) == (
        "ValidationError",
        "An active instance refresh with a desired configuration exists",
    )
