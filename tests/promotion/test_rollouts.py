"""Rollouts that go wrong, and ways back: every fleet ends where its channel's release says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.model import Architecture
from amifactory.domain.release import ReleaseState, Step
from amifactory.errors import HalfDoneError, RolledBackError, UsageError
from amifactory.operations.promote import PromotionRequest, plan_promotion
from amifactory.operations.rollback import plan_rollback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STAGING = 'channel "staging" {}\n'
LAUNCH_FIRST = 'min_healthy = "100%"\n'
WELL = 'command = ["/usr/bin/test", "!", "-e", "unwell"]'
"""A health command that fails once there is a file of that name in the factory."""


def fleet(
    name: str,
    *,
    sandbox: str = "workers = 1",
    rollout: str = "refresh",
    refresh: str = LAUNCH_FIRST,
    health: str = "",
    more: str = "",
) -> str:
    preferences = f"refresh {{\n{refresh}\n}}\n" if rollout == "refresh" else ""
    return (
        f'fleet "{name}" {{\nimage = "node"\ngroup = "ci-{name}"\nchannel = "staging"\n'
        f'rollout = "{rollout}"\n{more}\n{preferences}'
        f"sandbox {{\n{sandbox}\n}}\nhealth {{\n{health}\n}}\n}}\n"
    )


@dataclass(kw_only=True)
class Watcher:
    """Progress that notes what is told, and acts at the first words that hold a text."""

    at: str = ""
    act: Callable[[], object] | None = None
    told: list[str] = field(default_factory=list)

    def step(self, fleet: str, what: str) -> None:
        """Notes and acts."""
        self.told.append(f"{fleet}: {what}")
        if self.act is not None and self.at in what:
            act, self.act = self.act, None
            act()

    def finished(self, fleet: str, what: str) -> None:
        """Likewise of how a fleet ended."""
        self.step(fleet, what)


@dataclass(frozen=True)
class Watchers:
    """Progress that several watch."""

    watchers: Sequence[Watcher]

    def step(self, fleet: str, what: str) -> None:
        """Tells all of them."""
        for watcher in self.watchers:
            watcher.step(fleet, what)

    def finished(self, fleet: str, what: str) -> None:
        """Tells all of them."""
        self.step(fleet, what)


@pytest.fixture
def make(account: Any, groups: Callable[[], None]) -> Callable[..., Any]:
    """Makes an account with these fleets in staging, and one release in it."""

    def make(*fleets: str, release: bool = True) -> Any:
        account.image("node")
        account.configure(STAGING + "".join(fleets))
        groups()
        if release:
            account.build("node")
            account.promote("staging")
            account.settle()
        return account

    return make


def promote(account: Any, *watchers: Watcher, **options: Any) -> Any:
    """Builds and promotes, watched."""
    account.build("node")
    workshop = account.workshop(account.kept, **options)
    planned = plan_promotion(workshop, PromotionRequest(channel="staging"))
    assert planned.all_refusals == ()
    change = replace(account.change(workshop), progress=Watchers(watchers), parallel=1)
    return change.promote(planned)


def placed(account: Any) -> dict[str, Any]:
    """Returns what the account is at, as far as a release says it, once groups have settled."""
    account.settle()
    status, ssm = account.status(), account.kept.ssm
    parameters = ssm.describe_parameters()["Parameters"]
    names = [known["Name"] for known in parameters if known["Name"].startswith("/amifactory/")]
    return {
        "release": status.channels[0].release,
        "at rest": (status.channels[0].change, status.channels[0].lock) == (None, None),
        "fleets": {
            (row.fleet.name, row.architecture): (
                row.ami_id,
                row.template_version,
                row.current,
                row.old,
                row.drift,
            )
            for row in status.fleets
        },
        "workers": workers_amis(account),
        "published": {name: ssm.get_parameter(Name=name)["Parameter"]["Value"] for name in names},
    }


def workers_amis(account: Any) -> dict[str, list[str]]:
    """Returns the AMIs of each group's workers."""
    found: dict[str, list[str]] = {}
    for reservation in account.kept.ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
            if instance["State"]["Name"] == "running":
                found.setdefault(tags["aws:autoscaling:groupName"], []).append(instance["ImageId"])
    return found


def alarm(account: Any, state: str) -> None:
    cloudwatch = account.kept.cloudwatch
    cloudwatch.put_metric_alarm(
        AlarmName="errors", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", Threshold=1.0
    )
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")


def fail(account: Any, operation: str, **how: Any) -> None:
    account.ask("POST", "failures", {"operation": operation, "code": "AccessDenied", "times": 100, **how})


