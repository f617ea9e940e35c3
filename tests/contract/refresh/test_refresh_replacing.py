"""Instances replaced, over HTTP and by the sandbox's own engine.

User guide, "How an instance refresh works in an Auto Scaling group", "Add checkpoints to an instance
refresh"; API reference of the operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600
LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"


def test_every_instance_is_replaced_and_the_configuration_saved(workers: Callable[..., Any]) -> None:
    """ "After the instance refresh succeeds, [it] updates the Auto Scaling group settings"."""
    fleet = workers(3)
    old = fleet.ids()
    found = fleet.refresh(MinHealthyPercentage=100)
    assert (found["Status"], found["PercentageComplete"]) == ("Successful", 100)
    assert fleet.versions() == ["2"] * 3
    assert {member["InstanceType"] for member in fleet.group()["Instances"]} == {"t3.small"}
    assert not old & fleet.ids()
    assert fleet.saved() == "2"


def test_a_terminated_instance_says_why(scaling: Any, workers: Callable[..., Any]) -> None:
    """User guide, "Verify a scaling activity for an Auto Scaling group"."""
    fleet = workers(1)
    fleet.refresh()
    found = scaling.describe_scaling_activities(AutoScalingGroupName=fleet.name)["Activities"]
    (cause,) = [each["Cause"] for each in found if each["Description"].startswith("Terminating")]
    assert cause.endswith("an instance was taken out of service in response to an instance refresh.")


def test_skip_matching(workers: Callable[..., Any]) -> None:
    """Compares launch template version and instance type; when all match it succeeds immediately."""
    fleet = workers(2)
    old = fleet.ids()
    assert fleet.refresh("1", SkipMatching=True)["Status"] == "Successful"
    assert fleet.ids() == old
    assert fleet.refresh("3", SkipMatching=True)["Status"] == "Successful"
    assert fleet.versions() == ["3", "3"]


def test_without_a_desired_configuration(workers: Callable[..., Any]) -> None:
    """The group's own is launched, as it is by then."""
    fleet = workers(1, version="$Latest")
    old = fleet.ids()
    assert fleet.refresh(None)["Status"] == "Successful"
    assert (fleet.versions(), fleet.saved()) == (["3"], "$Latest")
    assert not old & fleet.ids()


def test_no_instances(workers: Callable[..., Any]) -> None:
    """Successful at once; the desired configuration is saved."""
    fleet = workers(0)
    assert fleet.refresh(AutoRollback=True, BakeTime=HOUR)["Status"] == "Successful"
    assert fleet.saved() == "2"


def test_a_mixed_instances_policy(
    scaling: Any, workers: Callable[..., Any], three_versions: Callable[..., str]
) -> None:
    """DesiredConfiguration has the whole policy, not only what changes in it."""
    template_id = three_versions()

    def policy(version: str) -> dict[str, Any]:
        specification = {"LaunchTemplateId": template_id, "Version": version}
        overrides = [{"InstanceType": "t3.large"}, {"InstanceType": "t3.xlarge"}]
        return {"LaunchTemplate": {"LaunchTemplateSpecification": specification, "Overrides": overrides}}

    fleet = workers(1, MixedInstancesPolicy=policy("1"))
    scaling.start_instance_refresh(
        AutoScalingGroupName=fleet.name,
        DesiredConfiguration={"MixedInstancesPolicy": policy("2")},
        Preferences={"SkipMatching": True, "AutoRollback": True},
    )
    assert fleet.settled()["Status"] == "Successful"
    assert fleet.versions() == ["2"]
    launch = fleet.group()["MixedInstancesPolicy"]["LaunchTemplate"]
    assert launch["LaunchTemplateSpecification"]["Version"] == "2"
    assert [override["InstanceType"] for override in launch["Overrides"]] == ["t3.large", "t3.xlarge"]


def test_weights_are_the_units_of_the_desired_capacity(
    workers: Callable[..., Any], three_versions: Callable[..., str]
) -> None:
    """User guide, "Configure an Auto Scaling group to use instance weights"."""
    specification = {"LaunchTemplateId": three_versions(), "Version": "$Default"}
    overrides = [{"InstanceType": "t3.large", "WeightedCapacity": "2"}]
    launch = {"LaunchTemplateSpecification": specification, "Overrides": overrides}
    fleet = workers(4, MixedInstancesPolicy={"LaunchTemplate": launch})
    old = fleet.ids()
    assert fleet.refresh(None, MinHealthyPercentage=100)["Status"] == "Successful"
    assert fleet.versions() == ["1", "1"]
    assert not old & fleet.ids()


