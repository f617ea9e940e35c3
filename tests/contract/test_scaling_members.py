"""Single instances of a group: replaced when they are lost or unhealthy, ended, put aside, let go.

Auto Scaling user guide, "Health checks for instances in an Auto Scaling group", "Temporarily remove
instances", "Detach or attach instances", "Suspend and resume processes", "Retrieve the target lifecycle state
through instance metadata"; API reference of the operations.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.imds import Imds

if TYPE_CHECKING:
    from collections.abc import Callable

Found = dict[str, Any]


@pytest.fixture
def target(world: Any, driver: Any) -> Callable[[str], str]:
    """Returns what an instance's metadata says that it is to be; empty when it says nothing."""
    imds = Imds(world)

    def target(instance_id: str) -> str:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/latest/meta-data/autoscaling/target-lifecycle-state",
            "REMOTE_ADDR": driver.launched[instance_id].private_ip,
            "wsgi.input": BytesIO(),
        }
        return b"".join(imds(environ, lambda *_: None)).decode()

    return target


@pytest.mark.parametrize("end", ["terminate_instances", "stop_instances"])
def test_an_instance_that_ec2_ended_is_replaced(fleet: Any, ec2: Any, end: str) -> None:
    """Any state but running is unhealthy, and what is unhealthy is terminated and replaced."""
    name = fleet.make_group(DesiredCapacity=1, HealthCheckGracePeriod=3600)
    before = fleet.instance_of(name)
    getattr(ec2, end)(InstanceIds=[before])
    fleet.settle()
    assert fleet.instance_of(name) != before
    assert fleet.state(before) == "terminated"
    causes = [
        found["Cause"]
        for found in fleet.scaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    ]
    assert any("EC2 health check indicating it has been terminated or stopped" in cause for cause in causes)


def test_an_unhealthy_instance_is_replaced(
    scaling: Any,
    make_group: Callable[..., str],
    instance_of: Callable[[str], str],
    settle: Callable[..., None],
) -> None:
    name = make_group(DesiredCapacity=1)
    before = instance_of(name)
    scaling.set_instance_health(InstanceId=before, HealthStatus="Unhealthy")
    settle()
    assert instance_of(name) != before


def test_the_grace_period(
    scaling: Any,
    make_group: Callable[..., str],
    instance_of: Callable[[str], str],
    settle: Callable[..., None],
) -> None:
    """SetInstanceHealth, ShouldRespectGracePeriod: "by default, this call respects the grace period"."""
    name = make_group(DesiredCapacity=1, HealthCheckGracePeriod=300)
    before = instance_of(name)
    scaling.set_instance_health(InstanceId=before, HealthStatus="Unhealthy")
    settle()
    assert instance_of(name) == before
    scaling.set_instance_health(InstanceId=before, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    settle()
    after = instance_of(name)
    assert after != before
    settle(301)
    scaling.set_instance_health(InstanceId=after, HealthStatus="Unhealthy")
    settle()
    assert instance_of(name) != after


def test_terminating_an_instance(
    scaling: Any,
    make_group: Callable[..., str],
    group: Callable[[str], Found],
    instance_of: Callable[[str], str],
    settle: Callable[..., None],
) -> None:
    """It is replaced, or the desired capacity goes down with it; protection from scale-in does not matter."""
    name = make_group(DesiredCapacity=1, NewInstancesProtectedFromScaleIn=True)
    before = instance_of(name)
    told = scaling.terminate_instance_in_auto_scaling_group(
        InstanceId=before, ShouldDecrementDesiredCapacity=False
    )
    assert told["Activity"]["Description"] == f"Terminating EC2 instance: {before}"
    settle()
    after = instance_of(name)
    assert after != before
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=after, ShouldDecrementDesiredCapacity=True)
    settle()
    assert (group(name)["DesiredCapacity"], group(name)["Instances"]) == (0, [])


