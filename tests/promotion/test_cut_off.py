"""Changes of a channel that are cut off, or whose calls fail once, at each of their AWS calls in turn.

Whatever happens at whichever call: run again, the change ends where it ends undisturbed. A promotion and the
rollback after it are tried with every fault at every call; the other changes are killed just after each call
that changes something, or lose its answer, unless ``AMIFACTORY_CUT_OFF=full`` asks for everything.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from botocore.retries.standard import register_retry_handler

from amifactory.aws.session import AwsSession
from amifactory.domain.model import Architecture
from amifactory.domain.release import ChangeKind, ReleaseState, Step
from amifactory.errors import RolledBackError
from amifactory.operations.change_channel import ChannelChange
from amifactory.operations.channel_lock import LEASE
from amifactory.operations.fleet_facts import number_in_effect
from amifactory.operations.fleet_status import read_status
from amifactory.operations.promote import PromotionRequest, plan_promotion
from amifactory.operations.publish import parameter_name
from amifactory.operations.resume import plan_resume, unfinished
from amifactory.operations.rollback import plan_rollback

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.domain.fleet import Group, Template, TemplateId
    from amifactory.domain.model import AmiId
    from amifactory.operations.workshop import Workshop

FULL = os.environ.get("AMIFACTORY_CUT_OFF") == "full"
POLLING_SECONDS = 5
READING = ("Describe", "Get", "List")
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

    After ``KILLED_BEFORE`` the lease runs out while AWS goes on; after ``KILLED_AFTER`` a person takes the lock
    away at once, so that AWS is found in the middle of what it was told to do.
    """

    KILLED_BEFORE = "killed just before it"
    KILLED_AFTER = "killed just after it"
    LOST = "its answer is lost"
    THROTTLE = "throttled"
    ERROR = "HTTP 500"


