"""What speaks against a promotion: each reason as a person sees it, and AWS left as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.model import Architecture, Verdict
from amifactory.errors import ExitCode, HalfDoneError, RefusedError
from amifactory.operations.promote import PromotionRequest, plan_promotion
from amifactory.operations.rollback import plan_rollback

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNELS = """
channel "staging" {}
channel "production" {
  soak = "24h"
}
"""


def fleet(name: str, *, channel: str = "staging", image: str = "node", **keys: str) -> str:
    given = {"image": image, "group": f"ci-{name}", "channel": channel, "rollout": "refresh", **keys}
    sandbox, health = given.pop("sandbox", ""), given.pop("health", "")
    lines = "\n".join(f'{key} = "{value}"' for key, value in given.items())
    return f'fleet "{name}" {{\n{lines}\nsandbox {{\n{sandbox}\n}}\nhealth {{\n{health}\n}}\n}}\n'


@pytest.fixture
def refused(account: Any, command: Callable[..., Any]) -> Callable[..., dict[str | None, list[str]]]:
    """Promotes by command, which has to refuse and to change nothing; returns what it says, by fleet."""

    def refused(*words: str) -> dict[str | None, list[str]]:
        account.ask("DELETE", "calls")
        for more in ([], ["--dry-run", "--json"]):
            ran = command("promote", *words, "--yes", *more)
            assert ran.code == ExitCode.REFUSED, ran
        assert account.changing_calls() == []
        found: dict[str | None, list[str]] = {}
        for refusal in ran.json["refusals"]:
            assert refusal["hint"]
            found.setdefault(refusal["fleet"], []).append(f"{refusal['reason']}: {refusal['message']}")
        return found

    return refused


@pytest.fixture
def staging(account: Any, groups: Callable[[], None]) -> Any:
    """Returns an account with a fleet of one worker in staging, and one at zero in production."""
    account.image("node")
    account.configure(
        CHANNELS + fleet("node", sandbox="workers = 1") + fleet("customers", channel="production")
    )
    groups()
    return account


def template_of(account: Any, group: str) -> dict[str, str]:
    scaling = account.kept.autoscaling
    (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return dict(found["LaunchTemplate"])


def new_version(account: Any, group: str, **data: Any) -> str:
    """Makes a version of a group's launch template and lets the group start it."""
    ec2, scaling = account.kept.ec2, account.kept.autoscaling
    template_id = template_of(account, group)["LaunchTemplateId"]
    made = ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion="$Latest", LaunchTemplateData=data
    )
    version = str(made["LaunchTemplateVersion"]["VersionNumber"])
    scaling.update_auto_scaling_group(
        AutoScalingGroupName=group,
        LaunchTemplate={"LaunchTemplateId": template_id, "Version": version},
    )
    return version


def mix(account: Any, group: str, *overrides: dict[str, Any]) -> None:
    """Gives a group a mixed-instances policy of its own launch template and these overrides."""
    own = template_of(account, group)
    specification = {"LaunchTemplateId": own["LaunchTemplateId"], "Version": own["Version"]}
    account.kept.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName=group,
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": specification, "Overrides": list(overrides)}
        },
    )