def newest_refresh(account: Any, group: str) -> dict[str, Any]:
    scaling = account.kept.autoscaling
    answer = scaling.describe_instance_refreshes(AutoScalingGroupName=group)
    return dict(answer["InstanceRefreshes"][0])


def image_of(account: Any, template: str, version: str) -> str:
    answer = account.kept.ec2.describe_launch_template_versions(
        LaunchTemplateName=template, Versions=[version]
    )
    return str(answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"])


def test_each_architecture_gets_its_own_build_where_it_belongs(make: Callable[..., Any]) -> None:
    """Auto Scaling user guide, "Use multiple launch templates": an override may have its own."""
    account = make(fleet("mixed"), release=False)
    ec2, scaling = account.kept.ec2, account.kept.autoscaling
    old_arm = account.build("node", architecture=Architecture.ARM64)
    ec2.create_launch_template(
        LaunchTemplateName="arm", LaunchTemplateData={"ImageId": old_arm, "InstanceType": "t4g.large"}
    )
    scaling.update_auto_scaling_group(
        AutoScalingGroupName="ci-mixed",
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "ci-mixed", "Version": "1"},
                "Overrides": [
                    {"InstanceType": "t3.large"},
                    {
                        "InstanceType": "t4g.large",
                        "LaunchTemplateSpecification": {"LaunchTemplateName": "arm", "Version": "1"},
                    },
                ],
            },
            "InstancesDistribution": {"OnDemandAllocationStrategy": "prioritized"},
        },
    )
    before = placed(account)
    arm = account.build("node", architecture=Architecture.ARM64)
    x86 = account.build("node")
    account.promote("staging")
    account.settle()

    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["ci-mixed"])["AutoScalingGroups"]
    policy = group["MixedInstancesPolicy"]["LaunchTemplate"]
    own, other = policy["LaunchTemplateSpecification"], policy["Overrides"][1]["LaunchTemplateSpecification"]
    assert "LaunchTemplateSpecification" not in policy["Overrides"][0]
    assert (own["LaunchTemplateName"], image_of(account, "ci-mixed", own["Version"])) == ("ci-mixed", x86)
    assert (other["LaunchTemplateName"], image_of(account, "arm", other["Version"])) == ("arm", arm)
    found = placed(account)["fleets"]
    assert {key[1]: row[0] for key, row in found.items()} == {"x86_64": x86, "arm64": arm}
    assert [row[2:4] for row in found.values()] == [(1, 0), (1, 0)]

    account.roll_back("staging")
    assert placed(account)["fleets"] == before["fleets"]


def test_a_failing_canary_keeps_the_other_fleets_untouched(make: Callable[..., Any]) -> None:
    account = make(
        fleet("one", sandbox='version = "parameter"\nworkers = 1'),
        fleet("canary", more="canary = true", health=WELL),
        fleet("two"),
    )
    before = placed(account)
    workers = worker_ids(account, "ci-one") + worker_ids(account, "ci-two")
    watcher = Watcher()
    (account.root / "unwell").touch()
    with pytest.raises(RolledBackError) as caught:
        promote(account, watcher)
    assert "channel staging is back the way it was: fleet canary: /usr/bin/test failed (1)" in str(
        caught.value
    )
    assert caught.value.hint == "More: amifactory releases show 2"
    assert placed(account) == before
    assert worker_ids(account, "ci-one") + worker_ids(account, "ci-two") == workers
    assert not any("version" in said for said in watcher.told if not said.startswith("canary"))
    release = account.workshop(account.kept).releases.get(2)
    assert release.state is ReleaseState.FAILED
    assert release.failure == "fleet canary: /usr/bin/test failed (1)"
    assert {record.step for record in release.fleets} == {Step.RESTORED}
    assert account.warnings[0].startswith("Failed: fleet canary")


def test_every_kind_of_group_that_was_moved_is_put_back(make: Callable[..., Any]) -> None:
    account = make(
        fleet("pinned"),
        fleet("default", sandbox='version = "$Default"\nworkers = 1'),
        fleet("attributes", sandbox="attributes = true\nworkers = 1"),
        fleet("parameter", sandbox='version = "parameter"\nworkers = 1'),
        fleet("empty", sandbox=""),
        fleet("passive", rollout="passive"),
        fleet("last", health=WELL),
    )
    before = placed(account)
    (account.root / "unwell").touch()
    with pytest.raises(RolledBackError):
        promote(account)
    after = placed(account)
    assert after["fleets"].keys() == before["fleets"].keys()
    for key, row in before["fleets"].items():
        assert after["fleets"][key] == row, key
    assert after == before


