"""As many instances as desired: what is launched, from which version, what scale-in takes, what fails.

Auto Scaling user guide, "Manual scaling", "Configure termination policies", "Use instance scale-in
protection", "Verify a scaling activity"; API reference, SetDesiredCapacity, Instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Found = dict[str, Any]


def test_a_group_gets_as_many_instances_as_desired(
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    desire: Callable[[str, int], None],
    state: Callable[[str], str],
) -> None:
    name = make_group(MinSize=1)
    (first,) = members(name)
    assert (first["LifecycleState"], first["HealthStatus"], first["InstanceType"]) == (
        "InService",
        "Healthy",
        "t3.micro",
    )
    assert state(first["InstanceId"]) == "running"
    desire(name, 3)
    assert len(members(name, "InService")) == 3
    desire(name, 1)
    assert len(members(name)) == 1


def test_pending_until_the_instance_runs(
    scaling: Any,
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    driver: Any,
    settle: Any,
) -> None:
    name = make_group()
    driver.gate.clear()
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    settle()
    assert [member["LifecycleState"] for member in members(name)] == ["Pending"]
    driver.gate.set()
    settle()
    assert [member["LifecycleState"] for member in members(name)] == ["InService"]


@pytest.mark.parametrize(
    ("capacity", "why"),
    [
        (4, "New SetDesiredCapacity value 4 is above max value 3 for the AutoScalingGroup."),
        (0, "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup."),
    ],
)
def test_outside_the_limits(fleet: Any, capacity: int, why: str) -> None:
    name = fleet.make_group(MinSize=1, MaxSize=3)
    asked = {"AutoScalingGroupName": name, "DesiredCapacity": capacity}
    assert fleet.refusal(fleet.scaling.set_desired_capacity, **asked) == ("ValidationError", why)
    assert len(fleet.members(name)) == 1


def test_honouring_the_cooldown(
    scaling: Any, make_group: Callable[..., str], clock: Callable[..., Any], code: Callable[..., str]
) -> None:
    """HonorCooldown: refused while the cooldown period has not passed; "by default … does not honor"."""
    name = make_group(DesiredCapacity=1, DefaultCooldown=300)
    asked = {"AutoScalingGroupName": name, "DesiredCapacity": 1}
    assert code(scaling.set_desired_capacity, **asked, HonorCooldown=True) == "ScalingActivityInProgress"
    scaling.set_desired_capacity(**asked)
    clock(301)
    scaling.set_desired_capacity(**asked, HonorCooldown=True)


@pytest.mark.parametrize(("spoken", "number"), [("1", "1"), ("$Default", "2"), ("$Latest", "3")])
def test_which_version_is_launched(fleet: Any, ec2: Any, spoken: str, number: str) -> None:
    """``$Default`` and ``$Latest`` are resolved when an instance is launched; it is told by its number."""
    own = fleet.template()
    fleet.new_version(own, InstanceType="t3.small")
    fleet.new_version(own, InstanceType="t3.medium")
    ec2.modify_launch_template(LaunchTemplateId=own, DefaultVersion="2")
    name = fleet.make_group(DesiredCapacity=1, LaunchTemplate={"LaunchTemplateId": own, "Version": spoken})
    (member,) = fleet.members(name)
    assert member["LaunchTemplate"]["Version"] == number
    assert member["InstanceType"] == {"1": "t3.micro", "2": "t3.small", "3": "t3.medium"}[number]


def test_a_template_that_changes_touches_no_instance(fleet: Any, ec2: Any) -> None:
    """ "Existing instances continue to run with the configuration that they were … launched with"."""
    own = fleet.template()
    launch = {"LaunchTemplateId": own, "Version": "$Default"}
    name = fleet.make_group(DesiredCapacity=1, LaunchTemplate=launch)
    (before,) = fleet.members(name)
    fleet.new_version(own, InstanceType="t3.small")
    ec2.modify_launch_template(LaunchTemplateId=own, DefaultVersion="2")
    fleet.scaling.update_auto_scaling_group(
        AutoScalingGroupName=name, LaunchTemplate={**launch, "Version": "2"}
    )
    fleet.desire(name, 2)
    after = {member["InstanceId"]: member["LaunchTemplate"]["Version"] for member in fleet.members(name)}
    assert after.pop(before["InstanceId"]) == "1"
    assert list(after.values()) == ["2"]


def test_an_ami_by_parameter_is_looked_up_at_launch(
    fleet: Any, client: Callable[..., Any], run: Callable[..., str], ec2: Any, world: Any
) -> None:
    """User guide, "Use AWS Systems Manager parameters instead of AMI IDs"."""
    source = fleet.described(run())["ImageId"]
    made = ec2.create_image(InstanceId=run(), Name="by-parameter", NoReboot=True)["ImageId"]
    world.work.wait(5)
    ssm = client("ssm")
    ssm.put_parameter(Name="/workers/ami", Type="String", DataType="aws:ec2:image", Value=source)
    name = fleet.make_group(
        DesiredCapacity=1,
        LaunchTemplate={"LaunchTemplateId": fleet.template(ImageId="resolve:ssm:/workers/ami")},
    )
    ssm.put_parameter(
        Name="/workers/ami", Type="String", DataType="aws:ec2:image", Value=made, Overwrite=True
    )
    fleet.desire(name, 2)
    assert {fleet.described(member["InstanceId"])["ImageId"] for member in fleet.members(name)} == {
        source,
        made,
    }


def test_user_data_and_tags_of_a_later_version(fleet: Any, ec2: Any) -> None:
    own = fleet.template()
    mark = {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "worker"}]}
    number = fleet.new_version(own, UserData="IyEvYmluL3NoCg==", TagSpecifications=[mark])
    name = fleet.make_group(
        DesiredCapacity=1, LaunchTemplate={"LaunchTemplateId": own, "Version": str(number)}
    )
    (member,) = fleet.members(name)
    told = ec2.describe_instance_attribute(InstanceId=member["InstanceId"], Attribute="userData")
    assert told["UserData"]["Value"] == "IyEvYmluL3NoCg=="
    assert {"Key": "Name", "Value": "worker"} in fleet.described(member["InstanceId"])["Tags"]


def test_activities(
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    desire: Callable[[str, int], None],
    activities: Callable[[str], list[Found]],
) -> None:
    """Newest first, each with its cause."""
    name = make_group(DesiredCapacity=1)
    (member,) = members(name)
    desire(name, 0)
    ended, launched = activities(name)
    assert launched["Description"] == f"Launching a new EC2 instance: {member['InstanceId']}"
    assert "changing the desired capacity from 0 to 1" in launched["Cause"]
    assert "increasing the capacity from 0 to 1." in launched["Cause"]
    assert ended["Description"] == f"Terminating EC2 instance: {member['InstanceId']}"
    assert {found["StatusCode"] for found in (ended, launched)} == {"Successful"}
    assert {found["Progress"] for found in (ended, launched)} == {100}


def test_an_ami_that_is_not_there(
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    template: Callable[..., str],
    activities: Callable[[str], list[Found]],
    clock: Callable[..., Any],
) -> None:
    """The group is made; its launch is a Failed activity with EC2's reason, and is tried again later."""
    own = {"LaunchTemplateId": template(ImageId="ami-00000000000000000"), "Version": "1"}
    name = make_group(DesiredCapacity=1, LaunchTemplate=own)
    assert members(name) == []
    (failed,) = activities(name)
    assert failed["StatusCode"] == "Failed"
    assert "ami-00000000000000000" in failed["StatusMessage"]
    assert failed["StatusMessage"].endswith("Launching EC2 instance failed.")
    assert failed["Description"].startswith("Launching a new EC2 instance.  Status Reason: ")
    clock(1)
    assert len(activities(name)) == 1
    clock(10)
    assert len(activities(name)) == 2


