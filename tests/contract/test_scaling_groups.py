"""Auto Scaling groups: making, changing, describing and deleting them.

API reference, CreateAutoScalingGroup, UpdateAutoScalingGroup, DescribeAutoScalingGroups,
DeleteAutoScalingGroup. AWS documents few texts of errors: the others are what clients report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.moto_services import AUTOSCALING
from amifactory.sandbox.scaling.service import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES = {"AvailabilityZones": ["eu-central-1a"]}


def test_every_operation_that_is_let_through_is_there() -> None:
    assert set(OPERATIONS) == AUTOSCALING


def test_a_new_group(make_group: Callable[..., str], group: Callable[[str], Any]) -> None:
    """What is not given is as the API reference says; the template is told by id and by name."""
    found = group(make_group(MinSize=0, MaxSize=3))
    assert (found["MinSize"], found["MaxSize"], found["DesiredCapacity"]) == (0, 3, 0)
    assert (found["DefaultCooldown"], found["HealthCheckType"], found["HealthCheckGracePeriod"]) == (
        300,
        "EC2",
        0,
    )
    assert found["TerminationPolicies"] == ["Default"]
    assert found["NewInstancesProtectedFromScaleIn"] is False
    assert found["AvailabilityZones"] == ["eu-central-1a"]
    assert set(found["LaunchTemplate"]) == {"LaunchTemplateId", "LaunchTemplateName", "Version"}
    assert not {"MixedInstancesPolicy", "DefaultInstanceWarmup", "InstanceMaintenancePolicy", "Status"} & set(
        found
    )
    assert found["AutoScalingGroupARN"].endswith(f":autoScalingGroupName/{found['AutoScalingGroupName']}")


def test_the_version_is_the_default_one_unless_it_is_given(
    make_group: Callable[..., str], group: Callable[[str], Any], template: Callable[..., str]
) -> None:
    """LaunchTemplateSpecification, Version: "The default value is $Default"."""
    name = make_group(LaunchTemplate={"LaunchTemplateId": template()})
    assert group(name)["LaunchTemplate"]["Version"] == "$Default"


def test_a_name_is_given_once(
    scaling: Any, make_group: Callable[..., str], template: Callable[..., str], code: Callable[..., str]
) -> None:
    again = {"MinSize": 0, "MaxSize": 0, **ZONES, "LaunchTemplate": {"LaunchTemplateId": template()}}
    name = make_group()
    assert code(scaling.create_auto_scaling_group, AutoScalingGroupName=name, **again) == "AlreadyExists"


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ((2, 1, None), "Max bound, 1, must be greater than or equal to min bound, 2"),
        ((1, 3, 4), "Desired capacity:4 must be between the specified min size:1 and max size:3"),
        ((1, 3, 0), "Desired capacity:0 must be between the specified min size:1 and max size:3"),
    ],
)
def test_sizes_that_contradict_each_other(fleet: Any, sizes: tuple[int, int, int | None], why: str) -> None:
    smallest, largest, desired = sizes
    asked = {"MinSize": smallest, "MaxSize": largest}
    if desired is not None:
        asked["DesiredCapacity"] = desired
    launch = {"LaunchTemplate": {"LaunchTemplateId": fleet.template()}, **ZONES}
    create = {"AutoScalingGroupName": "contradiction", **launch, **asked}
    assert fleet.refusal(fleet.scaling.create_auto_scaling_group, **create) == ("ValidationError", why)
    update = {"AutoScalingGroupName": fleet.make_group(), **asked}
    assert fleet.refusal(fleet.scaling.update_auto_scaling_group, **update) == ("ValidationError", why)


def test_limits_move_the_desired_capacity(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Any], settle: Callable[..., None]
) -> None:
    """UpdateAutoScalingGroup: a higher minimum raises it, a lower maximum lowers it."""
    name = make_group(MinSize=0, MaxSize=5, DesiredCapacity=1)
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=3)
    assert group(name)["DesiredCapacity"] == 3
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=2)
    assert group(name)["DesiredCapacity"] == 2
    settle()
    assert len(group(name)["Instances"]) == 2


def test_what_is_not_given_stays(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Any]
) -> None:
    """UpdateAutoScalingGroup: "Any properties that you don't specify are not changed"."""
    name = make_group(
        HealthCheckGracePeriod=60, DefaultInstanceWarmup=30, NewInstancesProtectedFromScaleIn=True
    )
    before = group(name)
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=7)
    after = group(name)
    assert after["MaxSize"] == 7
    assert {**after, "MaxSize": before["MaxSize"]} == before


def test_a_policy_stays_when_something_else_is_changed(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Any], template: Callable[..., str]
) -> None:
    launch = {"LaunchTemplateSpecification": {"LaunchTemplateId": template(), "Version": "1"}}
    policy = {"LaunchTemplate": {**launch, "Overrides": [{"InstanceType": "t3.small"}]}}
    name = make_group(MixedInstancesPolicy=policy)
    before = group(name)["MixedInstancesPolicy"]
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=3)
    assert group(name)["MixedInstancesPolicy"] == before


def test_a_template_or_a_policy_never_both(
    scaling: Any,
    make_group: Callable[..., str],
    group: Callable[[str], Any],
    template: Callable[..., str],
    refusal: Callable[..., tuple[str, str]],
) -> None:
    """Each replaces the other; asking for both, or for neither, is refused."""
    own = {"LaunchTemplateId": template(), "Version": "1"}
    policy = {"LaunchTemplate": {"LaunchTemplateSpecification": own}}
    name = make_group()
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MixedInstancesPolicy=policy)
    assert "LaunchTemplate" not in group(name)
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=own)
    assert "MixedInstancesPolicy" not in group(name)
    both = {"LaunchTemplate": own, "MixedInstancesPolicy": policy}
    code, text = refusal(scaling.update_auto_scaling_group, AutoScalingGroupName=name, **both)
    assert (code, "Valid requests must contain either LaunchTemplate" in text) == ("ValidationError", True)
    neither = {"AutoScalingGroupName": "neither", "MinSize": 0, "MaxSize": 0, **ZONES}
    assert refusal(scaling.create_auto_scaling_group, **neither) == (code, text)


def test_the_template_by_id_or_by_name(
    scaling: Any,
    make_group: Callable[..., str],
    group: Callable[[str], Any],
    refusal: Callable[..., tuple[str, str]],
) -> None:
    """LaunchTemplateSpecification: "You must specify either a LaunchTemplateId or a LaunchTemplateName".

    A description has both, so it cannot be fed back as it is.
    """
    name = make_group()
    told = group(name)["LaunchTemplate"]
    for wrong in (told, {"Version": "1"}):
        assert refusal(
            scaling.update_auto_scaling_group, AutoScalingGroupName=name, LaunchTemplate=wrong
        ) == ("ValidationError", "Valid requests must contain either launchTemplateId or LaunchTemplateName")
    by_name = {"LaunchTemplateName": told["LaunchTemplateName"], "Version": "$Latest"}
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, LaunchTemplate=by_name)
    assert group(name)["LaunchTemplate"] == {**told, "Version": "$Latest"}


@pytest.mark.parametrize("wrong", [{"LaunchTemplateId": "lt-0"}, {"Version": "7"}, {"Version": "x"}])
def test_a_template_that_is_not_there(
    scaling: Any,
    make_group: Callable[..., str],
    template: Callable[..., str],
    refusal: Callable[..., tuple[str, str]],
    wrong: dict[str, str],
) -> None:
    asked = {"LaunchTemplateId": template(), **wrong}
    code, text = refusal(
        scaling.update_auto_scaling_group, AutoScalingGroupName=make_group(), LaunchTemplate=asked
    )
    assert code == "ValidationError"
    assert text.startswith("You must use a valid fully-formed launch template. The specified launch template")


@pytest.mark.parametrize(
    "unknown",
    [{"LoadBalancerNames": ["x"]}, {"TargetGroupARNs": ["arn:aws:x"]}, {"LaunchConfigurationName": "x"}],
)
def test_what_the_sandbox_has_not_got_is_refused(
    scaling: Any,
    template: Callable[..., str],
    refusal: Callable[..., tuple[str, str]],
    unknown: dict[str, Any],
) -> None:
    launch = {"LaunchTemplate": {"LaunchTemplateId": template()}, **ZONES}
    asked = {"AutoScalingGroupName": "x", "MinSize": 0, "MaxSize": 0, **launch, **unknown}
    code, text = refusal(scaling.create_auto_scaling_group, **asked)
    assert (code, text.startswith("The sandbox has not got")) == ("ValidationError", True)


def test_where_instances_go(
    ec2: Any, scaling: Any, make_group: Callable[..., str], members: Callable[..., Any], described: Any
) -> None:
    """Into the subnets of VPCZoneIdentifier, evenly over zones: user guide, "Add Availability Zones"."""
    subnets = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]}
    zones = ["eu-central-1a", "eu-central-1b"]
    wanted = [subnets[zone] for zone in zones]
    name = make_group(AvailabilityZones=zones, VPCZoneIdentifier=",".join(wanted), DesiredCapacity=4)
    found = members(name)
    assert sorted(member["AvailabilityZone"] for member in found) == [zones[0], zones[0], zones[1], zones[1]]
    assert {described(member["InstanceId"])["SubnetId"] for member in found} == set(wanted)
    del scaling


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ({}, "At least one Availability Zone or VPC Subnet is required."),
        (
            {"AvailabilityZones": ["eu-central-1x"]},
            "One or more Availability Zones are invalid: [eu-central-1x]",
        ),
        ({"VPCZoneIdentifier": "subnet-0"}, "The subnet ID 'subnet-0' does not exist"),
    ],
)
def test_nowhere_to_go(
    scaling: Any,
    template: Callable[..., str],
    refusal: Callable[..., tuple[str, str]],
    place: dict[str, Any],
    why: str,
) -> None:
    launch = {"LaunchTemplate": {"LaunchTemplateId": template()}}
    asked = {"AutoScalingGroupName": "nowhere", "MinSize": 0, "MaxSize": 0, **launch, **place}
    assert refusal(scaling.create_auto_scaling_group, **asked) == ("ValidationError", why)


def test_describing_in_pages(scaling: Any, make_group: Callable[..., str]) -> None:
    """MaxRecords and NextToken; names that are not there are no error."""
    names = sorted(make_group(settled=False) for _ in range(3))
    asked = {"AutoScalingGroupNames": [*names, "nobody"]}
    first = scaling.describe_auto_scaling_groups(**asked, MaxRecords=2)
    rest = scaling.describe_auto_scaling_groups(**asked, MaxRecords=2, NextToken=first["NextToken"])
    found = [group["AutoScalingGroupName"] for page in (first, rest) for group in page["AutoScalingGroups"]]
    assert found == names
    assert "NextToken" not in rest


@pytest.mark.parametrize(
    ("asked", "refused"), [({"MaxRecords": 101}, "ValidationError"), ({"NextToken": "x"}, "InvalidNextToken")]
)
def test_pages_that_are_not_there(
    scaling: Any, code: Callable[..., str], asked: dict[str, Any], refused: str
) -> None:
    """MaxRecords: "The default value is 50 and the maximum value is 100"."""
    assert code(scaling.describe_auto_scaling_groups, **asked) == refused


def test_filters(scaling: Any, make_group: Callable[..., str], code: Callable[..., str]) -> None:
    """Filter: ``tag-key``, ``tag-value``, ``tag:<key>``; several are connected by AND, values by OR."""
    one = make_group(settled=False, Tags=[{"Key": "fleet", "Value": "one"}, {"Key": "only", "Value": "x"}])
    two = make_group(settled=False, Tags=[{"Key": "fleet", "Value": "two"}])

    def found(*filters: tuple[str, list[str]]) -> set[str]:
        asked = [{"Name": name, "Values": values} for name, values in filters]
        groups = scaling.describe_auto_scaling_groups(Filters=asked)["AutoScalingGroups"]
        return {str(group["AutoScalingGroupName"]) for group in groups}

    assert found(("tag:fleet", ["one", "two"])) == {one, two}
    assert found(("tag:fleet", ["two"])) == found(("tag-value", ["two"])) == {two}
    assert found(("tag:fleet", ["one", "two"]), ("tag-key", ["only"])) == {one}
    assert (
        code(scaling.describe_auto_scaling_groups, Filters=[{"Name": "name", "Values": ["x"]}])
        == "ValidationError"
    )


def test_tags(
    scaling: Any,
    make_group: Callable[..., str],
    members: Callable[..., Any],
    described: Any,
    settle: Callable[..., None],
) -> None:
    """Instances get the group's name, and those tags that are to be propagated, at launch only."""
    kept = {"Key": "kept", "Value": "here", "PropagateAtLaunch": False}
    given = {"Key": "team", "Value": "ci", "PropagateAtLaunch": True}
    name = make_group(DesiredCapacity=1, Tags=[kept, given])
    (first,) = members(name)

    def tags(instance_id: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in described(instance_id)["Tags"]}

    on_first = tags(first["InstanceId"])
    assert {key: on_first.get(key) for key in ("aws:autoscaling:groupName", "team", "kept")} == {
        "aws:autoscaling:groupName": name,
        "team": "ci",
        "kept": None,
    }
    assert on_first["aws:ec2launchtemplate:version"] == "1"
    late = {"ResourceId": name, "ResourceType": "auto-scaling-group", **given, "Value": "platform"}
    scaling.create_or_update_tags(Tags=[late])
    scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    settle()
    assert sorted(tags(member["InstanceId"])["team"] for member in members(name)) == ["ci", "platform"]
    mine = [{"Name": "auto-scaling-group", "Values": [name]}]
    assert [tag["Key"] for tag in scaling.describe_tags(Filters=mine)["Tags"]] == ["kept", "team"]
    scaling.delete_tags(Tags=[{"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": "kept"}])
    assert [tag["Key"] for tag in scaling.describe_tags(Filters=mine)["Tags"]] == ["team"]


