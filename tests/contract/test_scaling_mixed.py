"""Mixed instances policies: overrides, weights, attributes, and how On-Demand and Spot share the capacity.

Auto Scaling user guide, "Auto Scaling groups with multiple instance types and purchase options"; API
reference, InstancesDistribution, LaunchTemplateOverrides, InstanceRequirements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Found = dict[str, Any]
SMALL = {"VCpuCount": {"Min": 2, "Max": 4}, "MemoryMiB": {"Min": 4096, "Max": 16384}}


@pytest.fixture
def policy(template: Callable[..., str]) -> Callable[..., Found]:
    """Makes a policy of overrides, with a launch template of its own."""

    def policy(*overrides: Found, template_id: str | None = None, **distribution: object) -> Found:
        own = {"LaunchTemplateId": template_id or template(), "Version": "1"}
        launch = {"LaunchTemplateSpecification": own, "Overrides": list(overrides)}
        return {"LaunchTemplate": launch, "InstancesDistribution": distribution}

    return policy


@pytest.fixture
def kinds(
    members: Callable[..., list[Found]], described: Callable[[str], Found]
) -> Callable[[str], list[str]]:
    """Returns what a group's instances are: ``on-demand`` or ``spot``, sorted."""

    def kinds(name: str) -> list[str]:
        found = [described(member["InstanceId"]) for member in members(name)]
        return sorted(instance.get("InstanceLifecycle", "on-demand") for instance in found)

    return kinds


def test_the_first_override_is_taken(
    make_group: Callable[..., str], members: Callable[..., list[Found]], policy: Callable[..., Found]
) -> None:
    """``prioritized``: "launches your highest priority instance types first"."""
    wanted = policy({"InstanceType": "t3.small"}, {"InstanceType": "t3.medium"})
    name = make_group(DesiredCapacity=2, MixedInstancesPolicy=wanted)
    assert {member["InstanceType"] for member in members(name)} == {"t3.small"}


def test_the_next_override_when_the_first_cannot_be_had(
    make_group: Callable[..., str], members: Callable[..., list[Found]], policy: Callable[..., Found]
) -> None:
    wanted = policy({"InstanceType": "m7g.large"}, {"InstanceType": "t3.small"})
    name = make_group(DesiredCapacity=1, MixedInstancesPolicy=wanted)
    assert [member["InstanceType"] for member in members(name)] == ["t3.small"]


def test_a_policy_is_told_whole(
    make_group: Callable[..., str], group: Callable[[str], Found], policy: Callable[..., Found]
) -> None:
    """InstancesDistribution has its defaults, each template its id and name."""
    found = group(make_group(MixedInstancesPolicy=policy({"InstanceType": "t3.small"})))[
        "MixedInstancesPolicy"
    ]
    assert found["InstancesDistribution"] == {
        "OnDemandAllocationStrategy": "prioritized",
        "OnDemandBaseCapacity": 0,
        "OnDemandPercentageAboveBaseCapacity": 100,
        "SpotAllocationStrategy": "lowest-price",
        "SpotInstancePools": 2,
    }
    assert set(found["LaunchTemplate"]["LaunchTemplateSpecification"]) == {
        "LaunchTemplateId",
        "LaunchTemplateName",
        "Version",
    }


def test_on_demand_and_spot(
    make_group: Callable[..., str], kinds: Callable[[str], list[str]], policy: Callable[..., Found]
) -> None:
    """The base first, then the percentage of what is above it."""
    wanted = policy(
        {"InstanceType": "t3.small"}, OnDemandBaseCapacity=1, OnDemandPercentageAboveBaseCapacity=50
    )
    name = make_group(DesiredCapacity=5, MixedInstancesPolicy=wanted)
    assert kinds(name) == ["on-demand"] * 3 + ["spot"] * 2


def test_spot_only(
    make_group: Callable[..., str], kinds: Callable[[str], list[str]], policy: Callable[..., Found]
) -> None:
    wanted = policy({"InstanceType": "t3.small"}, OnDemandPercentageAboveBaseCapacity=0)
    assert kinds(make_group(DesiredCapacity=2, MixedInstancesPolicy=wanted)) == ["spot"] * 2


