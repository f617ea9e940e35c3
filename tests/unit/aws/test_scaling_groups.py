"""Auto Scaling groups: read from AWS's words, and given back in words AWS takes."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from amifactory.aws.scaling_groups import ScalingGroups, configuration_of
from amifactory.domain.fleet import Group, TemplateId, TemplateUse, Worker

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def specification(name: str, version: str | None = None) -> dict[str, str]:
    """Returns a template as AWS names it in answers: by both id and name."""
    given = {"LaunchTemplateId": f"lt-{name}", "LaunchTemplateName": name}
    return given | ({"Version": version} if version else {})


def described(**changes: Any) -> dict[str, Any]:
    """Returns a group with all that the API's model says is always there."""
    return {
        "AutoScalingGroupName": "ci-node",
        "MinSize": 0,
        "MaxSize": 4,
        "DesiredCapacity": 2,
        "DefaultCooldown": 300,
        "AvailabilityZones": ["eu-central-1a"],
        "HealthCheckType": "EC2",
        "CreatedTime": BEGAN,
        **changes,
    }


POLICY: dict[str, Any] = {
    "LaunchTemplate": {
        "LaunchTemplateSpecification": specification("node", "4"),
        "Overrides": [
            {"InstanceType": "t3.large", "WeightedCapacity": "1"},
            {"InstanceType": "t4g.large", "LaunchTemplateSpecification": specification("arm", "$Default")},
            {"InstanceType": "m7g.large", "LaunchTemplateSpecification": specification("other", "2")},
        ],
    },
    "InstancesDistribution": {
        "OnDemandBaseCapacity": 1,
        "SpotAllocationStrategy": "price-capacity-optimized",
    },
}


def read(autoscaling: Stubber, session: AwsSession, *groups: dict[str, Any]) -> dict[str, Group]:
    names = sorted(group["AutoScalingGroupName"] for group in groups)
    autoscaling.add_response(
        "describe_auto_scaling_groups",
        {"AutoScalingGroups": list(groups)},
        {"AutoScalingGroupNames": names, "MaxRecords": 100},
    )
    return ScalingGroups(session).groups(names)


def test_a_group_with_a_launch_template(autoscaling: Stubber, session: AwsSession) -> None:
    instance = {
        "InstanceId": "i-1",
        "AvailabilityZone": "eu-central-1a",
        "LifecycleState": "InService",
        "HealthStatus": "Healthy",
        "ProtectedFromScaleIn": True,
        "LaunchTemplate": specification("node", "3"),
    }
    older = {**instance, "InstanceId": "i-2", "ProtectedFromScaleIn": False}
    del older["LaunchTemplate"]
    found = read(
        autoscaling,
        session,
        described(
            LaunchTemplate=specification("node", "$Default"),
            Instances=[instance, older],
            SuspendedProcesses=[{"ProcessName": "Launch", "SuspensionReason": "by hand"}],
            NewInstancesProtectedFromScaleIn=True,
        ),
    )
    assert found == {
        "ci-node": Group(
            name="ci-node",
            uses=(TemplateUse(template_id=TemplateId("lt-node"), template_name="node", version="$Default"),),
            desired=2,
            largest=4,
            workers=(
                Worker(
                    instance_id="i-1",
                    template_id=TemplateId("lt-node"),
                    version=3,
                    state="InService",
                    protected=True,
                ),
                Worker(instance_id="i-2", template_id=None, version=None, state="InService"),
            ),
            suspended=frozenset({"Launch"}),
            protects_new=True,
        )
    }


def test_a_version_that_is_not_given_is_the_default_one(autoscaling: Stubber, session: AwsSession) -> None:
    """LaunchTemplateSpecification, Version: "The default value is $Default"."""
    found = read(autoscaling, session, described(LaunchTemplate=specification("node")))
    assert found["ci-node"].uses[0].version == "$Default"


def test_a_group_of_a_launch_configuration_uses_no_template(
    autoscaling: Stubber, session: AwsSession
) -> None:
    found = read(autoscaling, session, described(LaunchConfigurationName="old"))
    assert found["ci-node"].uses == ()


def test_every_template_of_a_mixed_policy_is_a_use_with_its_instance_types(
    autoscaling: Stubber, session: AwsSession
) -> None:
    """One without a template of its own has the policy's (user guide, "Use multiple launch templates")."""
    group = read(autoscaling, session, described(MixedInstancesPolicy=POLICY))["ci-node"]
    assert [(use.template_name, use.version, use.override, use.instance_types) for use in group.uses] == [
        ("node", "4", None, ("t3.large",)),
        ("arm", "$Default", 1, ("t4g.large",)),
        ("other", "2", 2, ("m7g.large",)),
    ]
    assert not group.by_attributes