def test_a_group_with_instances_is_deleted_by_force_only(fleet: Any) -> None:
    """DeleteAutoScalingGroup: ResourceInUse; ForceDelete ends the instances too, and waits for no hooks."""
    name = fleet.make_group(DesiredCapacity=1)
    fleet.scaling.put_lifecycle_hook(
        AutoScalingGroupName=name,
        LifecycleHookName="drain",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    (member,) = fleet.members(name)
    assert fleet.code(fleet.scaling.delete_auto_scaling_group, AutoScalingGroupName=name) == "ResourceInUse"
    fleet.scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    fleet.settle()
    assert fleet.group(name) == {}
    assert fleet.state(member["InstanceId"]) == "terminated"


def test_a_group_without_instances_is_deleted_at_once(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Any]
) -> None:
    name = make_group()
    scaling.delete_auto_scaling_group(AutoScalingGroupName=name)
    assert group(name) == {}


def test_while_a_group_is_being_deleted(
    scaling: Any,
    make_group: Callable[..., str],
    group: Callable[[str], Any],
    driver: Any,
    code: Callable[..., str],
) -> None:
    """AutoScalingGroup, Status: the group's state "when … DeleteAutoScalingGroup … is in progress"."""
    name = make_group(DesiredCapacity=1)
    driver.gate.clear()
    scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
    assert group(name)["Status"] == "Delete in progress"
    refused = code(scaling.update_auto_scaling_group, AutoScalingGroupName=name, MaxSize=1)
    driver.gate.set()
    assert refused == "ScalingActivityInProgress"