def test_every_reason_in_a_fleet_is_told_at_once(
    account: Any, groups: Callable[[], None], refused: Callable[..., Any]
) -> None:
    account.image("node")
    account.image("java")
    worker = "workers = 1"
    account.configure(
        CHANNELS
        + fleet("latest", sandbox='version = "$Latest"')
        + fleet("suspended", sandbox=worker)
        + fleet("refreshed", sandbox=worker)
        + fleet("bound")
        + fleet("gone")
        + fleet("unbuilt", image="java")
        + fleet("arm")
        + fleet("twice")
        + fleet("drained", rollout="drain")
        + fleet("watched", health='alarms = ["errors", "absent"]')
        + fleet("fine")
        + fleet("missing")
    )
    groups()
    session, source = account.kept, account.settings.source_ami_id
    scaling = session.autoscaling
    account.build("node")
    scaling.suspend_processes(
        AutoScalingGroupName="ci-suspended", ScalingProcesses=["Terminate", "AZRebalance"]
    )
    scaling.start_instance_refresh(
        AutoScalingGroupName="ci-refreshed", Preferences={"InstanceWarmup": 100_000}
    )
    session.ssm.put_parameter(Name="/bound", Value=source, Type="String", DataType="aws:ec2:image")
    new_version(account, "ci-bound", ImageId="resolve:ssm:/bound:1")
    lost = account.build("other")
    new_version(account, "ci-gone", ImageId=lost)
    session.ec2.deregister_image(ImageId=lost)
    mix(account, "ci-arm", {"InstanceType": "t3.large"}, {"InstanceType": "t4g.large"})
    own = template_of(account, "ci-twice")["LaunchTemplateId"]
    session.ec2.create_launch_template_version(
        LaunchTemplateId=own, SourceVersion="1", LaunchTemplateData={"EbsOptimized": True}
    )
    second = {"LaunchTemplateId": own, "Version": "2"}
    mix(
        account,
        "ci-twice",
        {"InstanceType": "t3.large"},
        {"InstanceType": "t3.medium", "LaunchTemplateSpecification": second},
    )
    session.cloudwatch.put_metric_alarm(
        AlarmName="errors", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", Threshold=1.0
    )
    session.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    scaling.delete_auto_scaling_group(AutoScalingGroupName="ci-missing")

    found = refused("--channel", "staging")
    assert found.pop("latest") == [
        "latest: ci-latest is used as $Latest, so that making a version would already be the promotion"
    ]
    assert found.pop("suspended") == [
        "suspended-process: suspended, so a refresh would not get on: Terminate"
    ]
    assert found.pop("refreshed") == ["active-refresh: an instance refresh is under way (InProgress, 0 %)"]
    assert found.pop("bound") == ["fixed-parameter: ci-bound is bound to version 1 of SSM parameter /bound"]
    assert found.pop("gone") == [f"unknown-ami: ci-gone version 2 starts {lost}, which is gone"]
    assert found.pop("unbuilt") == [
        "no-build: ci-unbuilt starts x86_64 workers, for which java has no build to promote"
    ]
    assert found.pop("arm") == ["architecture: ci-arm starts x86_64 AMIs, which t4g.large cannot run"]
    assert found.pop("twice") == ["two-versions: its group uses ci-twice as 1 and as 2"]
    assert found.pop("drained")[0].startswith('drain: rollout = "drain" needs the runner manager')
    assert found.pop("watched") == [
        "alarm: CloudWatch alarm errors is in alarm",
        "alarm: there is no CloudWatch alarm absent",
    ]
    assert found.pop("missing") == ["no-group: there is no Auto Scaling group ci-missing"]
    assert found == {}


def test_one_refused_fleet_keeps_all_fleets_as_they_are(
    account: Any, groups: Callable[[], None], refused: Callable[..., Any]
) -> None:
    account.image("node")
    account.configure(CHANNELS + fleet("fine") + fleet("latest", sandbox='version = "$Latest"'))
    groups()
    account.build("node")
    before = account.status()
    assert set(refused("--channel", "staging")) == {"latest"}
    assert account.status() == before


def test_only_builds_that_are_verified_and_complete_are_promoted(
    staging: Any, refused: Callable[..., Any]
) -> None:
    (reason,) = refused("--channel", "staging")["node"]
    assert reason.startswith("no-build")

    candidate = staging.build("node", verdict=Verdict.CANDIDATE)
    assert refused("--channel", "staging")[None] == [
        f"not-verified: node/x86_64: {candidate} is candidate, not verified"
    ]
    rejected = staging.build("node", verdict=Verdict.REJECTED)
    assert refused("--channel", "staging")[None] == [
        f"not-verified: node/x86_64: {rejected} is rejected, not verified"
    ]
    offline = staging.build("node", offline=True)
    assert refused("--channel", "staging")[None] == [
        f"offline: node/x86_64: {offline} was built offline, of distribution packages only"
    ]


def test_a_newer_build_that_is_not_fit_does_not_stand_in_the_way_of_one_that_is(
    staging: Any, command: Callable[..., Any]
) -> None:
    fit = staging.build("node")
    staging.build("node", verdict=Verdict.REJECTED)
    staging.build("node", offline=True)
    ran = command("promote", "--channel", "staging", "--dry-run", "--json")
    assert ran.code == ExitCode.DONE
    (planned,) = ran.json["fleets"]
    assert planned["templates"][0]["to"] == {"ami_id": fit, "version": None}