def test_a_group_that_chooses_by_attributes(autoscaling: Stubber, session: AwsSession) -> None:
    requirements = {"VCpuCount": {"Min": 2}, "MemoryMiB": {"Min": 4096}}
    policy = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": specification("node", "4"),
            "Overrides": [{"InstanceRequirements": requirements}],
        }
    }
    group = read(autoscaling, session, described(MixedInstancesPolicy=policy))["ci-node"]
    assert group.by_attributes
    assert group.uses[0].instance_types == ()


def test_groups_are_asked_for_a_hundred_at_a_time(autoscaling: Stubber, session: AwsSession) -> None:
    names = [f"g-{number:03}" for number in range(101)]
    for some in (names[:100], names[100:]):
        autoscaling.add_response(
            "describe_auto_scaling_groups",
            {"AutoScalingGroups": [described(AutoScalingGroupName=some[0])]},
            {"AutoScalingGroupNames": some, "MaxRecords": 100},
        )
    assert set(ScalingGroups(session).groups(names)) == {"g-000", "g-100"}
    assert ScalingGroups(session).groups([]) == {}


def group(policy: dict[str, Any] | None = None) -> Group:
    use = TemplateUse(template_id=TemplateId("lt-node"), template_name="node", version="4")
    return Group(name="ci-node", uses=(use,), desired=1, policy=policy)


def test_a_template_goes_back_by_its_id_alone() -> None:
    """ "You must specify either a LaunchTemplateName or a LaunchTemplateId" (LaunchTemplateSpecification)."""
    assert configuration_of(group(), {TemplateId("lt-node"): "5"}) == {
        "LaunchTemplate": {"LaunchTemplateId": "lt-node", "Version": "5"}
    }
    assert configuration_of(group(), {})["LaunchTemplate"]["Version"] == "4"


def test_a_policy_goes_back_as_it_came_but_for_the_versions() -> None:
    """UpdateAutoScalingGroup takes the policy as a whole, and keeps nothing of the one before."""
    before = deepcopy(POLICY)
    given = configuration_of(group(POLICY), {TemplateId("lt-node"): "5", TemplateId("lt-arm"): "7"})
    assert given == {
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-node", "Version": "5"},
                "Overrides": [
                    {"InstanceType": "t3.large", "WeightedCapacity": "1"},
                    {
                        "InstanceType": "t4g.large",
                        "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-arm", "Version": "7"},
                    },
                    {
                        "InstanceType": "m7g.large",
                        "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-other", "Version": "2"},
                    },
                ],
            },
            "InstancesDistribution": POLICY["InstancesDistribution"],
        }
    }
    assert before == POLICY


def test_repointing_sends_nothing_but_the_configuration(autoscaling: Stubber, session: AwsSession) -> None:
    autoscaling.add_response(
        "update_auto_scaling_group",
        {},
        {
            "AutoScalingGroupName": "ci-node",
            "LaunchTemplate": {"LaunchTemplateId": "lt-node", "Version": "5"},
        },
    )
    ScalingGroups(session).repoint(group(), {TemplateId("lt-node"): "5"})


def test_how_long_workers_took_until_they_were_in_service(autoscaling: Stubber, session: AwsSession) -> None:
    def activity(what: str, *, status: str = "Successful", took: int | None = 90) -> dict[str, Any]:
        ended = {} if took is None else {"EndTime": BEGAN + timedelta(seconds=took)}
        return {
            "ActivityId": "a",
            "AutoScalingGroupName": "ci-node",
            "Cause": "it was wanted",
            "StartTime": BEGAN,
            "StatusCode": status,
            "Description": what,
            **ended,
        }

    autoscaling.add_response(
        "describe_scaling_activities",
        {
            "Activities": [
                activity("Launching a new EC2 instance: i-1"),
                activity("Launching a new EC2 instance: i-2", took=None),
                activity("Launching a new EC2 instance: i-3", status="Failed"),
                activity("Terminating EC2 instance: i-1"),
                activity("Launching a new EC2 instance: i-old"),
                activity("Launching a new EC2 instance"),
            ]
        },
        {"AutoScalingGroupName": "ci-node", "MaxRecords": 100},
    )
    assert ScalingGroups(session).boot_seconds("ci-node", {"i-1", "i-2", "i-3"}) == (90.0,)


def test_the_amis_of_workers_without_those_that_are_gone(ec2: Stubber, session: AwsSession) -> None:
    ids = [f"i-{number:04}" for number in range(201)]
    for some in (ids[:200], ids[200:]):
        found = [{"InstanceId": some[0], "ImageId": "ami-1"}]
        ec2.add_response(
            "describe_instances",
            {"Reservations": [{"Instances": found}]},
            {"Filters": [{"Name": "instance-id", "Values": some}]},
        )
    assert ScalingGroups(session).amis(ids) == {"i-0000": "ami-1", "i-0200": "ami-1"}
    assert ScalingGroups(session).amis([]) == {}