@pytest.mark.parametrize(("protection", "force"), [("none", True), ("prevent-force-deletion", False)])
def test_what_deletion_protection_allows(fleet: Any, protection: str, force: bool) -> None:
    name = fleet.make_group(DeletionProtection=protection)
    fleet.scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=force)
    assert fleet.group(name) == {}


@pytest.mark.parametrize(
    ("protection", "force"),
    [("prevent-force-deletion", True), ("prevent-all-deletion", False), ("prevent-all-deletion", True)],
)
def test_what_deletion_protection_prevents(fleet: Any, protection: str, force: bool) -> None:
    """API reference, DeletionProtection."""
    name = fleet.make_group(DeletionProtection=protection)
    asked = {"AutoScalingGroupName": name, "ForceDelete": force}
    assert fleet.code(fleet.scaling.delete_auto_scaling_group, **asked) == "ValidationError"
    assert fleet.group(name)["DeletionProtection"] == protection
    fleet.scaling.update_auto_scaling_group(AutoScalingGroupName=name, DeletionProtection="none")


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("update_auto_scaling_group", {}),
        ("delete_auto_scaling_group", {}),
        ("set_desired_capacity", {"DesiredCapacity": 1}),
        ("suspend_processes", {}),
        ("describe_scaling_activities", {}),
    ],
)
def test_a_group_that_is_not_there(
    scaling: Any, refusal: Callable[..., tuple[str, str]], operation: str, more: dict[str, Any]
) -> None:
    assert refusal(getattr(scaling, operation), AutoScalingGroupName="nobody", **more) == (
        "ValidationError",
        "AutoScalingGroup name not found - AutoScalingGroup 'nobody' not found",
    )