def test_aws_puts_back_what_it_can_and_no_second_refresh_is_started(make: Callable[..., Any]) -> None:
    """Auto Scaling user guide, "Undo changes with a rollback": AutoRollback when an alarm goes off."""
    account = make(fleet("node", sandbox="workers = 2", health='alarms = ["errors"]'), release=False)
    alarm(account, "OK")
    account.build("node")
    account.promote("staging")
    before = placed(account)
    account.ask("DELETE", "calls")
    watcher = Watcher(at="instance refresh InProgress", act=lambda: alarm(account, "ALARM"))
    with pytest.raises(RolledBackError, match=r"ended RollbackSuccessful: .*errors went into ALARM"):
        promote(account, watcher)
    assert placed(account) == before
    assert account.changing_calls().count("StartInstanceRefresh") == 1
    assert newest_refresh(account, "ci-node")["Status"] == "RollbackSuccessful"


def test_the_alarm_that_calls_a_release_back_does_not_stop_its_way_back(make: Callable[..., Any]) -> None:
    account = make(
        fleet("one", health='alarms = ["errors"]'),
        fleet("two", sandbox='version = "$Default"\nworkers = 1', health='alarms = ["errors"]'),
        release=False,
    )
    alarm(account, "OK")
    account.build("node")
    account.promote("staging")
    before = placed(account)
    watcher = Watcher(at="making version", act=lambda: alarm(account, "ALARM"))
    with pytest.raises(RolledBackError, match=r"fleet two: its instance refresh ended Failed: .*errors"):
        promote(account, watcher)
    assert placed(account) == before

    alarm(account, "OK")
    promote(account)
    alarm(account, "ALARM")
    account.roll_back("staging")
    assert placed(account)["workers"] == before["workers"]


def test_workers_that_do_not_start_put_all_fleets_back(make: Callable[..., Any]) -> None:
    """An instance refresh keeps trying for an hour, then fails (user guide, limitations)."""
    account = make(fleet("first"), fleet("broken", sandbox='version = "$Default"\nworkers = 1'))
    before = placed(account)

    watcher = Watcher(at="failed", act=lambda: account.ask("DELETE", "failures"))

    def break_machines() -> None:
        fail(account, "launch", service="machine", times=10_000)

    beginning = Watcher(at="making version", act=break_machines)
    with pytest.raises(
        RolledBackError, match=r"fleet broken: its instance refresh ended Failed: .* one hour$"
    ):
        promote(account, beginning, watcher, polling_seconds=60)
    assert beginning.act is watcher.act is None
    assert placed(account) == before


def test_a_refresh_past_its_deadline_is_ended_and_undone(make: Callable[..., Any]) -> None:
    account = make(
        fleet("node", refresh=LAUNCH_FIRST + 'bake_time = "3h"', more='deadline = "1h"'), release=False
    )
    before = placed(account)
    with pytest.raises(RolledBackError, match="took longer than its deadline"):
        promote(account, polling_seconds=120)
    assert placed(account) == before
    assert account.clock.seconds < 2 * 3600


def test_a_way_back_that_fails_is_loud_and_can_be_gone_on_with(make: Callable[..., Any]) -> None:
    account = make(fleet("done"), fleet("last", health=WELL))
    before = placed(account)
    (account.root / "unwell").touch()
    watcher = Watcher(at="running /usr/bin/test", act=lambda: fail(account, "StartInstanceRefresh"))
    with pytest.raises(HalfDoneError) as caught:
        promote(account, watcher)
    said = str(caught.value)
    assert said.startswith("channel staging: NOT back the way it was. First: fleet last: /usr/bin/test ")
    assert "Then: AWS denied autoscaling:StartInstanceRefresh" in said
    assert "amifactory promote --channel staging --resume" in str(caught.value.hint)
    state = account.workshop(account.kept).channels.state("staging")
    assert (state.release, state.lock) == (1, None)
    assert state.change is not None
    assert account.workshop(account.kept).releases.get(2).state is ReleaseState.IN_PROGRESS

    with pytest.raises(HalfDoneError):
        account.resume("staging")
    account.ask("DELETE", "failures")
    with pytest.raises(RolledBackError):
        account.resume("staging")
    assert placed(account) == before
    assert account.workshop(account.kept).releases.get(2).state is ReleaseState.FAILED


