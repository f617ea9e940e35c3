"""Two promoters at once, one that wakes up late, one whose lock is taken away: one change at a time."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.cancellation import Cancellation
from amifactory.domain.release import Release, ReleaseState
from amifactory.errors import RefusedError
from amifactory.operations.change_channel import Author, ChannelChange
from amifactory.operations.channel_lock import LEASE, LostLockError
from amifactory.operations.promote import PromotionRequest, plan_promotion
from amifactory.operations.resume import plan_resume

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.domain.promotion import Promotion

PATIENCE = 60.0
"""Seconds of real time that a thread of these tests may take."""
SERVICES = ("autoscaling", "cloudwatch", "ec2", "s3", "ssm")
ROUNDS = 50
SHARES = 2
READING = ("Describe", "Get", "Head", "List")


def fleet(name: str, channel: str, sandbox: str = "", *, rollout: str = "passive") -> str:
    refresh = 'refresh {\n warmup = "0s"\n }' if rollout == "refresh" else ""
    return f"""
fleet "{name}" {{
  image   = "node"
  group   = "ci-{name}"
  channel = "{channel}"
  rollout = "{rollout}"
  {refresh}
  sandbox {{
    {sandbox}
  }}
}}
"""


CHANNELS = 'channel "staging" {}\nchannel "production" {\n  order = 2\n}\n'
DEFAULT = 'version = "$Default"'


@dataclass(kw_only=True)
class Promoter:
    """Somebody with a session of their own, whose calls are counted and may be late.

    Attributes:
        before: Called before each call with its operation, in the thread that makes it.
        operations: Of the calls made so far.
    """

    account: Any
    name: str
    before: Callable[[str], None] = lambda _: None
    operations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = self.account.session()
        for service in SERVICES:
            getattr(self.session, service).meta.events.register("before-send", self._sending)

    def plan(self, release: int, channel: str = "production") -> Promotion:
        """Plans to promote what a release has."""
        request = PromotionRequest(channel=channel, release=release)
        planned = plan_promotion(self._workshop(), request)
        assert planned.all_refusals == ()
        return planned

    def change(self, cancelled: Cancellation | None = None) -> ChannelChange:
        """Returns what carries changes out, one fleet after the other."""
        return ChannelChange(
            workshop=self._workshop(),
            author=Author(owner=self.name, by=f"arn:aws:iam::123456789012:user/{self.name}", commit=None),
            progress=Quiet(),
            cancelled=cancelled or Cancellation(),
            parallel=1,
        )

    def resume(self, channel: str = "production") -> Release | None:
        """Finishes what somebody has left."""
        return self.change().resume(plan_resume(self._workshop(), channel))

    def give_up(self, channel: str = "production") -> Release | None:
        """Takes back what somebody has left."""
        return self.change().give_up(plan_resume(self._workshop(), channel, give_up=True))

    def _workshop(self) -> Any:
        return self.account.workshop(self.session, polling_seconds=5)

    def _sending(self, event_name: str, **_: object) -> None:
        operation = event_name.rpartition(".")[2]
        self.operations.append(operation)
        self.before(operation)


class Quiet:
    """Progress that nobody watches."""

    def step(self, fleet: str, what: str) -> None:
        """Is told nothing."""

    def finished(self, fleet: str, what: str) -> None:
        """Is told nothing."""


class Sleep:
    """Where a run falls asleep: at one of the moments at which it is asked."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._mutex = threading.Lock()
        self.moments = 0
        self.asleep = threading.Event()
        self.wake = threading.Event()

    def moment(self, _: str = "") -> None:
        """Sleeps if this is the moment."""
        with self._mutex:
            self.moments += 1
            now = self.moments == self._at
        if now:
            self.asleep.set()
            assert self.wake.wait(PATIENCE)


class StepSleep(Sleep, Cancellation):
    """Sleeps at one of a run's steps, just where it would stop if a person wished so."""

    def __init__(self, at: int) -> None:
        Sleep.__init__(self, at)
        Cancellation.__init__(self)

    def check(self) -> None:
        """Sleeps if this is the step."""
        self.moment()
        super().check()