def test_an_ami_that_is_disabled(fleet: Any, ec2: Any, run: Callable[..., str], world: Any) -> None:
    made = ec2.create_image(InstanceId=run(), Name="disabled", NoReboot=True)["ImageId"]
    world.work.wait(5)
    ec2.disable_image(ImageId=made)
    name = fleet.make_group(
        DesiredCapacity=1, LaunchTemplate={"LaunchTemplateId": fleet.template(ImageId=made)}
    )
    assert fleet.members(name) == []
    assert made in fleet.activities(name)[0]["StatusMessage"]


def test_a_machine_that_does_not_start(fleet: Any, driver: Any) -> None:
    """The launch failed, and is tried again: user guide, "Troubleshoot … EC2 instance launch failures"."""
    driver.broken.add("launch")
    name = fleet.make_group(DesiredCapacity=1)
    failed = next(found for found in fleet.activities(name) if found["StatusCode"] == "Failed")
    assert (
        "Instance became unhealthy while waiting for instance to be in InService state"
        in failed["StatusMessage"]
    )
    assert "Server.InternalError" in failed["StatusMessage"]
    driver.broken.clear()
    fleet.settle(60)
    assert len(fleet.members(name, "InService")) == 1


def test_protected_instances_are_not_scaled_in(
    scaling: Any,
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    desire: Callable[[str, int], None],
    settle: Callable[..., None],
) -> None:
    """A group of protected instances keeps them and its lower desired capacity."""
    name = make_group(DesiredCapacity=3)
    ids = [member["InstanceId"] for member in members(name)]
    scaling.set_instance_protection(AutoScalingGroupName=name, InstanceIds=ids[:2], ProtectedFromScaleIn=True)
    desire(name, 0)
    assert sorted(member["InstanceId"] for member in members(name)) == sorted(ids[:2])
    scaling.set_instance_protection(
        AutoScalingGroupName=name, InstanceIds=ids[:1], ProtectedFromScaleIn=False
    )
    settle()
    assert [member["InstanceId"] for member in members(name)] == [ids[1]]