def test_a_release_has_to_soak_and_time_spent_in_the_channel_counts(
    staging: Any, refused: Callable[..., Any]
) -> None:
    staging.build("node")
    staging.promote("staging")
    (reason,) = refused("--channel", "production", "--from", "staging")[None]
    assert reason.startswith("soak: staging release 1 has not soaked: 23 h 5")
    (reason,) = refused("--channel", "production", "--release", "1")[None]
    assert reason.startswith("soak: release 1 has not soaked")

    staging.clock.seconds += 24 * 3600
    workshop = staging.workshop(staging.kept)
    request = PromotionRequest(channel="production", source="staging")
    assert plan_promotion(workshop, request).all_refusals == ()


def test_what_is_promoted_from_a_channel_is_judged_anew(staging: Any, refused: Callable[..., Any]) -> None:
    ami_id = staging.build("node")
    staging.promote("staging")
    ec2 = staging.kept.ec2
    newer = staging.build("node")

    ec2.create_tags(Resources=[ami_id], Tags=[{"Key": "amifactory:verdict", "Value": "rejected"}])
    reasons = refused("--channel", "production", "--from", "staging")[None]
    assert reasons[0] == f"not-verified: node/x86_64: {ami_id} is rejected, not verified"
    assert newer not in " ".join(reasons)

    ec2.create_tags(
        Resources=[ami_id],
        Tags=[
            {"Key": "amifactory:verdict", "Value": "verified"},
            {"Key": "amifactory:offline", "Value": "true"},
        ],
    )
    assert refused("--channel", "production", "--from", "staging")[None][0].startswith("offline: ")

    ec2.deregister_image(ImageId=ami_id)
    assert refused("--channel", "production", "--from", "staging")[None][0] == (
        f"gone: {ami_id} (node/x86_64) is not among this factory's AMIs any more"
    )


def test_a_fleet_that_somebody_changed_since_its_release_is_refused_until_that_is_accepted(
    staging: Any, refused: Callable[..., Any], command: Callable[..., Any]
) -> None:
    staging.build("node")
    staging.promote("staging")
    version = new_version(staging, "ci-node", EbsOptimized=True)
    staging.build("node")
    assert refused("--channel", "staging")["node"] == [
        f"drift: changed since its release by somebody else: ci-node is at version {version}, not 2"
    ]
    accepted = command("promote", "--channel", "staging", "--accept-drift", "--dry-run", "--json")
    assert accepted.code == ExitCode.DONE
    assert accepted.json["fleets"][0]["templates"][0]["from"]["version"] == int(version)


def test_while_a_rollback_is_unfinished_nothing_else_is_begun(
    staging: Any, command: Callable[..., Any]
) -> None:
    for _ in range(2):
        staging.build("node")
        staging.promote("staging")
    workshop = staging.workshop(staging.kept)
    planned = plan_rollback(workshop, "staging")
    staging.ask(
        "POST", "failures", {"operation": "StartInstanceRefresh", "code": "AccessDenied", "times": 100}
    )
    with pytest.raises(HalfDoneError):
        staging.change(workshop).roll_back(planned)
    staging.ask("DELETE", "failures")

    staging.ask("DELETE", "calls")
    ran = command("promote", "--channel", "staging", "--yes")
    assert ran.code == ExitCode.REFUSED
    assert "a rollback begun by arn:aws:iam::123456789012:user/somebody is not finished" in ran.error
    assert "amifactory rollback --channel staging --resume" in ran.error
    assert staging.changing_calls() == []
    with pytest.raises(RefusedError, match="is not finished"):
        plan_promotion(workshop, PromotionRequest(channel="staging"))