KILLS = frozenset({Fault.KILLED_BEFORE, Fault.KILLED_AFTER})
ASKED = {
    Fault.LOST: {"effect": "lost-response"},
    Fault.THROTTLE: {"effect": "throttle"},
    Fault.ERROR: {"effect": "error", "code": "InternalError", "message": "We are sorry.", "status": 500},
}
"""The faults that are the sandbox's to make."""


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it, and no later call reaches AWS."""


class CutOff(AwsSession):
    """A session that counts its calls, ends at one of them, and repeats a failed one without waiting."""

    def begin(self, at: Callable[[list[str]], bool] = lambda _: False, *, after: bool = False) -> None:
        """Begins a run, as of a new process.

        Args:
            at: Whether to cut it off at the last of the calls so far.
            after: Do so once that call is done, but not answered.
        """
        self.calls: list[str] = []
        self._at, self._after = at, after
        self._dead = False
        self._counting = threading.Lock()

    def _client(self, service: str) -> Any:
        client = super()._client(service)
        events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
        events.register_first("before-call", self._arriving)
        events.register_first("after-call", self._answered)
        decide = register_retry_handler(client, max_attempts=10).needs_retry
        events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")
        events.register(f"needs-retry.{name}", lambda **given: None if decide(**given) is None else 0)
        return client

    def _arriving(self, *, model: Any, context: dict[str, Any], **_: object) -> None:
        with self._counting:
            if self._dead:
                raise Killed
            self.calls.append(model.name)
            context["cut off"] = self._at(self.calls)
            if context["cut off"] and not self._after:
                self._die()

    def _answered(self, *, context: dict[str, Any], **_: object) -> None:
        with self._counting:
            if self._dead or context["cut off"]:
                self._die()

    def _die(self) -> None:
        self._dead = True
        raise Killed


def is_number(number: int) -> Callable[[list[str]], bool]:
    """Returns what is true of the call of that number."""
    return lambda calls: len(calls) == number


def is_operation(name: str, times: int) -> Callable[[list[str]], bool]:
    """Returns what is true of the so manieth call of an operation."""
    return lambda calls: calls[-1] == name and calls.count(name) == times


@dataclass(frozen=True, kw_only=True)
class Start:
    """What there is before a change: current and newest release, newest version of each template."""

    release: int | None
    newest: int
    versions: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What there is once nothing moves any more, in AMIs instead of numbers.

    Attributes:
        fleets: What the group names, what that and the template's default version start, what its workers
            were started from, and whether an instance refresh is under way.
        made: AMIs of the launch-template versions that were made.
        channel: AMIs of the current release; what is under way, and who holds the lock.
        parameter: The AMI that is published.
        releases: State and steps of the release that was the newest before, and of those since.
        drift: As status shows it.
    """

    fleets: dict[str, tuple[str, str, str, tuple[str, ...], bool]]
    made: dict[str, tuple[str, ...]]
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

    account: Any
    channel: str
    session: CutOff
    workshop: Workshop
    calm: Workshop
    start: Start
    amis: dict[AmiId, str] = field(default_factory=dict)

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
        newest = self._newest_release()
        if newest > self.start.newest and self.calm.releases.get(newest).state is ReleaseState.FAILED:
            self.resume()
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
        change: ChannelChange = replace(self.account.change(self.workshop), parallel=1)
        return change

    def build(self, name: str) -> None:
        """Makes a build, which has a name here."""
        self.amis[self.account.build("node")] = name

    def cut_off(self, run: Callable[[], None], at: Callable[[list[str]], bool], *, after: bool) -> None:
        """Runs something that is killed at a call."""
        self.session.begin(at, after=after)
        try:
            run()
        except Killed:
            self.session.begin()
            return
        raise AssertionError(f"it ended before it was killed, after {len(self.session.calls)} calls")

    def unlock(self) -> None:
        """Takes the lock of a killed run away, as a person does."""
        self.calm.channels.unlock(self.channel, by="somebody", reason="it was killed")

    def pause(self, seconds: float) -> None:
        """Passes time; AWS comes to the end of what it is doing."""
        self.account.clock.pause(seconds)
        for _ in range(3):
            self.account.world.work.wait(5)
            self.account.clock.take_along(0)

    def begin(self) -> None:
        """Remembers what there is before a change."""
        templates = self._templates()
        self.start = Start(
            release=self.calm.channels.state(self.channel).release,
            newest=self._newest_release(),
            versions={name: template.latest for name, template in templates.items()},
        )
        self.session.begin()

    def rest(self) -> Rest:
        """Returns what there is, once workers are where they shall be."""
        groups, templates = self._settled(), self._templates()
        state = self.calm.channels.state(self.channel)
        current = self.calm.releases.get(state.release) if state.release is not None else None
        images = {
            (template.template_id, version.number): self._name(version.image)
            for template in templates.values()
            for version in self.calm.launch_templates.versions_since(template.template_id, 0)
        }
        name = parameter_name(self.calm.factory, self.channel, "node", Architecture.X86_64)
        published = self.calm.image_parameters.values([name]).get(name)
        return Rest(
            fleets={name: self._fleet(group, templates[name], images) for name, group in groups.items()},
            made={
                name: tuple(
                    images[template.template_id, number]
                    for number in range(self.start.versions[name] + 1, template.latest + 1)
                )
                for name, template in templates.items()
            },
            channel=(
                tuple(self._name(ami_id) for ami_id in current.amis().values()) if current else None,
                state.change,
                state.lock,
            ),
            parameter=self._name(published) if published else None,
            releases=self._releases(),
            drift=tuple(drift for row in read_status(self.calm).fleets for drift in row.drift),
        )

    def _fleet(
        self, group: Group, template: Template, images: dict[tuple[TemplateId, int], str]
    ) -> tuple[str, str, str, tuple[str, ...], bool]:
        (use,) = group.uses
        newest = self.calm.instance_refreshes.newest(group.name)
        return (
            use.pointer,
            images[use.template_id, number_in_effect(use, {use.template_id: template})],
            images[use.template_id, template.default],
            tuple(images[use.template_id, worker.version or 0] for worker in group.workers),
            newest is not None and newest.active,
        )

    def _releases(self) -> tuple[tuple[str, ...], ...]:
        """Returns how releases ended, but for those that were cut off before they changed anything."""
        numbers = [number for number in self.calm.releases.numbers() if number >= self.start.newest]
        return tuple(
            (release.state, *(fleet.step for fleet in release.fleets))
            for release in self.calm.releases.all(numbers)
            if release.state is not ReleaseState.FAILED or release.fleets[0].step is not Step.PENDING
        )

    def _newest_release(self) -> int:
        return max(self.calm.releases.numbers(), default=0)

    def _name(self, ami_id: str) -> str:
        return next((name for known, name in self.amis.items() if known == ami_id), "source")

    def _templates(self) -> dict[str, Template]:
        ids = {name: group.uses[0].template_id for name, group in self._groups().items()}
        found = self.calm.launch_templates.templates(ids.values())
        return {name: found[template_id] for name, template_id in ids.items()}

    def _groups(self) -> dict[str, Group]:
        names = [fleet.group for fleet in self.calm.configuration.fleets.values()]
        return self.calm.scaling_groups.groups(names)

    def _settled(self) -> dict[str, Group]:
        for _ in range(100):
            groups = self._groups()
            if all(
                [worker.state for worker in group.workers] == ["InService"] * group.desired
                for group in groups.values()
            ):
                return groups
            self.pause(POLLING_SECONDS)
        raise AssertionError(groups)


@dataclass(frozen=True, kw_only=True)
class Round:
    """Changes after which a channel is where it was before, so that round can follow round.

    Attributes:
        prepare: What makes the lane ready for the first round.
        before: What comes before the changes in each round.
        changes: What is disturbed.
        after: What comes after them.
        everything: Every fault is tried at every call.
    """

    prepare: Callable[[Lane], None]
    changes: tuple[Callable[[Lane], None], ...]
    before: Callable[[Lane], None] = lambda _: None
    after: Callable[[Lane], None] = lambda _: None
    everything: bool = FULL