def test_an_attribute_based_group_is_updated_first_and_refreshed_then(
    scaling: Any, workers: Callable[..., Any], three_versions: Callable[..., str]
) -> None:
    """ "Start the instance refresh without these parameters": by what the group's own policy says."""
    template_id = three_versions()

    def policy(version: str) -> dict[str, Any]:
        specification = {"LaunchTemplateId": template_id, "Version": version}
        required = {"VCpuCount": {"Min": 2, "Max": 2}, "MemoryMiB": {"Min": 2048, "Max": 8192}}
        overrides = [{"InstanceRequirements": required}]
        return {"LaunchTemplate": {"LaunchTemplateSpecification": specification, "Overrides": overrides}}

    fleet = workers(1, MixedInstancesPolicy=policy("1"))
    scaling.update_auto_scaling_group(AutoScalingGroupName=fleet.name, MixedInstancesPolicy=policy("2"))
    assert fleet.versions() == ["1"]
    assert fleet.refresh(None)["Status"] == "Successful"
    assert fleet.versions() == ["2"]


def test_the_warm_up_is_waited_for(workers: Callable[..., Any]) -> None:
    """Nothing is left to update, and still it is in progress."""
    fleet = workers(1)
    found = fleet.refresh(InstanceWarmup=HOUR)
    (new,) = fleet.ids()
    assert found["StatusReason"] == (
        f"Waiting for instances to warm up before continuing. For example: {new} is warming up."
    )
    assert (found["Status"], found["InstancesToUpdate"], found["PercentageComplete"]) == ("InProgress", 0, 0)
    assert fleet.settled(HOUR)["Status"] == "Successful"


def test_the_configuration_cannot_be_updated_meanwhile(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """User guide, limitations, update restriction; only with a desired configuration."""
    fleet, other, update = workers(1), workers(1), scaling.update_auto_scaling_group
    fleet.start(InstanceWarmup=HOUR)
    other.start(None, InstanceWarmup=HOUR)
    code, text = refusal(update, AutoScalingGroupName=fleet.name, **fleet.to("3"))
    assert code == "ValidationError"
    assert text == (
        "An active instance refresh with a desired configuration exists. All configuration options derived "
        "from the desired configuration are not available for update while the instance refresh is active."
    )
    update(AutoScalingGroupName=fleet.name, MaxSize=9)
    update(AutoScalingGroupName=other.name, **other.to("3"))


def test_scale_out_meanwhile_launches_the_desired_configuration(
    scaling: Any, workers: Callable[..., Any]
) -> None:
    """ "Instead of the group's current settings"."""
    fleet = workers(1)
    fleet.refresh(InstanceWarmup=HOUR)
    scaling.set_desired_capacity(AutoScalingGroupName=fleet.name, DesiredCapacity=3)
    assert fleet.settled()["Status"] == "InProgress"
    assert (fleet.versions(), fleet.saved()) == (["2"] * 3, "1")


def test_a_default_version_that_moves_has_new_instances_replaced_again(
    ec2: Any, workers: Callable[..., Any]
) -> None:
    """With $Default as the desired version, which is why one should pass numbers."""
    fleet = workers(2)
    fleet.refresh("$Default", CheckpointPercentages=[50, 100])
    template_id = fleet.group()["LaunchTemplate"]["LaunchTemplateId"]
    ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion="3")
    assert fleet.settled(HOUR)["Status"] == "Successful"
    assert (fleet.versions(), fleet.saved()) == (["3", "3"], "$Default")


def test_protected_instances_fail_it_after_one_hour(workers: Callable[..., Any]) -> None:
    """ScaleInProtectedInstances, Wait: the default. The old configuration stays the group's."""
    fleet = workers(1, NewInstancesProtectedFromScaleIn=True)
    found = fleet.refresh()
    assert (found["Status"], "is protected" in found["StatusReason"]) == ("InProgress", True)
    found = fleet.settled(HOUR)
    assert (found["Status"], "one hour" in found["StatusReason"]) == ("Failed", True)
    assert (fleet.versions(), fleet.saved()) == (["1"], "1")


@pytest.mark.parametrize(("choice", "left"), [("Ignore", ["1"]), ("Refresh", ["2"])])
def test_protected_instances_can_be_ignored_or_replaced(
    workers: Callable[..., Any], choice: str, left: list[str]
) -> None:
    fleet = workers(1, NewInstancesProtectedFromScaleIn=True)
    assert fleet.refresh(ScaleInProtectedInstances=choice)["Status"] == "Successful"
    assert fleet.versions() == left


@pytest.mark.parametrize(("choice", "count"), [("Ignore", 1), ("Terminate", 0)])
def test_instances_in_standby_can_be_ignored_or_terminated(
    scaling: Any, workers: Callable[..., Any], choice: str, count: int
) -> None:
    fleet = workers(1)
    scaling.enter_standby(
        AutoScalingGroupName=fleet.name,
        InstanceIds=list(fleet.ids()),
        ShouldDecrementDesiredCapacity=True,
    )
    assert fleet.refresh(StandbyInstances=choice)["Status"] == "Successful"
    assert len(fleet.group()["Instances"]) == count


