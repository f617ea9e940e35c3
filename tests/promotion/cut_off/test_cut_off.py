"""Changes of a channel that are cut off, or whose calls fail once, at each of their AWS calls in turn.

Whatever happens at whichever call: run again, the change ends where it ends undisturbed. A promotion and the
rollback after it are tried with every fault at every call, of which those that are repeated share a few runs;
the other changes are killed just after each call that changes something. ``AMIFACTORY_CUT_OFF=full`` tries
every fault by itself at every call of every change.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.model import Architecture
from amifactory.domain.release import ChangeKind, ReleaseState, Step
from amifactory.errors import AmifactoryError, RolledBackError
from amifactory.operations.channel_lock import LEASE
from amifactory.operations.fleet_facts import number_in_effect
from amifactory.operations.fleet_status import read_status
from amifactory.operations.promote import PromotionRequest, plan_promotion
from amifactory.operations.publish import parameter_name
from amifactory.operations.resume import plan_resume, unfinished
from amifactory.operations.rollback import plan_rollback

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from amifactory.domain.fleet import Group, Template
    from amifactory.domain.model import AmiId
    from amifactory.domain.release import Release
    from amifactory.operations.change_channel import ChannelChange
    from amifactory.operations.workshop import Workshop

FULL = os.environ.get("AMIFACTORY_CUT_OFF") == "full"
POLLING_SECONDS = 5
ROUNDS_A_LANE = 15
"""A lane gets slower with each: its groups have more activities, its templates more versions."""
CALLS_APART = 8
"""Of calls that fail in the same run: one is over before the next begins."""
MAY_BE_FEWER = 10
"""How many calls less a change may make where several fleets wait at once."""
READING = ("Describe", "Get", "List")
VERSIONS = {"pinned": "1", "default": "$Default", "empty": "1"}
BROKEN = "broken"
"""A file of this name in the factory makes the second fleet's health gate fail."""
FLEETS = """
channel "CHANNEL" {}
fleet "pinned" {
  image   = "node"
  group   = "CHANNEL-pinned"
  channel = "CHANNEL"
  rollout = "refresh"
  sandbox { workers = 1 }
}
fleet "default" {
  image   = "node"
  group   = "CHANNEL-default"
  channel = "CHANNEL"
  rollout = "refresh"
  health  { command = ["test", "!", "-e", "broken"] }
  sandbox {
    version = "$Default"
    workers = 1
  }
}
fleet "empty" {
  image   = "node"
  group   = "CHANNEL-empty"
  channel = "CHANNEL"
  sandbox {}
}
"""


class Fault(StrEnum):
    """What happens at one call.

    After ``KILLED_BEFORE`` the lease runs out while AWS goes on; after ``KILLED_AFTER`` a person takes the
    lock away at once, so that AWS is found in the middle of what it was told to do. ``ALL_THREE`` happen to a
    call, one after the other, before it is answered, and to several calls of one run.
    """

    KILLED_BEFORE = "killed just before it"
    KILLED_AFTER = "killed just after it"
    THROTTLE = "throttled"
    ERROR = "HTTP 500"
    LOST = "its answer lost"
    ALL_THREE = "throttled, then HTTP 500, then its answer lost"


KILLS = frozenset({Fault.KILLED_BEFORE, Fault.KILLED_AFTER})
FAILURES: dict[Fault, tuple[dict[str, object], ...]] = {
    Fault.THROTTLE: ({"effect": "throttle"},),
    Fault.ERROR: ({"effect": "error", "code": "InternalError", "message": "We are sorry.", "status": 500},),
    Fault.LOST: ({"effect": "lost-response"},),
}
FAILURES[Fault.ALL_THREE] = tuple(failure for some in list(FAILURES.values()) for failure in some)
"""What the sandbox is asked for, of one attempt after the other."""


def is_number(number: int) -> Callable[[list[str]], bool]:
    """Returns what is true of the call of that number."""
    return lambda calls: len(calls) == number


def is_operation(name: str, times: int) -> Callable[[list[str]], bool]:
    """Returns what is true of the so manieth call of an operation."""
    return lambda calls: calls[-1] == name and calls.count(name) == times


