"""Health gates: what has to hold after a rollout, seen on fleets that were moved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.release import ReleaseState
from amifactory.errors import RolledBackError
from amifactory.operations.promote import PromotionRequest, plan_promotion

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.domain.model import AmiId


def factory(health: str, *, sandbox: str = "workers = 2", more: str = "") -> str:
    return (
        'channel "staging" {}\nfleet "node" {\nimage = "node"\ngroup = "ci-node"\nchannel = "staging"\n'
        f'rollout = "refresh"\n{more}\nsandbox {{\n{sandbox}\n}}\nhealth {{\n{health}\n}}\n}}\n'
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
        """Notes how a fleet ended."""
        self.told.append(f"{fleet}: {what}")


@pytest.fixture
def make(account: Any, groups: Callable[[], None]) -> Callable[..., Any]:
    """Makes an account with one fleet in staging, whose health is asked for in these words.

    ``check`` is what the health command does.
    """

    def make(health: str, *, check: str | None = None, **options: str) -> Any:
        if check is not None:
            file = account.root / "check"
            file.write_text(f"#!/bin/sh\n{check}\n")
            file.chmod(0o755)
        account.image("node")
        account.configure(factory(health, **options))
        groups()
        return account

    return make


def promote(account: Any, watcher: Watcher | None = None, **options: Any) -> tuple[AmiId, Any]:
    """Builds and promotes, watched; returns the build and the release."""
    ami_id = account.build("node")
    workshop = account.workshop(account.kept, **options)
    planned = plan_promotion(workshop, PromotionRequest(channel="staging"))
    assert planned.all_refusals == ()
    return ami_id, replace(account.change(workshop), progress=watcher or Watcher()).promote(planned)


def in_effect(account: Any) -> str:
    (row,) = account.status().fleets
    return str(row.ami_id)


def put_alarm(account: Any, state: str) -> None:
    cloudwatch = account.kept.cloudwatch
    cloudwatch.put_metric_alarm(
        AlarmName="errors", EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", Threshold=1.0
    )
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")


def test_an_alarm_that_goes_off_after_the_rollout_takes_the_fleet_back(make: Callable[..., Any]) -> None:
    account = make('alarms = ["errors"]\ncommand = ["./check"]', check="exit 0")
    put_alarm(account, "INSUFFICIENT_DATA")
    watcher = Watcher(at="running ./check", act=lambda: put_alarm(account, "ALARM"))
    with pytest.raises(RolledBackError, match="fleet node: CloudWatch alarm errors is in alarm"):
        promote(account, watcher)
    assert watcher.act is None
    assert in_effect(account) == account.settings.source_ami_id


def test_an_alarm_that_is_deleted_meanwhile_is_no_good_sign(make: Callable[..., Any]) -> None:
    account = make('alarms = ["errors"]\ncommand = ["./check"]', check="exit 0")
    put_alarm(account, "OK")
    delete = account.kept.cloudwatch.delete_alarms
    watcher = Watcher(at="running ./check", act=lambda: delete(AlarmNames=["errors"]))
    with pytest.raises(RolledBackError, match="fleet node: there is no CloudWatch alarm errors"):
        promote(account, watcher)


def test_a_command_is_told_what_was_done_and_nothing_of_our_environment(make: Callable[..., Any]) -> None:
    check = 'cat > told.json\nenv > environment\necho "$@" > arguments'
    account = make('command = ["./check", "--strict"]', check=check)
    environment = {"PATH": "/usr/bin:/bin", "AWS_SECRET_ACCESS_KEY": "secret", "LANG": "C"}
    ami_id, release = promote(account, environment=environment)
    assert release.state is ReleaseState.CURRENT
    assert json.loads((account.root / "told.json").read_text()) == {
        "fleet": "node",
        "image": "node",
        "group": "ci-node",
        "change": "example release 1",
        "amis": [ami_id],
    }
    assert (account.root / "arguments").read_text() == "--strict\n"
    names = {line.partition("=")[0] for line in (account.root / "environment").read_text().splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "LANG"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 3 of 5 jobs fail >&2\nexit 4", r"\./check failed \(4\): 3 of 5 jobs fail$"),
        ("echo only this\nexit 1", r"\./check failed \(1\): only this$"),
    ],
)
def test_a_command_that_fails_is_quoted(make: Callable[..., Any], text: str, words: str) -> None:
    account = make('command = ["./check"]', check=text, sandbox="workers = 1")
    with pytest.raises(RolledBackError, match=words):
        promote(account)
    assert in_effect(account) == account.settings.source_ami_id


def test_a_command_that_cannot_be_run_is_no_success(make: Callable[..., Any]) -> None:
    account = make('command = ["./check"]', check="exit 0", sandbox="workers = 1")
    check = account.root / "check"
    watcher = Watcher(at="making a version", act=lambda: check.chmod(0o644))
    with pytest.raises(RolledBackError, match=r"\./check could not be run: Permission denied"):
        promote(account, watcher)


def test_workers_have_to_come_up_and_stay_up(make: Callable[..., Any]) -> None:
    account = make('workers = 2\nfor = "5m"')
    watcher = Watcher()
    began = account.clock.seconds
    promote(account, watcher, polling_seconds=30)
    assert account.clock.seconds - began >= 300
    assert "node: waiting for 2 new workers to stay up for 300 s" in watcher.told


def test_a_worker_that_dies_has_its_successor_wait_anew(make: Callable[..., Any]) -> None:
    account = make('workers = 2\nfor = "5m"')
    scaling = account.kept.autoscaling

    def end_one() -> None:
        (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["ci-node"])[
            "AutoScalingGroups"
        ]
        account.clock.pause(200)
        scaling.terminate_instance_in_auto_scaling_group(
            InstanceId=group["Instances"][0]["InstanceId"], ShouldDecrementDesiredCapacity=False
        )

    began = account.clock.seconds
    promote(account, Watcher(at="waiting for 2 new workers", act=end_one), polling_seconds=30)
    assert account.clock.seconds - began >= 500


def test_too_few_workers_within_the_deadline_take_the_fleet_back(make: Callable[..., Any]) -> None:
    account = make('workers = 3\nfor = "1m"', more='deadline = "10m"')
    with pytest.raises(RolledBackError, match="fleet node: 2 of 3 new workers stayed up for 60 s"):
        promote(account, polling_seconds=30)
    assert in_effect(account) == account.settings.source_ami_id


def test_a_fleet_at_zero_is_not_waited_for(make: Callable[..., Any]) -> None:
    account = make('workers = 2\nfor = "5m"\nslower_by = "10%"', sandbox="")
    began = account.clock.seconds
    _, release = promote(account)
    assert release.state is ReleaseState.CURRENT
    assert account.clock.seconds - began < 60


def test_workers_that_start_more_slowly_than_under_the_last_release_take_the_fleet_back(
    make: Callable[..., Any],
) -> None:
    """From an activity's StartTime to its EndTime, which is when the instance is in service."""
    account = make('slower_by = "50%"', sandbox="workers = 1")
    hold_launches(account, seconds=100)
    _, first = promote(account, polling_seconds=10)
    assert first.fleets[0].boot_seconds >= 100

    _, second = promote(account, polling_seconds=10)
    assert second.state is ReleaseState.CURRENT

    hold_launches(account, seconds=300)
    before = in_effect(account)
    with pytest.raises(
        RolledBackError, match=r"new workers take 3\d\d s from launch to service, 1\d\d s under"
    ):
        promote(account, polling_seconds=10)
    assert in_effect(account) == before


def hold_launches(account: Any, *, seconds: int) -> None:
    """Has a launch hook hold each new worker for so long (user guide, "Lifecycle hooks")."""
    account.kept.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="ci-node",
        LifecycleHookName="boot",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=seconds,
        DefaultResult="CONTINUE",
    )