def test_the_minimum_is_kept(
    scaling: Any,
    make_group: Callable[..., str],
    instance_of: Callable[[str], str],
    refusal: Callable[..., tuple[str, str]],
) -> None:
    name = make_group(MinSize=1)
    asked = {"InstanceId": instance_of(name), "ShouldDecrementDesiredCapacity": True}
    code, text = refusal(scaling.terminate_instance_in_auto_scaling_group, **asked)
    assert (code, text.startswith("Currently, desiredSize equals minSize (1)")) == ("ValidationError", True)


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("terminate_instance_in_auto_scaling_group", {"ShouldDecrementDesiredCapacity": False}),
        ("set_instance_health", {"HealthStatus": "Unhealthy"}),
    ],
)
def test_an_instance_of_no_group(
    scaling: Any,
    run: Callable[..., str],
    refusal: Callable[..., tuple[str, str]],
    operation: str,
    more: Found,
) -> None:
    instance = run()
    assert refusal(getattr(scaling, operation), InstanceId=instance, **more) == (
        "ValidationError",
        f"Instance Id not found - No managed instance found for instance ID {instance}",
    )


def test_protecting_an_instance_of_another_group(
    scaling: Any,
    make_group: Callable[..., str],
    run: Callable[..., str],
    refusal: Callable[..., tuple[str, str]],
) -> None:
    name, instance = make_group(), run()
    assert refusal(
        scaling.set_instance_protection,
        AutoScalingGroupName=name,
        InstanceIds=[instance],
        ProtectedFromScaleIn=True,
    ) == ("ValidationError", f"The instance {instance} is not part of Auto Scaling group {name}.")


def test_members_are_described_by_id(
    scaling: Any, make_group: Callable[..., str], instance_of: Callable[[str], str]
) -> None:
    """DescribeAutoScalingInstances: health in capitals, the launch template's number."""
    name = make_group(DesiredCapacity=1)
    instance = instance_of(name)
    asked = {"InstanceIds": [instance, "i-0"]}
    (found,) = scaling.describe_auto_scaling_instances(**asked)["AutoScalingInstances"]
    assert (found["AutoScalingGroupName"], found["HealthStatus"], found["LifecycleState"]) == (
        name,
        "HEALTHY",
        "InService",
    )
    assert found["LaunchTemplate"]["Version"] == "1"


@pytest.mark.parametrize(("decrement", "in_service"), [(True, 1), (False, 2)])
def test_standby(fleet: Any, target: Callable[[str], str], decrement: bool, in_service: int) -> None:
    """Replaced unless the desired capacity goes down; on leaving standby it goes up again."""
    name = fleet.make_group(DesiredCapacity=2)
    instance = fleet.members(name)[0]["InstanceId"]
    asked = {"AutoScalingGroupName": name, "InstanceIds": [instance]}
    fleet.scaling.enter_standby(**asked, ShouldDecrementDesiredCapacity=decrement)
    fleet.settle()
    assert [member["InstanceId"] for member in fleet.members(name, "Standby")] == [instance]
    assert target(instance) == "Standby"
    assert len(fleet.members(name, "InService")) == in_service
    fleet.scaling.exit_standby(**asked)
    fleet.settle()
    assert fleet.group(name)["DesiredCapacity"] == in_service + 1
    assert len(fleet.members(name, "InService")) == in_service + 1


def test_standby_is_not_checked(fleet: Any, ec2: Any) -> None:
    """ "Amazon EC2 Auto Scaling does not perform health checks on instances that are in a standby state"."""
    name = fleet.make_group(DesiredCapacity=1)
    instance = fleet.instance_of(name)
    fleet.scaling.enter_standby(
        AutoScalingGroupName=name, InstanceIds=[instance], ShouldDecrementDesiredCapacity=True
    )
    ec2.stop_instances(InstanceIds=[instance])
    fleet.settle()
    assert [member["HealthStatus"] for member in fleet.members(name)] == ["Healthy"]


def test_standby_below_the_minimum(
    scaling: Any, make_group: Callable[..., str], instance_of: Callable[[str], str], code: Callable[..., str]
) -> None:
    """EnterStandby: as long as "the desired capacity … is equal to or greater than the minimum"."""
    name = make_group(MinSize=1)
    asked = {"AutoScalingGroupName": name, "InstanceIds": [instance_of(name)]}
    assert code(scaling.enter_standby, **asked, ShouldDecrementDesiredCapacity=True) == "ValidationError"
    assert code(scaling.exit_standby, **asked) == "ValidationError"