def test_weights(
    make_group: Callable[..., str], members: Callable[..., list[Found]], policy: Callable[..., Found]
) -> None:
    """WeightedCapacity: launched "until the desired capacity is totally fulfilled, even if … an overage"."""
    wanted = policy({"InstanceType": "t3.medium", "WeightedCapacity": "3"})
    name = make_group(DesiredCapacity=5, MixedInstancesPolicy=wanted)
    assert [member["WeightedCapacity"] for member in members(name)] == ["3", "3"]


def test_scale_in_does_not_go_below_the_desired_weight(
    scaling: Any,
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    policy: Callable[..., Found],
    settle: Callable[..., None],
) -> None:
    wanted = policy({"InstanceType": "t3.medium", "WeightedCapacity": "3"})
    name = make_group(DesiredCapacity=6, MixedInstancesPolicy=wanted)
    for desired, left in ((4, 2), (3, 1)):
        scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=desired)
        settle()
        assert len(members(name)) == left


def test_an_override_with_its_own_template(
    make_group: Callable[..., str],
    group: Callable[[str], Found],
    members: Callable[..., list[Found]],
    template: Callable[..., str],
    policy: Callable[..., Found],
) -> None:
    """ "Specifying a different launch template for an instance type"."""
    own = {"LaunchTemplateId": template(), "Version": "1"}
    name = make_group(
        DesiredCapacity=1,
        MixedInstancesPolicy=policy({"InstanceType": "t3.small", "LaunchTemplateSpecification": own}),
    )
    (member,) = members(name)
    assert member["LaunchTemplate"]["LaunchTemplateId"] == own["LaunchTemplateId"]
    (override,) = group(name)["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    assert override["LaunchTemplateSpecification"]["LaunchTemplateId"] == own["LaunchTemplateId"]


def test_what_an_update_of_a_policy_leaves_out_stays(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Found], policy: Callable[..., Found]
) -> None:
    name = make_group(MixedInstancesPolicy=policy({"InstanceType": "t3.small"}))
    before = group(name)["MixedInstancesPolicy"]["LaunchTemplate"]
    distribution = {"InstancesDistribution": {"OnDemandBaseCapacity": 1}}
    scaling.update_auto_scaling_group(AutoScalingGroupName=name, MixedInstancesPolicy=distribution)
    after = group(name)["MixedInstancesPolicy"]
    assert after["LaunchTemplate"] == before
    assert after["InstancesDistribution"]["OnDemandBaseCapacity"] == 1


def test_by_attributes(
    ec2: Any,
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    policy: Callable[..., Found],
) -> None:
    """A type of the AMI's architecture within all limits; burstable and bare-metal ones are left out."""
    name = make_group(DesiredCapacity=1, MixedInstancesPolicy=policy({"InstanceRequirements": SMALL}))
    (member,) = members(name)
    (kind,) = ec2.describe_instance_types(InstanceTypes=[member["InstanceType"]])["InstanceTypes"]
    assert 2 <= kind["VCpuInfo"]["DefaultVCpus"] <= 4
    assert 4096 <= kind["MemoryInfo"]["SizeInMiB"] <= 16384
    assert "x86_64" in kind["ProcessorInfo"]["SupportedArchitectures"]
    assert not kind["BurstablePerformanceSupported"]


def test_by_attributes_and_spot(
    make_group: Callable[..., str],
    members: Callable[..., list[Found]],
    kinds: Callable[[str], list[str]],
    policy: Callable[..., Found],
) -> None:
    asked = {**SMALL, "AllowedInstanceTypes": ["c6i.*"]}
    wanted = policy(
        {"InstanceRequirements": asked},
        OnDemandPercentageAboveBaseCapacity=0,
        SpotAllocationStrategy="price-capacity-optimized",
    )
    name = make_group(DesiredCapacity=1, MixedInstancesPolicy=wanted)
    assert [member["InstanceType"] for member in members(name)] == ["c6i.large"]
    assert kinds(name) == ["spot"]


def test_no_type_has_the_attributes(
    scaling: Any, make_group: Callable[..., str], policy: Callable[..., Found]
) -> None:
    huge = {"VCpuCount": {"Min": 100_000}, "MemoryMiB": {"Min": 1}}
    name = make_group(DesiredCapacity=1, MixedInstancesPolicy=policy({"InstanceRequirements": huge}))
    (activity,) = scaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
    assert (activity["StatusCode"], "no instance type fits" in activity["StatusMessage"]) == ("Failed", True)