def one_release(lane: Lane) -> None:
    lane.build("old")
    lane.promote()
    lane.build("new")


def promotion_cut_off(lane: Lane) -> None:
    """Leaves a promotion half-way: one fleet done, of another the default moved, its workers not."""
    lane.cut_off(lane.promote, is_operation("ModifyLaunchTemplate", 1), after=True)
    lane.unlock()


def restore_cut_off(lane: Lane) -> None:
    """Leaves the putting back of a failed promotion half-way, at the same place."""
    lane.cut_off(lane.fail, is_operation("ModifyLaunchTemplate", 2), after=True)
    lane.unlock()


ROUNDS = {
    "promotion, rollback": Round(
        prepare=one_release, changes=(Lane.promote, Lane.roll_back), everything=True
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
    "failing promotion": Round(prepare=one_release, changes=(Lane.fail,)),
}


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """How a change goes by itself: its calls, and where it ends."""

    calls: tuple[str, ...]
    rest: Rest

    def tried(self, fault: Fault, *, everything: bool) -> list[int]:
        """Returns the numbers of the calls at which a fault is tried."""
        if not everything and fault not in {Fault.KILLED_AFTER, Fault.LOST}:
            return []
        return [
            number
            for number, name in enumerate(self.calls, start=1)
            if everything or not name.startswith(READING)
        ]


@pytest.fixture
def lane(account: Any, groups: Callable[[], None]) -> Callable[[], Lane]:
    """Returns what makes a lane."""
    numbers = count(1)
    account.image("node")

    def make() -> Lane:
        channel = f"staging{next(numbers)}"
        account.configure(FLEETS.replace("CHANNEL", channel))
        groups()
        session = CutOff(
            region=account.settings.region,
            endpoint_url=account.endpoint,
            credentials=(account.settings.access_key_id, account.settings.secret_access_key),
        )
        session.begin()
        workshop = account.workshop(session, polling_seconds=POLLING_SECONDS)
        made = Lane(
            account=account,
            channel=channel,
            session=session,
            workshop=workshop,
            calm=replace(workshop, session=account.kept),
            start=Start(release=None, newest=0, versions={}),
        )
        made.workshop = replace(workshop, pause=made.pause)
        return made

    return make


def undisturbed(lane: Lane, tried: Round) -> list[Undisturbed]:
    """Returns how the changes of a round go by themselves."""
    found = []
    tried.before(lane)
    for change in tried.changes:
        lane.begin()
        change(lane)
        calls = tuple(lane.session.calls)
        found.append(Undisturbed(calls=calls, rest=lane.rest()))
    tried.after(lane)
    return found


def disturb(lane: Lane, change: Callable[[Lane], None], fault: Fault, number: int) -> None:
    """Makes a change, with a fault at the call of that number, and again if it was killed."""
    if fault in KILLS:
        lane.cut_off(lambda: change(lane), is_number(number), after=fault is Fault.KILLED_AFTER)
        if fault is Fault.KILLED_BEFORE:
            lane.pause(LEASE.total_seconds() + 1)
        else:
            lane.unlock()
        change(lane)
        return
    lane.account.ask("DELETE", "calls")
    lane.account.ask("POST", "failures", {"call": number, **ASKED[fault]})
    change(lane)
    assert lane.account.ask("GET", "failures") == [], "the call was not made"


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", ROUNDS)
def test_ends_where_it_ends_undisturbed(
    lane: Callable[[], Lane], name: str, fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    tried = ROUNDS[name]
    here = lane()
    tried.prepare(here)
    undisturbed(here, tried)
    known = undisturbed(here, tried)
    numbers = [change.tried(fault, everything=tried.everything) for change in known]
    if not any(numbers):
        pytest.skip("only with AMIFACTORY_CUT_OFF=full")
    cases, problems = 0, []
    for number in sorted({number for some in numbers for number in some}):
        try:
            tried.before(here)
            for change, calm, some in zip(tried.changes, known, numbers, strict=True):
                here.begin()
                if number not in some:
                    change(here)
                    continue
                cases += 1
                what = f"{change.__name__}: {fault} at call {number}, {calm.calls[number - 1]}"
                disturb(here, change, fault, number)
                assert here.rest() == calm.rest
            tried.after(here)
        except Exception as error:
            problems.append(f"{what}: {type(error).__name__}: {error}")
            here = lane()
            tried.prepare(here)
            undisturbed(here, tried)
    record_property("cut off", [cases, cases - len(problems)])
    print(f"{name}, {fault}: {cases} cases, {cases - len(problems)} survived")
    assert problems == []