def test_a_channel_that_is_not_the_first_takes_no_newest_builds(
    staging: Any, command: Callable[..., Any]
) -> None:
    staging.build("node")
    staging.ask("DELETE", "calls")
    ran = command("promote", "--channel", "production", "--yes")
    assert ran.code == ExitCode.USAGE
    assert "amifactory promote --channel production --from staging" in ran.error
    ran = command("promote", "--channel", "production", "--from", "staging", "--yes")
    assert 'channel "staging" has no release yet' in ran.error
    ran = command("promote", "--channel", "stagin", "--yes")
    assert 'Did you mean "staging"?' in ran.error
    ran = command("promote", "--channel", "staging", "--release", "7", "--yes")
    assert "there is no release 7" in ran.error
    ran = command("rollback", "--channel", "staging", "--yes")
    assert 'channel "staging" has no release to roll back' in ran.error
    assert staging.changing_calls() == []


def test_without_a_terminal_and_without_yes_nothing_is_changed(
    staging: Any, command: Callable[..., Any]
) -> None:
    ami_id = staging.build("node")
    staging.ask("DELETE", "calls")
    ran = command("promote", "--channel", "staging")
    assert ran.code == ExitCode.REFUSED
    assert ran.error == "nothing was changed: there is no terminal to ask on\nAdd: --yes"
    assert ami_id in ran.stderr  # the plan was shown
    assert staging.changing_calls() == []


def test_an_approval_hook_is_told_the_change_and_can_refuse_it(
    account: Any, groups: Callable[[], None], command: Callable[..., Any]
) -> None:
    hook = account.root / "hooks" / "factory" / "ask"
    hook.parent.mkdir(parents=True)
    hook.write_text('#!/bin/sh\ncat > asked.json\necho "no change window" >&2\nexit 3\n')
    hook.chmod(0o755)
    account.image("node")
    account.configure('channel "staging" {\n  approval = "ask"\n}\n' + fleet("node"))
    groups()
    ami_id = account.build("node")
    account.ask("DELETE", "calls")
    ran = command("promote", "--channel", "staging", "--yes")
    assert ran.code == ExitCode.REFUSED
    assert "channel staging was not changed: its approval, hooks/factory/ask, failed (3)" in ran.error
    assert "no change window" in ran.error
    assert account.changing_calls() == []
    asked = (account.root / "asked.json").read_text()
    assert f'"to": ["{ami_id}"]' in asked
    assert '"channel": "staging"' in asked


def test_an_arm64_fleet_wants_an_arm64_build(staging: Any, refused: Callable[..., Any]) -> None:
    arm = staging.build("other", architecture=Architecture.ARM64)
    new_version(staging, "ci-node", ImageId=arm, InstanceType="t4g.large")
    staging.build("node")
    assert refused("--channel", "staging")["node"] == [
        "no-build: ci-node starts arm64 workers, for which node has no build to promote"
    ]


def test_a_rollback_that_could_not_be_done_is_not_begun(staging: Any, command: Callable[..., Any]) -> None:
    gone = staging.build("node")
    staging.promote("staging")
    staging.build("node")
    staging.promote("staging")
    scaling = staging.kept.autoscaling
    scaling.suspend_processes(AutoScalingGroupName="ci-node", ScalingProcesses=["Launch"])
    staging.kept.ec2.deregister_image(ImageId=gone)
    staging.ask("DELETE", "calls")
    ran = command("rollback", "--channel", "staging", "--yes")
    assert ran.code == ExitCode.REFUSED
    assert "suspended, so a refresh would not get on: Launch" in ran.stderr
    assert f"{gone}, which ci-node started then, is gone" in ran.stderr
    assert staging.changing_calls() == []
    assert staging.workshop(staging.kept).channels.state("staging").change is None


def test_a_rollback_of_a_group_with_another_template_is_refused(
    staging: Any, command: Callable[..., Any]
) -> None:
    staging.build("node")
    staging.promote("staging")
    other = staging.kept.ec2.create_launch_template(
        LaunchTemplateName="other",
        LaunchTemplateData={"ImageId": staging.settings.source_ami_id, "InstanceType": "t3.large"},
    )["LaunchTemplate"]["LaunchTemplateId"]
    staging.kept.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName="ci-node", LaunchTemplate={"LaunchTemplateId": other, "Version": "1"}
    )
    staging.ask("DELETE", "calls")
    ran = command("rollback", "--channel", "staging", "--yes")
    assert ran.code == ExitCode.REFUSED
    assert "group ci-node is not as it was: it does not use ci-node any more" in ran.stderr
    assert "it also uses other" in ran.stderr
    assert staging.changing_calls() == []