def test_new_instances_are_protected(
    scaling: Any,
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    desire: Callable[[str, int], None],
) -> None:
    """NewInstancesProtectedFromScaleIn is for instances launched from then on."""
    name = make_group(DesiredCapacity=1)
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, NewInstancesProtectedFromScaleIn=True)
    desire(name, 2)
    assert sorted(member["ProtectedFromScaleIn"] for member in members(name)) == [False, True]


@pytest.mark.parametrize(
    ("policy", "left"), [("OldestInstance", "new"), ("NewestInstance", "old"), ("Default", "new")]
)
def test_termination_policies(fleet: Any, policy: str, left: str) -> None:
    """ "Configure termination policies": by default the oldest launch template's instances go first."""
    name = fleet.make_group(DesiredCapacity=1, TerminationPolicies=[policy])
    (old,) = fleet.members(name)
    fleet.clock(60)
    fleet.desire(name, 2)
    new = next(member for member in fleet.members(name) if member["InstanceId"] != old["InstanceId"])
    fleet.desire(name, 1)
    wanted = {"old": old, "new": new}[left]
    assert [member["InstanceId"] for member in fleet.members(name)] == [wanted["InstanceId"]]


def test_by_default_the_older_template_goes_first(fleet: Any) -> None:
    own = fleet.template()
    fleet.new_version(own, InstanceType="t3.small")
    name = fleet.make_group(DesiredCapacity=1, LaunchTemplate={"LaunchTemplateId": own, "Version": "2"})
    launch = {"LaunchTemplateId": own, "Version": "1"}
    fleet.scaling.update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=launch)
    fleet.desire(name, 2)
    fleet.desire(name, 1)
    assert [member["LaunchTemplate"]["Version"] for member in fleet.members(name)] == ["2"]


def test_the_longest_lifetime(
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
    code: Callable[..., str],
    scaling: Any,
) -> None:
    """MaxInstanceLifetime: at least a day, after which an instance is replaced."""
    name = make_group(DesiredCapacity=1, MaxInstanceLifetime=86_400)
    (before,) = members(name)
    settle(86_500)
    (after,) = members(name, "InService")
    assert before["InstanceId"] != after["InstanceId"]
    too_short = {"AutoScalingGroupName": name, "MaxInstanceLifetime": 60}
    assert code(scaling.update_auto_scaling_group, **too_short) == "ValidationError"