@pytest.mark.parametrize(("decrement", "left"), [(True, 0), (False, 1)])
def test_detaching(fleet: Any, decrement: bool, left: int) -> None:
    """It runs on, in no group; it is replaced unless the desired capacity goes down."""
    name = fleet.make_group(DesiredCapacity=1)
    instance = fleet.instance_of(name)
    fleet.scaling.detach_instances(
        AutoScalingGroupName=name, InstanceIds=[instance], ShouldDecrementDesiredCapacity=decrement
    )
    fleet.settle()
    assert len(fleet.members(name)) == left
    found = fleet.described(instance)
    assert found["State"]["Name"] == "running"
    assert "aws:autoscaling:groupName" not in {tag["Key"] for tag in found["Tags"]}


def test_without_launching(
    scaling: Any,
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
) -> None:
    """Launch suspended: nothing is launched until it is resumed."""
    name = make_group()
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    settle()
    assert members(name) == []
    scaling.resume_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])
    settle()
    assert len(members(name)) == 1


def test_without_terminating(
    scaling: Any,
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    settle: Callable[..., None],
) -> None:
    """Terminate suspended: neither scale-in nor replacement ends anything."""
    name = make_group(DesiredCapacity=2)
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Terminate"])
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    scaling.set_instance_health(InstanceId=members(name)[0]["InstanceId"], HealthStatus="Unhealthy")
    settle()
    assert len(members(name, "InService")) == 2


@pytest.mark.parametrize(
    ("process", "health"), [("ReplaceUnhealthy", "Unhealthy"), ("HealthCheck", "Healthy")]
)
def test_without_replacing(fleet: Any, ec2: Any, process: str, health: str) -> None:
    """ReplaceUnhealthy suspended: told and not replaced. HealthCheck suspended: not even looked at."""
    name = fleet.make_group(DesiredCapacity=1)
    instance = fleet.instance_of(name)
    fleet.scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=[process])
    ec2.stop_instances(InstanceIds=[instance])
    fleet.settle()
    assert [(member["InstanceId"], member["HealthStatus"]) for member in fleet.members(name)] == [
        (instance, health)
    ]


def test_suspended_processes_are_told(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Found], code: Callable[..., str]
) -> None:
    """All of them when none is named; a name that is none is refused."""
    name = make_group()
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["InstanceRefresh"])
    (found,) = group(name)["SuspendedProcesses"]
    assert found["ProcessName"] == "InstanceRefresh"
    assert found["SuspensionReason"].startswith("User suspended at ")
    scaling.suspend_processes(AutoScalingGroupName=name)
    assert len(group(name)["SuspendedProcesses"]) == 9
    scaling.resume_processes(AutoScalingGroupName=name)
    assert group(name)["SuspendedProcesses"] == []
    assert (
        code(scaling.suspend_processes, AutoScalingGroupName=name, ScalingProcesses=["Lunch"])
        == "ValidationError"
    )


def test_what_an_instance_sees(
    scaling: Any,
    make_group: Callable[..., str],
    instance_of: Callable[[str], str],
    run: Callable[..., str],
    target: Callable[[str], str],
) -> None:
    """InService, and Terminated once it is on its way out; nothing for an instance of no group."""
    name = make_group(DesiredCapacity=1)
    scaling.put_lifecycle_hook(
        AutoScalingGroupName=name,
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    instance = instance_of(name)
    assert target(instance) == "InService"
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)
    assert target(instance) == "Terminated"
    assert target(run()) == ""


def test_a_notice_of_termination_goes_by_way_of_the_groups_hook(
    fleet: Any, admin: Callable[..., Any]
) -> None:
    """What the notice says of groups and hooks is for instances that are in none."""
    name = fleet.make_group(DesiredCapacity=1)
    fleet.scaling.put_lifecycle_hook(
        AutoScalingGroupName=name,
        LifecycleHookName="own",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    instance = fleet.instance_of(name)
    told = admin("POST", "notices", {"instance_id": instance, "event": "termination", "hook": "other"})
    assert told["autoscaling"]["target-lifecycle-state"] == "Terminated"
    assert [member["InstanceId"] for member in fleet.members(name, "Terminating:Wait")] == [instance]
    fleet.scaling.complete_lifecycle_action(
        AutoScalingGroupName=name,
        LifecycleHookName="own",
        InstanceId=instance,
        LifecycleActionResult="CONTINUE",
    )
    fleet.settle()
    assert fleet.instance_of(name) != instance
