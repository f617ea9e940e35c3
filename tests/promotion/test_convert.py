"""Groups that start ``$Latest`` are made to start a number; what is in effect stays in effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from amifactory.errors import ExitCode, RefusedError
from amifactory.operations.convert_fleet import convert_fleet, plan_conversion

if TYPE_CHECKING:
    from collections.abc import Callable

FACTORY = """
channel "staging" {}
fleet "node" {
  image   = "node"
  group   = "ci-node"
  channel = "staging"
  rollout = "refresh"
  sandbox {
    version = "$Latest"
    workers = 1
  }
}
"""


@pytest.fixture
def latest(account: Any, groups: Callable[[], None]) -> Any:
    """Returns an account with a group of one worker that starts ``$Latest``: version 2."""
    account.image("node")
    account.configure(FACTORY)
    groups()
    account.kept.ec2.create_launch_template_version(
        LaunchTemplateName="ci-node", SourceVersion="1", LaunchTemplateData={"EbsOptimized": True}
    )
    return account


def group(account: Any) -> dict[str, Any]:
    scaling = account.kept.autoscaling
    (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["ci-node"])["AutoScalingGroups"]
    return dict(found)


def test_a_dry_run_and_a_run_without_a_terminal_change_nothing(
    latest: Any, command: Callable[..., Any]
) -> None:
    latest.ask("DELETE", "calls")
    shown = command("fleets", "convert", "node", "--dry-run")
    assert (shown.code, shown.stderr) == (ExitCode.DONE, "ci-node: ci-node $Latest -> 2\n")
    asked = command("fleets", "convert", "node")
    assert asked.code == ExitCode.REFUSED
    assert "there is no terminal to ask on" in asked.error
    assert latest.changing_calls() == []


def test_a_converted_group_starts_what_it_started_and_can_be_promoted_to(
    latest: Any, command: Callable[..., Any]
) -> None:
    before = group(latest)
    ami_id = latest.build("node")
    refused = command("promote", "--channel", "staging", "--yes")
    assert refused.code == ExitCode.REFUSED
    assert "Run: amifactory fleets convert node" in refused.stderr

    assert command("fleets", "convert", "node", "--yes").code == ExitCode.DONE
    after = group(latest)
    assert after["LaunchTemplate"]["Version"] == "2"
    assert after["Instances"] == before["Instances"]

    again = command("fleets", "convert", "node", "--yes")
    assert (again.code, again.stderr) == (
        ExitCode.DONE,
        "Nothing to do: ci-node does not use $Latest.\n",
    )
    latest.promote("staging")
    latest.settle()
    (row,) = latest.status().fleets
    assert (row.ami_id, row.template_version, row.current, row.old) == (ami_id, 3, 1, 0)


def test_every_latest_of_a_mixed_policy_is_converted_and_nothing_else(
    latest: Any, command: Callable[..., Any]
) -> None:
    ec2, scaling = latest.kept.ec2, latest.kept.autoscaling
    data = {"ImageId": latest.settings.source_ami_id, "InstanceType": "t3.large"}
    for name in ("other", "pinned"):
        ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    overrides = [
        {
            "InstanceType": kind,
            "WeightedCapacity": "1",
            "LaunchTemplateSpecification": {"LaunchTemplateName": name, "Version": version},
        }
        for kind, name, version in (("t3.large", "other", "$Latest"), ("t3.medium", "pinned", "1"))
    ]
    scaling.update_auto_scaling_group(
        AutoScalingGroupName="ci-node",
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "ci-node", "Version": "$Latest"},
                "Overrides": overrides,
            },
            "InstancesDistribution": {"OnDemandBaseCapacity": 1, "SpotAllocationStrategy": "lowest-price"},
        },
    )
    before = group(latest)["MixedInstancesPolicy"]
    assert command("fleets", "convert", "node", "--yes").code == ExitCode.DONE
    after = group(latest)["MixedInstancesPolicy"]
    template = after["LaunchTemplate"]
    found = [
        template["LaunchTemplateSpecification"],
        *(one["LaunchTemplateSpecification"] for one in template["Overrides"]),
    ]
    assert [(one["LaunchTemplateName"], one["Version"]) for one in found] == [
        ("ci-node", "2"),
        ("other", "1"),
        ("pinned", "1"),
    ]
    assert after["InstancesDistribution"] == before["InstancesDistribution"]
    assert [one["WeightedCapacity"] for one in template["Overrides"]] == ["1", "1"]


def test_a_group_that_was_changed_meanwhile_is_refused(latest: Any) -> None:
    workshop = latest.workshop(latest.kept)
    planned = plan_conversion(workshop, "node")
    latest.kept.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName="ci-node", LaunchTemplate={"LaunchTemplateName": "ci-node", "Version": "1"}
    )
    with pytest.raises(RefusedError, match="ci-node was changed by somebody else meanwhile"):
        convert_fleet(workshop, planned)
    assert group(latest)["LaunchTemplate"]["Version"] == "1"


def test_a_version_made_meanwhile_is_not_put_into_service(latest: Any) -> None:
    """It would be, at the next launch, as long as the group starts ``$Latest``; the plan said 2."""
    workshop = latest.workshop(latest.kept)
    planned = plan_conversion(workshop, "node")
    latest.kept.ec2.create_launch_template_version(
        LaunchTemplateName="ci-node", SourceVersion="1", LaunchTemplateData={"EbsOptimized": False}
    )
    convert_fleet(workshop, planned)
    assert group(latest)["LaunchTemplate"]["Version"] == "2"


def test_a_fleet_that_does_not_exist_is_told_with_those_that_do(
    latest: Any, command: Callable[..., Any]
) -> None:
    ran = command("fleets", "convert", "nod", "--yes")
    assert (ran.code, ran.error) == (
        ExitCode.USAGE,
        '"nod" is not a fleet of this factory\nFleets: node',
    )
    latest.kept.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="ci-node", ForceDelete=True)
    for _ in range(50):
        latest.clock.pause(1)
        if not latest.kept.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
            break
    ran = command("fleets", "convert", "node", "--yes")
    assert (ran.code, ran.error.strip()) == (ExitCode.USAGE, "there is no Auto Scaling group ci-node")