@dataclass(frozen=True, kw_only=True)
class Stock:
    """Releases of staging to promote from, each with an AMI of its own, and fleets of production.

    Attributes:
        eyes: Looks at AWS as nobody of amifactory does.
    """

    account: Any
    releases: tuple[Release, ...]
    eyes: Any

    def ami(self, number: int) -> str:
        """Returns the one AMI of a release."""
        (release,) = (release for release in self.releases if release.number == number)
        (ami_id,) = set(release.amis().values())
        return ami_id

    def started(self, fleet: str) -> str:
        """Returns the AMI that a fleet's group would start now."""
        names = [f"ci-{fleet}"]
        (group,) = self.eyes.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=names)[
            "AutoScalingGroups"
        ]
        policy = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        use = group.get("LaunchTemplate") or policy["LaunchTemplateSpecification"]
        (version,) = self.eyes.ec2.describe_launch_template_versions(
            LaunchTemplateId=use["LaunchTemplateId"], Versions=[use["Version"]]
        )["LaunchTemplateVersions"]
        image = version["LaunchTemplateData"]["ImageId"]
        return self.value(image.removeprefix("resolve:ssm:")) if image.startswith("resolve:") else str(image)

    def value(self, parameter: str) -> str:
        """Returns what a parameter names."""
        return str(self.eyes.ssm.get_parameter(Name=parameter)["Parameter"]["Value"])

    def assert_at_rest(self, release: int, ami_id: str, channel: str = "production") -> None:
        """Checks that every fleet, the pointer and the record agree on one release."""
        state = self.account.workshop(self.eyes).channels.state(channel)
        assert (state.release, state.change, state.lock) == (release, None, None)
        rows = [row for row in self.account.status().fleets if row.fleet.channel == channel]
        assert {row.fleet.name: self.started(row.fleet.name) for row in rows} == {
            row.fleet.name: ami_id for row in rows
        }
        assert {(row.release, row.ami_id, row.drift) for row in rows} == {(release, ami_id, ())}
        assert self.value(f"/amifactory/example/{channel}/node/x86_64") == ami_id
        found = self.account.workshop(self.eyes).releases.get(release)
        assert (found.state, set(found.amis().values())) == (ReleaseState.CURRENT, {ami_id})


@pytest.fixture
def stock(account: Any, groups: Callable[[], None]) -> Callable[..., Stock]:
    """Returns what configures fleets and makes releases of staging to promote from."""

    def make(text: str, releases: int) -> Stock:
        account.image("node")
        account.configure(CHANNELS + fleet("stock", "staging") + text)
        groups()
        made = []
        for _ in range(releases):
            account.build("node")
            made.append(account.promote("staging"))
            time.sleep(1.0)  # creation dates of AMIs are whole seconds
        return Stock(account=account, releases=tuple(made), eyes=account.session())

    return make


def outcome(task: Future[Release]) -> Release | Exception:
    """Returns what came of it, an error too."""
    error = task.exception(PATIENCE)
    assert error is None or isinstance(error, Exception)
    return error or task.result()


ZERO = (
    fleet("pinned", "production")
    + fleet("default", "production", DEFAULT)
    + fleet("attributes", "production", "attributes = true")
)


@pytest.mark.parametrize("share", range(SHARES))
def test_one_of_two_promoters_wins(account: Any, stock: Callable[..., Stock], share: int) -> None:
    """What one changes, the other does not touch; it is told who the winner is."""
    stocked = stock(ZERO, 3)
    pair = (Promoter(account=account, name="ann"), Promoter(account=account, name="ben"))
    began = time.monotonic()
    pair[0].change().promote(pair[0].plan(1))
    usual = time.monotonic() - began
    told: Counter[str] = Counter()
    for seed in range(share, ROUNDS, SHARES):
        told[race(stocked, pair, Random(seed), usual)] += 1  # noqa: S311 - it has to be repeatable
    sys.stdout.write(f"races {share}, {share + SHARES}, … of {ROUNDS}: losers were told {dict(told)}\n")
    assert told.total() == len(range(share, ROUNDS, SHARES))