def test_a_rollback_that_fails_half_way_is_loud_and_can_be_gone_on_with(make: Callable[..., Any]) -> None:
    account = make(fleet("one"), fleet("two", sandbox='version = "$Default"\nworkers = 1'))
    before = placed(account)
    promote(account)
    fail(account, "ModifyLaunchTemplate")
    with pytest.raises(HalfDoneError, match="NOT back the way it was") as caught:
        account.roll_back("staging")
    assert "amifactory rollback --channel staging --resume" in str(caught.value.hint)
    assert account.workshop(account.kept).channels.state("staging").release == 2
    account.ask("DELETE", "failures")
    assert account.resume("staging").number == 1
    assert placed(account) == before


def test_protected_workers_are_left_to_their_jobs(make: Callable[..., Any]) -> None:
    """RefreshPreferences, ScaleInProtectedInstances ``Ignore``: the refresh succeeds, and they stay."""
    account = make(fleet("node", sandbox="workers = 2\nprotected = true"), release=False)
    workers = worker_ids(account, "ci-node")
    build = account.build("node")
    release = account.promote("staging")
    assert release.state is ReleaseState.CURRENT
    assert worker_ids(account, "ci-node") == workers
    ((ami_id, _, current, old, drift),) = placed(account)["fleets"].values()
    assert (ami_id, current, old, drift) == (build, 0, 2, ())

    account.kept.autoscaling.set_instance_protection(
        AutoScalingGroupName="ci-node", InstanceIds=workers[:1], ProtectedFromScaleIn=False
    )
    promote(account)
    account.settle()
    assert workers[1] in worker_ids(account, "ci-node")
    assert workers[0] not in worker_ids(account, "ci-node")


def test_passive_fleets_keep_their_workers(make: Callable[..., Any]) -> None:
    account = make(fleet("node", rollout="passive", sandbox="workers = 2"), release=False)
    workers = worker_ids(account, "ci-node")
    account.build("node")
    account.ask("DELETE", "calls")
    account.promote("staging")
    assert worker_ids(account, "ci-node") == workers
    assert "StartInstanceRefresh" not in account.changing_calls()
    (row,) = account.status().fleets
    assert (row.current, row.old, row.rollout) == (0, 2, "draining as jobs end")


def test_a_refresh_that_somebody_pauses_says_so_and_goes_on(make: Callable[..., Any]) -> None:
    account = make(fleet("node"))
    scaling = account.kept.autoscaling

    def suspend() -> None:
        scaling.suspend_processes(AutoScalingGroupName="ci-node", ScalingProcesses=["Launch"])

    def resume() -> None:
        scaling.resume_processes(AutoScalingGroupName="ci-node", ScalingProcesses=["Launch"])

    class Pausing(Watcher):
        def step(self, fleet: str, what: str) -> None:
            super().step(fleet, what)
            if "paused" in what:
                resume()

    watcher = Pausing(at="instance refresh", act=suspend)
    assert promote(account, watcher).state is ReleaseState.CURRENT
    assert (
        "node: instance refresh paused, as somebody suspended Launch: "
        "aws autoscaling resume-processes --auto-scaling-group-name ci-node"
    ) in watcher.told


def test_back_to_an_older_release_and_to_before_the_first(make: Callable[..., Any]) -> None:
    account = make(fleet("node"), fleet("default", sandbox='version = "$Default"'), release=False)
    seen = [placed(account)]
    for _ in range(3):
        promote(account)
        seen.append(placed(account))
    assert account.roll_back("staging", to=1).number == 1
    assert placed(account) == seen[1]
    workshop = account.workshop(account.kept)
    assert [release.state for release in workshop.releases.all()] == [
        ReleaseState.CURRENT,
        ReleaseState.CURRENT,
        ReleaseState.ROLLED_BACK,
    ]
    with pytest.raises(UsageError, match="release 1 is what channel staging runs now"):
        plan_rollback(workshop, "staging", to=1)
    assert account.roll_back("staging") is None
    assert placed(account) == seen[0]
    with pytest.raises(UsageError, match="has no release to roll back"):
        plan_rollback(workshop, "staging")


def test_a_version_that_somebody_deleted_is_made_anew(make: Callable[..., Any]) -> None:
    account = make(fleet("node"))
    before = placed(account)
    promote(account)
    account.kept.ec2.delete_launch_template_versions(LaunchTemplateName="ci-node", Versions=["2"])
    account.roll_back("staging")
    after = placed(account)
    ((ami_id, _, current, old, _),) = before["fleets"].values()
    assert list(after["fleets"].values()) == [(ami_id, 4, current, old, ())]
    assert after["release"] == 1
    assert after["published"] == before["published"]