def test_regions_have_their_own_groups(client: Callable[..., Any], make_group: Callable[..., str]) -> None:
    name = make_group(settled=False)
    elsewhere = client("autoscaling", "us-west-2")
    assert elsewhere.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"] == []


@pytest.mark.parametrize("policy", [(-1, -1), (90, 110), (0, 100)])
def test_an_instance_maintenance_policy(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Any], policy: tuple[int, int]
) -> None:
    """InstanceMaintenancePolicy: to clear it, "specify a value of -1 for both"; -1 clears a warm-up too."""
    low, high = policy
    name = make_group(InstanceMaintenancePolicy={"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120})
    asked = {"MinHealthyPercentage": low, "MaxHealthyPercentage": high}
    scaling.update_auto_scaling_group(
        AutoScalingGroupName=name, InstanceMaintenancePolicy=asked, DefaultInstanceWarmup=-1
    )
    assert group(name).get("InstanceMaintenancePolicy") == (None if low < 0 else asked)


@pytest.mark.parametrize("policy", [(90, 99), (101, 150), (0, 101), (90, 201)])
def test_an_instance_maintenance_policy_out_of_range(
    scaling: Any, make_group: Callable[..., str], code: Callable[..., str], policy: tuple[int, int]
) -> None:
    """0 to 100, 100 to 200, and no more than 100 between them."""
    asked = {"MinHealthyPercentage": policy[0], "MaxHealthyPercentage": policy[1]}
    assert (
        code(
            scaling.update_auto_scaling_group,
            AutoScalingGroupName=make_group(),
            InstanceMaintenancePolicy=asked,
        )
        == "ValidationError"
    )