@dataclass(frozen=True, kw_only=True)
class Start:
    """What there is before a change: current and newest release, newest version of each fleet's template."""

    release: int | None
    newest: int
    versions: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What there is once nothing moves any more, in AMIs instead of numbers.

    Attributes:
        fleets: What the group names, what that and the template's default version start, what its workers
            were started from, and whether an instance refresh is under way.
        made: How many launch-template versions were made.
        channel: AMIs of the current release; what is under way, and who holds the lock.
        parameter: The AMI that is published.
        releases: State and steps of the release that was the newest before, and of those since.
        drift: As status shows it.
    """

    fleets: dict[str, tuple[str, str, str, tuple[str, ...], bool]]
    made: dict[str, int]
    channel: tuple[tuple[str, ...] | None, object, object]
    parameter: str | None
    releases: tuple[tuple[str, ...], ...]
    drift: tuple[str, ...]


@dataclass(kw_only=True)
class Lane:
    """A channel with three fleets of its own, and what a person does to it.

    Attributes:
        workshop: Of the runs that are disturbed; ``calm`` is of those that look.
    """

    direct: Any
    channel: str
    session: Any
    workshop: Workshop
    calm: Workshop
    start: Start
    parallel: int = 1
    amis: dict[AmiId, str] = field(default_factory=dict)

    @property
    def account(self) -> Any:
        """Returns the account it is in."""
        return self.direct.account

    def promote(self) -> None:
        """Promotes the newest build; goes on with an unfinished promotion instead, as the command does."""
        if unfinished(self.workshop, self.channel, ChangeKind.PROMOTE):
            self.resume()
            return
        planned = plan_promotion(self.workshop, PromotionRequest(channel=self.channel))
        assert planned.all_refusals == ()
        if planned.moves:
            self._change().promote(planned)

    def roll_back(self) -> None:
        """Goes back to the release before, unless that was done and only nobody heard of it."""
        if unfinished(self.workshop, self.channel, ChangeKind.ROLLBACK):
            self.resume()
        elif self.calm.channels.state(self.channel).release == self.start.release:
            self._change().roll_back(plan_rollback(self.workshop, self.channel))

    def resume(self) -> None:
        """Goes on with what was cut off, unless it is finished."""
        if self.calm.channels.state(self.channel).change is not None:
            self._change().resume(plan_resume(self.workshop, self.channel))

    def fail(self) -> None:
        """Promotes, which fails and puts every fleet back."""
        newest = max(self.calm.releases.numbers())
        if newest > self.start.newest and self.calm.releases.get(newest).state is ReleaseState.FAILED:
            self.resume_failed()
            return
        (self.account.root / BROKEN).touch()
        try:
            with pytest.raises(RolledBackError):
                self.promote()
        finally:
            (self.account.root / BROKEN).unlink()

    def resume_failed(self) -> None:
        """Goes on with putting back."""
        if self.calm.channels.state(self.channel).change is not None:
            with pytest.raises(RolledBackError):
                self.resume()

    def _change(self) -> ChannelChange:
        change: ChannelChange = replace(self.account.change(self.workshop), parallel=self.parallel)
        return change

    def build(self, name: str) -> None:
        """Makes a build, which has a name here."""
        self.amis[self.account.build("node")] = name

    def unlock(self) -> None:
        """Takes the lock of a killed run away, as a person does."""
        self.calm.channels.unlock(self.channel, by="somebody", reason="it was killed")

    def pause(self, seconds: float) -> None:
        """Passes time; AWS comes to the end of what it is doing."""
        self.account.clock.pause(seconds)
        for _ in range(8):
            self.account.world.work.wait(5)
            self.account.clock.take_along(0)

    def rest(self) -> Rest:
        """Returns what there is, once workers are where they shall be; the next change starts from there."""
        groups = self._settled()
        ids = {name: group.uses[0].template_id for name, group in groups.items()}
        found = self.calm.launch_templates.templates(ids.values())
        templates = {name: found[template_id] for name, template_id in ids.items()}
        status = read_status(self.calm)
        (state,) = status.channels
        numbers = self.calm.releases.numbers()
        releases = {
            release.number: release
            for release in self.calm.releases.all(
                [number for number in numbers if number in {state.release, *numbers[-3:]}]
            )
        }
        current = releases[state.release] if state.release is not None else None
        name = parameter_name(self.calm.factory, self.channel, "node", Architecture.X86_64)
        published = self.calm.image_parameters.values([name]).get(name)
        rest = Rest(
            fleets={name: self._fleet(group, templates[name]) for name, group in groups.items()},
            made={
                name: template.latest - self.start.versions.get(name, 1)
                for name, template in templates.items()
            },
            channel=(
                tuple(self._name(ami_id) for ami_id in current.amis().values()) if current else None,
                state.change,
                state.lock,
            ),
            parameter=self._name(published) if published else None,
            releases=tuple(
                (release.state, *(fleet.step for fleet in release.fleets))
                for release in releases.values()
                if release.number >= self.start.newest and not is_abandoned(release)
            ),
            drift=tuple(drift for row in status.fleets for drift in row.drift),
        )
        self.start = Start(
            release=state.release,
            newest=numbers[-1] if numbers else 0,
            versions={name: template.latest for name, template in templates.items()},
        )
        return rest

    def _fleet(self, group: Group, template: Template) -> tuple[str, str, str, tuple[str, ...], bool]:
        (use,) = group.uses
        in_effect = number_in_effect(use, {use.template_id: template})
        numbers = {in_effect, template.default, *(worker.version or 0 for worker in group.workers)}
        versions = self.calm.launch_templates.versions(use.template_id, numbers)
        images = {version.number: self._name(version.image) for version in versions}
        newest = self.calm.instance_refreshes.newest(group.name)
        return (
            use.pointer,
            images[in_effect],
            images[template.default],
            tuple(images[worker.version or 0] for worker in group.workers),
            newest is not None and newest.active,
        )

    def _name(self, ami_id: str) -> str:
        return next((name for known, name in self.amis.items() if known == ami_id), "source")

    def _settled(self) -> dict[str, Group]:
        """Returns the groups by fleet."""
        names = {name: fleet.group for name, fleet in self.calm.configuration.fleets.items()}
        for _ in range(100):
            found = self.calm.scaling_groups.groups(names.values())
            if all(
                [worker.state for worker in group.workers] == ["InService"] * group.desired
                for group in found.values()
            ):
                return {name: found[group] for name, group in names.items()}
            self.pause(POLLING_SECONDS)
        raise AssertionError(found)


def is_abandoned(release: Release) -> bool:
    """Returns whether a release was cut off before anything was changed for it, and closed later."""
    return release.state is ReleaseState.FAILED and release.fleets[0].step is Step.PENDING


@dataclass(frozen=True, kw_only=True)
class Round:
    """Changes after which a channel is where it was before, so that round can follow round.

    Attributes:
        prepare: What makes the lane ready for the first round.
        before: What comes before the changes in each round.
        changes: What is disturbed.
        after: What comes after them.
        faults: Those that are tried.
        everywhere: They are tried at every call, not only at those that change something.
        parallel: How many fleets are moved at once. If several, calls come in another order each time, and
            faults are tried at some.
    """

    prepare: Callable[[Lane], None]
    changes: tuple[Callable[[Lane], None], ...]
    before: Callable[[Lane], None] = lambda _: None
    after: Callable[[Lane], None] = lambda _: None
    faults: Collection[Fault] = tuple(Fault) if FULL else (Fault.KILLED_AFTER,)
    everywhere: bool = FULL
    parallel: int = 1

    def undisturbed(self, lane: Lane) -> list[Undisturbed]:
        """Returns how the changes go by themselves."""
        found = []
        self.before(lane)
        for change in self.changes:
            lane.session.begin()
            change(lane)
            found.append(Undisturbed(calls=tuple(lane.session.made), rest=lane.rest()))
        self.after(lane)
        return found

    def ready(self, made: Lane) -> Lane:
        """Returns a lane that is ready for a round that is disturbed, after one that is not."""
        made.parallel = self.parallel
        self.prepare(made)
        made.rest()
        self.undisturbed(made)
        return made


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """How a change goes by itself: its calls, and where it ends."""

    calls: tuple[str, ...]
    rest: Rest

    def numbers(self, tried: Round, fault: Fault) -> list[int]:
        """Returns the numbers of the calls at which a fault is tried.

        Just after a call that only reads is just before the next one.
        """
        if tried.parallel > 1:
            return list(range(1, len(self.calls) - MAY_BE_FEWER, 1 if FULL else 5))
        every = FULL or (tried.everywhere and fault is not Fault.KILLED_AFTER)
        numbered = enumerate(self.calls, start=1)
        return [number for number, name in numbered if every or not name.startswith(READING)]


def one_release(lane: Lane) -> None:
    """Promotes a build and makes a newer one."""
    lane.build("old")
    lane.promote()
    lane.build("new")


def promotion_cut_off(lane: Lane) -> None:
    """Leaves a promotion half-way: one fleet done, of another the default moved, its workers not."""
    lane.session.cut_off(lane.promote, is_operation("ModifyLaunchTemplate", 1), after=True)
    lane.unlock()
    lane.rest()


def restore_cut_off(lane: Lane) -> None:
    """Leaves the putting back of a failed promotion half-way, at the same place."""
    lane.session.cut_off(lane.fail, is_operation("ModifyLaunchTemplate", 2), after=True)
    lane.unlock()
    lane.rest()


def version_deleted(lane: Lane) -> None:
    """Promotes, and deletes a launch-template version that the release before had."""
    lane.promote()
    state = lane.calm.channels.state(lane.channel)
    before = lane.calm.releases.get(state.release or 0).previous
    record = lane.calm.releases.get(before or 0).fleet("pinned")
    for placement in record.placements if record else ():
        lane.account.kept.ec2.delete_launch_template_versions(
            LaunchTemplateId=placement.template_id, Versions=[str(placement.after.version)]
        )
    lane.rest()


ROUNDS = {
    "promotion, rollback": Round(
        prepare=one_release,
        changes=(Lane.promote, Lane.roll_back),
        faults=tuple(Fault) if FULL else (*KILLS, Fault.ALL_THREE),
        everywhere=True,
    ),
    "first promotion, rollback": Round(
        prepare=lambda lane: lane.build("new"), changes=(Lane.promote, Lane.roll_back)
    ),
    "resume": Round(
        prepare=one_release, before=promotion_cut_off, changes=(Lane.resume,), after=Lane.roll_back
    ),
    "resume of putting back": Round(
        prepare=one_release, before=restore_cut_off, changes=(Lane.resume_failed,)
    ),
    "rollback, a version made anew": Round(
        prepare=one_release, before=version_deleted, changes=(Lane.roll_back,)
    ),
    "promotion, rollback, three fleets at once": Round(
        prepare=one_release, changes=(Lane.promote, Lane.roll_back), parallel=3
    ),
    "failing promotion": Round(prepare=one_release, changes=(Lane.fail,)),
}
CASES = [(name, fault) for name, tried in ROUNDS.items() for fault in Fault if fault in tried.faults]


@pytest.fixture
def make_lane(direct: Any) -> Callable[[], Lane]:
    """Returns what makes a lane."""
    account, numbers, session = direct.account, count(1), direct.account.session()
    account.image("node")

    def make() -> Lane:
        forget_releases(account)
        channel = f"staging{next(numbers)}"
        account.configure(FLEETS.replace("CHANNEL", channel))
        for name, fleet in account.configuration.fleets.items():
            make_group(account, fleet.group, version=VERSIONS[name], workers=fleet.sandbox.workers)
        workshop = account.workshop(session, polling_seconds=POLLING_SECONDS)
        lane = Lane(
            direct=direct,
            channel=channel,
            session=session,
            workshop=workshop,
            calm=replace(workshop, session=account.kept),
            start=Start(release=None, newest=0, versions={}),
        )
        lane.workshop = replace(workshop, pause=lane.pause)
        return lane

    return make


def forget_releases(account: Any) -> None:
    """Removes the releases of other lanes: to list them takes longer with each."""
    s3, bucket = account.kept.s3, account.settings.state_bucket
    for found in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=found["Key"])


def make_group(account: Any, name: str, *, version: str, workers: int) -> None:
    """Makes a group and its launch template."""
    ec2, scaling = account.kept.ec2, account.kept.autoscaling
    data = {"ImageId": account.settings.source_ami_id, "InstanceType": "t3.large"}
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=workers,
        AvailabilityZones=[f"{account.settings.region}a"],
        LaunchTemplate={"LaunchTemplateId": made["LaunchTemplateId"], "Version": version},
    )


def disturb(lane: Lane, change: Callable[[Lane], None], fault: Fault, numbers: Collection[int]) -> None:
    """Makes a change with a fault at the calls of these numbers, and again if it was killed at one."""
    if fault not in KILLS:
        ask_for_failures(lane, FAILURES[fault], numbers)
        change(lane)
        assert lane.direct.ask("GET", "failures") == [], "a call was not made"
        return
    (number,) = numbers
    lane.session.cut_off(lambda: change(lane), is_number(number), after=fault is Fault.KILLED_AFTER)
    if fault is Fault.KILLED_BEFORE:
        lane.pause(LEASE.total_seconds() + 1)
    else:
        lane.unlock()
    change(lane)


def ask_for_failures(lane: Lane, failures: Collection[dict[str, object]], numbers: Collection[int]) -> None:
    """Has each of these calls fail in these ways, attempt after attempt, of which each has a number too."""
    lane.direct.ask("DELETE", "calls")
    for place, number in enumerate(sorted(numbers)):
        for attempt, failure in enumerate(failures, start=number + place * len(failures)):
            lane.direct.ask("POST", "failures", {"call": attempt, **failure})


def wrong(found: Rest, wanted: Rest) -> dict[str, tuple[object, object]]:
    """Returns what is not as it should be: what it is, and what it should be."""
    pairs = {name: (value, getattr(wanted, name)) for name, value in vars(found).items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def outcomes(
    lane: Lane, tried: Round, known: Collection[Undisturbed], fault: Fault, at: Collection[int]
) -> Iterator[tuple[int, str | None]]:
    """Makes a round with a fault at some calls of each change, up to the first problem.

    Yields for each change at how many calls that was, and what is wrong then, None if nothing.
    """
    what, numbers = "before it", list(at)
    try:
        tried.before(lane)
        for change, calm in zip(tried.changes, known, strict=True):
            lane.session.begin()
            numbers = [number for number in calm.numbers(tried, fault) if number in at]
            if not numbers:
                change(lane)
                lane.rest()
                continue
            places = ", ".join(f"{number} ({calm.calls[number - 1]})" for number in numbers)
            what = f"{change.__name__}, {fault}: {places}"
            disturb(lane, change, fault, numbers)
            found = wrong(lane.rest(), calm.rest)
            yield len(numbers), f"{what}: {found}" if found else None
            if found:
                return
        tried.after(lane)
    except (AmifactoryError, AssertionError) as error:
        yield len(numbers), f"{what}: {error!r}"


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_ends_where_it_ends_undisturbed(
    make_lane: Callable[[], Lane],
    name: str,
    fault: Fault,
    record_property: Callable[[str, object], None],
) -> None:
    tried = ROUNDS[name]
    lane = tried.ready(make_lane())
    known = tried.undisturbed(lane)
    numbers = sorted({number for calm in known for number in calm.numbers(tried, fault)})
    apart = CALLS_APART if fault is Fault.ALL_THREE else len(numbers)
    found: list[tuple[int, str | None]] = []
    for place in range(apart):
        some = list(outcomes(lane, tried, known, fault, numbers[place::apart]))
        found += some
        if any(problem for _, problem in some) or place % ROUNDS_A_LANE == ROUNDS_A_LANE - 1:
            lane = tried.ready(make_lane())
    problems = [problem for _, problem in found if problem]
    faults = len(FAILURES.get(fault, ())) or 1
    cases = faults * sum(calls for calls, _ in found)
    record_property("cut off", [cases, cases - faults * sum(calls for calls, problem in found if problem)])
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