def test_a_fleet_added_or_removed_between_releases_is_left_alone_by_a_rollback(
    make: Callable[..., Any], groups: Callable[[], None]
) -> None:
    account = make(fleet("stays"), fleet("removed"))
    before = placed(account)
    account.configure(STAGING + fleet("stays") + fleet("added"))
    groups()
    second = promote(account)
    assert {record.fleet for record in second.fleets} == {"stays", "added"}
    workshop = account.workshop(account.kept)
    planned = plan_rollback(workshop, "staging")
    assert planned.untouched == ("added",)
    assert {plan.record.fleet for plan in planned.fleets} == {"stays", "removed"}
    at_second = placed(account)
    account.roll_back("staging")
    after = placed(account)
    assert after["fleets"]["stays", "x86_64"] == before["fleets"]["stays", "x86_64"]
    assert after["fleets"]["added", "x86_64"] == at_second["fleets"]["added", "x86_64"]
    assert after["published"] == before["published"]


def test_a_fleet_that_is_gone_for_good_does_not_stop_a_rollback(
    make: Callable[..., Any], groups: Callable[[], None]
) -> None:
    account = make(fleet("stays"), fleet("removed", sandbox=""))
    before = placed(account)
    account.configure(STAGING + fleet("stays"))
    account.kept.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="ci-removed")
    groups()
    promote(account)
    planned = plan_rollback(account.workshop(account.kept), "staging")
    assert (planned.untouched, planned.all_refusals) == (("removed",), ())
    assert account.roll_back("staging").number == 1
    assert placed(account)["fleets"]["stays", "x86_64"] == before["fleets"]["stays", "x86_64"]


def test_a_label_is_moved_and_moved_back(make: Callable[..., Any]) -> None:
    """EC2 user guide, "Use a Systems Manager parameter instead of an AMI ID": ``resolve:ssm:name:label``."""
    account = make(fleet("node"), release=False)
    ssm, ec2 = account.kept.ssm, account.kept.ec2
    source = account.settings.source_ami_id
    ssm.put_parameter(Name="/ci/node", Value=source, Type="String", DataType="aws:ec2:image")
    account.world.work.wait(5)
    ssm.label_parameter_version(Name="/ci/node", ParameterVersion=1, Labels=["live"])
    ec2.create_launch_template_version(
        LaunchTemplateName="ci-node",
        SourceVersion="1",
        LaunchTemplateData={"ImageId": "resolve:ssm:/ci/node:live"},
    )
    account.kept.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName="ci-node", LaunchTemplate={"LaunchTemplateName": "ci-node", "Version": "2"}
    )
    before = placed(account)
    build = account.build("node")
    account.promote("staging")
    found = placed(account)
    assert found["fleets"]["node", "x86_64"][:2] == (build, 2)
    assert found["workers"] == {"ci-node": [build]}
    assert ssm.get_parameter(Name="/ci/node:live")["Parameter"]["Value"] == build
    account.roll_back("staging")
    after = placed(account)
    assert [after[what] for what in ("release", "workers", "published")] == [None, before["workers"], {}]
    assert ssm.get_parameter(Name="/ci/node:live")["Parameter"]["Value"] == source


def test_a_policy_of_numbers_and_defaults_is_moved_in_both_ways(make: Callable[..., Any]) -> None:
    account = make(fleet("node"), release=False)
    data = {"ImageId": account.settings.source_ami_id, "InstanceType": "t3.medium"}
    account.kept.ec2.create_launch_template(LaunchTemplateName="other", LaunchTemplateData=data)
    account.kept.autoscaling.update_auto_scaling_group(
        AutoScalingGroupName="ci-node",
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "ci-node", "Version": "1"},
                "Overrides": [
                    {"InstanceType": "t3.large"},
                    {
                        "InstanceType": "t3.medium",
                        "LaunchTemplateSpecification": {
                            "LaunchTemplateName": "other",
                            "Version": "$Default",
                        },
                    },
                ],
            }
        },
    )
    build = account.build("node")
    account.promote("staging")
    account.settle()
    rows = account.status().fleets
    assert {row.ami_id for row in rows} == {build}
    assert not any(row.drift for row in rows)
    assert workers_amis(account) == {"ci-node": [build]}
    default = account.kept.ec2.describe_launch_templates(LaunchTemplateNames=["other"])["LaunchTemplates"][0]
    assert default["DefaultVersionNumber"] == 2


def worker_ids(account: Any, group: str) -> list[str]:
    scaling = account.kept.autoscaling
    (found,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return [instance["InstanceId"] for instance in found["Instances"]]