def race(stocked: Stock, pair: tuple[Promoter, Promoter], random: Random, usual: float) -> str:
    """Lets two promote at once, one of them a bit later; returns what the loser was told."""
    goals = random.sample([release.number for release in stocked.releases], 2)
    late = random.sample([0.0, random.uniform(0.0, usual)], 2)
    start = threading.Barrier(2)

    def run(promoter: Promoter, goal: int, wait: float, pace: Random) -> Release:
        promoter.before = lambda _: time.sleep(pace.choice([0.0, 0.0, pace.uniform(0.0, 0.01)]))
        planned = promoter.plan(goal)
        promoter.operations.clear()
        start.wait(PATIENCE)
        time.sleep(wait)
        return promoter.change().promote(planned)

    with ThreadPoolExecutor(max_workers=2) as pool:
        tasks = [
            pool.submit(run, promoter, goal, wait, Random(random.random()))  # noqa: S311
            for promoter, goal, wait in zip(pair, goals, late, strict=True)
        ]
        results = [outcome(task) for task in tasks]
    kinds = sorted(type(result).__name__ for result in results)
    assert kinds == ["RefusedError", "Release"], (goals, late, results)
    (winner,) = (at for at, result in enumerate(results) if isinstance(result, Release))
    won, lost = results[winner], results[1 - winner]
    assert isinstance(won, Release)
    assert isinstance(lost, RefusedError)
    changing = {name for name in pair[1 - winner].operations if not name.startswith(READING)}
    assert changing <= {"PutObject"}, "the loser changed something"
    stocked.assert_at_rest(won.number, stocked.ami(goals[winner]))
    if pair[winner].name in lost.message:
        return "who holds the lock"
    assert "was changed by somebody else meanwhile" in lost.message
    return "that somebody else changed it meanwhile"


def test_promoters_of_different_channels_both_win(account: Any, stock: Callable[..., Stock]) -> None:
    """They share nothing but the numbers of releases, of which each gets its own."""
    other = 'channel "nightly" {\n  order = 3\n}\n'
    stocked = stock(fleet("one", "production") + fleet("two", "nightly", DEFAULT) + other, 2)
    channels = {
        "production": Promoter(account=account, name="ann"),
        "nightly": Promoter(account=account, name="ben"),
    }
    for seed in range(10):
        random = Random(seed)  # noqa: S311 - it has to be repeatable
        start = threading.Barrier(2)

        def run(channel: str, goal: int, start: threading.Barrier = start) -> Release:
            planned = channels[channel].plan(goal, channel)
            start.wait(PATIENCE)
            return channels[channel].change().promote(planned)

        goals = {channel: random.choice([1, 2]) for channel in channels}
        with ThreadPoolExecutor(max_workers=2) as pool:
            tasks = {channel: pool.submit(run, channel, goal) for channel, goal in goals.items()}
        numbers = {channel: task.result().number for channel, task in tasks.items()}
        assert len(set(numbers.values())) == 2, seed
        for channel, goal in goals.items():
            stocked.assert_at_rest(numbers[channel], stocked.ami(goal), channel)


TWO_KINDS = fleet("worker", "production", "workers = 1", rollout="refresh") + fleet(
    "default", "production", DEFAULT
)
KINDS = TWO_KINDS + fleet("parameter", "production", 'version = "parameter"')


def put_to_sleep(sleeper: Promoter, planned: Promotion, sleep: Sleep) -> tuple[Thread, list[Any]]:
    """Starts a promotion in a thread of its own and returns once it sleeps, or has ended."""
    came_of_it: list[Any] = []

    def run() -> None:
        try:
            came_of_it.append(
                sleeper.change(sleep if isinstance(sleep, StepSleep) else None).promote(planned)
            )
        except Exception as error:  # noqa: BLE001 - whatever it was is looked at
            came_of_it.append(error)

    thread = Thread(target=run, name=sleeper.name, daemon=True)
    thread.start()
    while thread.is_alive() and not sleep.asleep.wait(0.01):
        pass
    return thread, came_of_it


def woken(account: Any, thread: Thread, sleep: Sleep) -> list[str]:
    """Wakes a run, waits for its end, and returns the operations by which it changed something."""
    account.ask("DELETE", "calls")
    sleep.wake.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return [
        call["operation"] for call in account.ask("GET", "calls") if call["changes"] and call["status"] < 300
    ]


