"""Many fleets: what is asked of AWS for all of them together, and what for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.operations.fleet_facts import TOGETHER
from amifactory.operations.promote import PromotionRequest, plan_promotion

if TYPE_CHECKING:
    from collections.abc import Callable

EACH = ("DescribeInstanceRefreshes", "DescribeLaunchTemplateVersions")


def fleet(number: int, sandbox: str = "") -> str:
    return f"""
fleet "fleet-{number:02}" {{
  image   = "node"
  group   = "ci-{number:02}"
  channel = "staging"
  sandbox {{
    {sandbox}
  }}
}}
"""


def asked(account: Any, what: Callable[[], object]) -> Counter[str]:
    account.ask("DELETE", "calls")
    what()
    return Counter(call["operation"] for call in account.ask("GET", "calls"))


@pytest.fixture
def many(account: Any, groups: Callable[[], None]) -> Any:
    account.image("node")
    account.configure('channel "staging" {}\n' + "".join(fleet(number) for number in range(TOGETHER)))
    groups()
    return account


def test_versions_are_asked_for_together_but_for_one_that_is_neither_newest_nor_default(many: Any) -> None:
    ami_id = many.build("node")
    assert [asked(many, many.status)[name] for name in EACH] == [0, 1]
    name = {"LaunchTemplateName": "ci-00"}
    for _ in range(2):  # the group stays at version 1, the default is 2, the latest 3
        many.kept.ec2.create_launch_template_version(
            **name, SourceVersion="1", LaunchTemplateData={"ImageId": ami_id}
        )
    many.kept.ec2.modify_launch_template(**name, DefaultVersion="2")
    assert [asked(many, many.status)[name] for name in EACH] == [0, 2]
    source = many.settings.source_ami_id
    assert {(row.ami_id, row.template_version) for row in many.status().fleets} == {(source, 1)}


def test_of_fleets_where_their_release_says_nothing_is_asked_one_by_one(many: Any) -> None:
    many.build("node")
    many.promote("staging")
    calls = asked(many, many.status)
    assert calls == {"GetObject": 2, "DescribeAutoScalingGroups": 1, "DescribeLaunchTemplates": 1}


def test_a_parameter_of_several_fleets_is_set_once(account: Any, groups: Callable[[], None]) -> None:
    """Each time makes a version, of which 100 are kept (Systems Manager API reference, PutParameter)."""
    account.image("node")
    kinds = [fleet(0, 'version = "parameter"'), fleet(1), fleet(2)]
    account.configure('channel "staging" {}\n' + "".join(kinds))
    groups()
    for number in (1, 2):
        made = account.kept.ec2.create_launch_template_version(
            LaunchTemplateName=f"ci-0{number}",
            SourceVersion="1",
            LaunchTemplateData={"ImageId": "resolve:ssm:/sandbox/ci-00"},
        )["LaunchTemplateVersion"]
        account.kept.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=f"ci-0{number}",
            LaunchTemplate={
                "LaunchTemplateId": made["LaunchTemplateId"],
                "Version": str(made["VersionNumber"]),
            },
        )
    ami_id = account.build("node")
    workshop = account.workshop(account.kept)
    plan = plan_promotion(workshop, PromotionRequest(channel="staging"))
    one_by_one = replace(account.change(workshop), parallel=1)
    calls = asked(account, lambda: one_by_one.promote(plan))
    assert calls["PutParameter"] == 2  # theirs, and the one that is published
    assert {row.ami_id for row in account.status().fleets} == {ami_id}