def test_instances_in_standby_fail_it_after_one_hour(scaling: Any, workers: Callable[..., Any]) -> None:
    """StandbyInstances, Wait: the default."""
    fleet = workers(1)
    scaling.enter_standby(
        AutoScalingGroupName=fleet.name,
        InstanceIds=list(fleet.ids()),
        ShouldDecrementDesiredCapacity=True,
    )
    found = fleet.refresh()
    assert (found["Status"], "is in Standby" in found["StatusReason"]) == ("InProgress", True)
    assert fleet.settled(HOUR)["Status"] == "Failed"


def test_a_suspended_process_pauses_it(scaling: Any, workers: Callable[..., Any]) -> None:
    """Its status does not tell: see SuspendedProcesses."""
    fleet, processes = workers(1), ["InstanceRefresh"]
    scaling.suspend_processes(AutoScalingGroupName=fleet.name, ScalingProcesses=processes)
    fleet.refresh()
    assert fleet.settled(2 * HOUR)["Status"] in {"Pending", "InProgress"}
    assert fleet.versions() == ["1"]
    scaling.resume_processes(AutoScalingGroupName=fleet.name, ScalingProcesses=processes)
    assert fleet.settled()["Status"] == "Successful"


def test_a_launch_hook_holds_the_replacement(scaling: Any, workers: Callable[..., Any]) -> None:
    """Pending:Wait: not in service, and the warm-up has not begun."""
    fleet = workers(1)
    hook = {"AutoScalingGroupName": fleet.name, "LifecycleHookName": "ready"}
    scaling.put_lifecycle_hook(**hook, LifecycleTransition=LAUNCHING, HeartbeatTimeout=7200)
    fleet.refresh(MinHealthyPercentage=100)
    assert fleet.versions() == ["1"]
    assert fleet.settled(HOUR + 60)["Status"] == "InProgress"
    (held,) = fleet.ids("Pending:Wait")
    scaling.complete_lifecycle_action(**hook, InstanceId=held, LifecycleActionResult="CONTINUE")
    assert fleet.settled()["Status"] == "Successful"
    assert fleet.ids() == {held}


def test_replacements_that_are_abandoned_fail_it_after_one_hour(
    scaling: Any, workers: Callable[..., Any]
) -> None:
    """ABANDON, a launch hook's default result, ends the instance; another one is tried."""
    fleet = workers(1)
    scaling.put_lifecycle_hook(
        AutoScalingGroupName=fleet.name,
        LifecycleHookName="ready",
        LifecycleTransition=LAUNCHING,
        HeartbeatTimeout=1800,
    )
    fleet.refresh(MinHealthyPercentage=100)
    statuses = [fleet.settled(1800)["Status"] for _ in range(3)]
    assert statuses == ["InProgress", "InProgress", "Failed"]
    assert fleet.versions() == ["1"]


def test_a_termination_hook_is_waited_for(scaling: Any, workers: Callable[..., Any]) -> None:
    """User guide, "How lifecycle hooks work": the old instance stays in Terminating:Wait."""
    fleet = workers(1)
    hook = {"AutoScalingGroupName": fleet.name, "LifecycleHookName": "drain"}
    scaling.put_lifecycle_hook(**hook, LifecycleTransition=TERMINATING)
    assert fleet.refresh()["Status"] == "InProgress"
    (held,) = fleet.ids("Terminating:Wait")
    assert fleet.versions() == ["2"]
    scaling.complete_lifecycle_action(**hook, InstanceId=held, LifecycleActionResult="CONTINUE")
    assert fleet.settled()["Status"] == "Successful"


def test_replacements_that_cannot_be_launched_fail_it_after_one_hour(
    scaling: Any, workers: Callable[..., Any], new_version: Callable[..., int]
) -> None:
    """ "Keeps retrying for an hour"; with 100 percent the old instances are left alone."""
    fleet = workers(1)
    template_id = fleet.group()["LaunchTemplate"]["LaunchTemplateId"]
    broken = new_version(template_id, ImageId="ami-0123456789abcdef0")
    assert fleet.refresh(str(broken), MinHealthyPercentage=100)["Status"] == "InProgress"
    found = scaling.describe_scaling_activities(AutoScalingGroupName=fleet.name)["Activities"]
    assert "Failed" in {each["StatusCode"] for each in found}
    found = fleet.settled(HOUR)
    assert (found["Status"], "could not be launched" in found["StatusReason"]) == ("Failed", True)
    assert (fleet.versions(), fleet.saved()) == (["1"], "1")


def test_a_checkpoint_holds_it(workers: Callable[..., Any]) -> None:
    """The delay is an hour by default."""
    fleet = workers(2)
    found = fleet.refresh(CheckpointPercentages=[50, 100])
    assert (found["Status"], found["PercentageComplete"]) == ("InProgress", 50)
    assert fleet.versions() == ["1", "2"]
    assert fleet.settled(HOUR)["Status"] == "Successful"