def test_attributes_and_an_ami_by_parameter(
    fleet: Any, client: Callable[..., Any], policy: Callable[..., Found], run: Callable[..., str]
) -> None:
    """ "Use AWS Systems Manager parameters instead of AMI IDs": not with InstanceRequirements."""
    client("ssm").put_parameter(
        Name="/workers/attributes",
        Type="String",
        DataType="aws:ec2:image",
        Value=fleet.described(run())["ImageId"],
    )
    own = fleet.template(ImageId="resolve:ssm:/workers/attributes")
    wanted = policy({"InstanceRequirements": SMALL}, template_id=own)
    name = fleet.make_group()
    create = {"AutoScalingGroupName": "x", "MinSize": 0, "MaxSize": 0, "AvailabilityZones": ["eu-central-1a"]}
    for call, asked in (
        (fleet.scaling.create_auto_scaling_group, create),
        (fleet.scaling.update_auto_scaling_group, {"AutoScalingGroupName": name}),
    ):
        code, text = fleet.refusal(call, **asked, MixedInstancesPolicy=wanted)
        assert (code, "Systems Manager parameter" in text) == ("ValidationError", True)


@pytest.mark.parametrize(
    "overrides",
    [
        [{"InstanceType": "t3.small"}, {"InstanceType": "t3.small"}],
        [{"InstanceType": "t3.small", "WeightedCapacity": "1"}, {"InstanceType": "t3.medium"}],
        [{"InstanceType": "t3.small", "WeightedCapacity": "1000"}],
        [{"InstanceType": "t3.small"}, {"InstanceRequirements": SMALL}],
        [{"InstanceRequirements": {**SMALL, "AcceleratorCount": {"Min": 1}}}],
        [
            {
                "InstanceRequirements": {
                    **SMALL,
                    "AllowedInstanceTypes": ["c*"],
                    "ExcludedInstanceTypes": ["t*"],
                }
            }
        ],
        [{"InstanceType": "t3.small", "ImageId": "ami-0"}],
    ],
)
def test_overrides_that_are_refused(
    scaling: Any,
    make_group: Callable[..., str],
    policy: Callable[..., Found],
    code: Callable[..., str],
    overrides: list[Found],
) -> None:
    """LaunchTemplateOverrides; the last two kinds are AWS's and not the sandbox's."""
    wanted = policy(*overrides)
    asked = {"AutoScalingGroupName": make_group(), "MixedInstancesPolicy": wanted}
    assert code(scaling.update_auto_scaling_group, **asked) == "ValidationError"


def test_a_template_that_asks_for_spot_itself(
    fleet: Any, policy: Callable[..., Found], kinds: Callable[[str], list[str]]
) -> None:
    """It makes Spot Instances of a group without a policy, and is refused in a policy."""
    own = fleet.template(InstanceMarketOptions={"MarketType": "spot"})
    name = fleet.make_group(DesiredCapacity=1, LaunchTemplate={"LaunchTemplateId": own, "Version": "1"})
    assert kinds(name) == ["spot"]
    wanted = policy({"InstanceType": "t3.small"}, template_id=own)
    asked = {"AutoScalingGroupName": name, "MixedInstancesPolicy": wanted}
    assert fleet.refusal(fleet.scaling.update_auto_scaling_group, **asked)[1].startswith(
        "Incompatible launch template"
    )


def test_from_types_to_attributes(
    scaling: Any, make_group: Callable[..., str], group: Callable[[str], Found], policy: Callable[..., Found]
) -> None:
    """The default OnDemandAllocationStrategy of attributes is ``lowest-price``, the only one there."""
    name = make_group(MixedInstancesPolicy=policy({"InstanceType": "t3.small"}))
    wanted = policy({"InstanceRequirements": SMALL})["LaunchTemplate"]
    asked = {"AutoScalingGroupName": name, "MixedInstancesPolicy": {"LaunchTemplate": wanted}}
    scaling.update_auto_scaling_group(**asked)
    found = group(name)["MixedInstancesPolicy"]["InstancesDistribution"]
    assert found["OnDemandAllocationStrategy"] == "lowest-price"