@pytest.mark.parametrize("taken_over", ["resume", "give_up"])
def test_who_sleeps_longer_than_its_lease_changes_nothing_more(
    account: Any, stock: Callable[..., Stock], taken_over: str
) -> None:
    """It sleeps at every step in turn; another run takes over and ends it either way; it wakes and stops."""
    stocked = stock(KINDS, 2)
    ann, ben = Promoter(account=account, name="ann"), Promoter(account=account, name="ben")
    current = ann.change().promote(ann.plan(1))
    goals, at = {1: 2, 2: 1}, 1
    goal = 1
    while True:
        sleep = StepSleep(at)
        thread, came_of_it = put_to_sleep(ann, ann.plan(goals[goal]), sleep)
        if not sleep.asleep.is_set():
            break
        account.clock.pause(LEASE.total_seconds() + 1)
        ended = getattr(ben, taken_over)()
        goal = goals[goal] if taken_over == "resume" else goal
        assert (ended.number > current.number) is (taken_over == "resume")
        assert woken(account, thread, sleep) == [], at
        assert [type(error) for error in came_of_it] == [LostLockError], came_of_it
        stocked.assert_at_rest(ended.number, stocked.ami(goal))
        current, at = ended, at + 1
    thread.join(PATIENCE)
    assert [type(result).__name__ for result in came_of_it] == ["Release"], came_of_it
    sys.stdout.write(f"slept at each of {at - 1} steps, then {taken_over}: nothing changed after waking\n")


def test_who_sleeps_within_a_call_does_no_more_than_that_call(
    account: Any, stock: Callable[..., Stock]
) -> None:
    """AWS takes no fencing number, so what is about to be sent is sent; it asks for what is so already."""
    stocked = stock(TWO_KINDS, 2)
    ann, ben = Promoter(account=account, name="ann"), Promoter(account=account, name="ben")
    ann.change().promote(ann.plan(1))
    goals, goal, at = {1: 2, 2: 1}, 1, 1
    while True:
        planned = ann.plan(goals[goal])
        sleep = Sleep(at)
        ann.before = sleep.moment
        thread, came_of_it = put_to_sleep(ann, planned, sleep)
        ann.before = lambda _: None
        if not sleep.asleep.is_set():
            break
        account.clock.pause(LEASE.total_seconds() + 1)
        if account.workshop(stocked.eyes).channels.state("production").change is None:
            ben.change().promote(ben.plan(goals[goal]))
        else:
            ben.resume()
        goal = goals[goal]
        changed = [name for name in woken(account, thread, sleep) if name != "PutObject"]
        account.settle()
        assert len(changed) <= 1, (at, changed)
        assert isinstance(came_of_it[0], (LostLockError, RefusedError)), (at, came_of_it)
        number = account.workshop(stocked.eyes).channels.state("production").release
        stocked.assert_at_rest(number, stocked.ami(goal))
        at += 1
    thread.join(PATIENCE)
    assert [type(result).__name__ for result in came_of_it] == ["Release"], came_of_it
    sys.stdout.write(f"slept at each of {at - 1} calls\n")


def test_unlock_stops_a_run_at_its_next_step(account: Any, stock: Callable[..., Stock]) -> None:
    """Who took the lock away, and why, stays in the channel's document; the change can be gone on with."""
    stocked = stock(KINDS, 2)
    ann, ben = Promoter(account=account, name="ann"), Promoter(account=account, name="ben")
    ann.change().promote(ann.plan(1))
    goals, goal, at = {1: 2, 2: 1}, 1, 1
    while True:
        sleep = StepSleep(at)
        thread, came_of_it = put_to_sleep(ann, ann.plan(goals[goal]), sleep)
        if not sleep.asleep.is_set():
            break
        account.clock.pause(2)  # the time it takes a person
        channels = account.workshop(stocked.eyes).channels
        lock = channels.unlock("production", by="arn:aws:iam::123456789012:user/cho", reason=f"step {at}")
        assert lock.owner == "ann"
        assert woken(account, thread, sleep) == [], at
        assert [type(error) for error in came_of_it] == [LostLockError], came_of_it
        state = channels.state("production")
        assert (state.lock, state.change is not None) == (None, True)
        entry = state.unlocked[-1]
        assert (entry.by, entry.owner, entry.reason) == (
            "arn:aws:iam::123456789012:user/cho",
            "ann",
            f"step {at}",
        )
        ended = ben.resume()
        assert ended is not None
        goal = goals[goal]
        stocked.assert_at_rest(ended.number, stocked.ami(goal))
        at += 1
    thread.join(PATIENCE)
    assert [type(result).__name__ for result in came_of_it] == ["Release"], came_of_it
    sys.stdout.write(f"unlocked at each of {at - 1} steps\n")
