"""Any sequence of promotions, rollbacks, deaths and meddling: at rest all agrees, or status shows drift."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.aws.session import AwsSession
from amifactory.domain.release import ChangeKind, ReleaseState
from amifactory.errors import AmifactoryError, HalfDoneError, RolledBackError, UsageError
from amifactory.operations.channel_lock import LEASE
from amifactory.operations.promote import PromotionRequest, plan_promotion
from amifactory.operations.resume import plan_resume
from amifactory.operations.rollback import plan_rollback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from amifactory.domain.release import ChannelState, Release
    from amifactory.operations.change_channel import ChannelChange

SEEDS = 40 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 6
STEPS = 12
LAST_CALL = 60
"""Up to which call a run may die; one of three fleets makes about so many."""
KINDS = {
    "pinned": "workers = 1",
    "default": 'version = "$Default"\nworkers = 1',
    "attributes": "attributes = true\nworkers = 1",
    "parameter": 'version = "parameter"\nworkers = 1',
    "empty": "",
    "spare": 'version = "$Default"',
    "protected": "workers = 1\nprotected = true",
}
PARAMETER = "/amifactory/example/staging/node/x86_64"
DRAFT = "draft"
"""Key pair of versions that somebody made and nobody has put into effect."""


def fleet(name: str, *, refresh: bool) -> str:
    rollout = 'rollout = "refresh"\nrefresh {\n warmup = "0s"\n }' if refresh else 'rollout = "passive"'
    return f"""
fleet "{name}" {{
  image   = "node"
  group   = "ci-{name}"
  channel = "staging"
  {rollout}
  sandbox {{
    {KINDS[name]}
  }}
}}
"""


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it, and no later call reaches AWS."""


class Mortal(AwsSession):
    """A session that dies just before one of its calls, or just after it; each run of it lives anew."""

    def live(self, calls: int | None = None, *, after: bool = False) -> None:
        """Begins a run, as of a new process, that dies at a call if a number is given."""
        self._left, self._after, self._dead = calls, after, False
        self._counting = threading.Lock()

    def _client(self, service: str) -> Any:
        client = super()._client(service)
        client.meta.events.register_first("before-call", self._calling)
        client.meta.events.register_first("after-call", self._called)
        return client

    def _calling(self, *, context: dict[str, Any], **_: object) -> None:
        with self._counting:
            if self._left is not None:
                self._left -= 1
            context["last"] = self._left == 0
            if self._dead or (context["last"] and not self._after):
                self._die()

    def _called(self, *, context: dict[str, Any], parsed: Any, **_: object) -> None:
        with self._counting:
            if self._dead or context["last"]:
                if "Body" in parsed:
                    parsed["Body"].close()  # as the end of a process does
                self._die()

    def _die(self) -> None:
        self._dead = True
        raise Killed


@dataclass(frozen=True, kw_only=True)
class Started:
    """What a group starts, as AWS tells it.

    Attributes:
        version: Number that is in effect; ``pointer``: how the group names it.
        draft: It is a version that nobody has put into effect.
    """

    pointer: str
    version: int | None
    ami_id: str
    draft: bool


@dataclass(kw_only=True)
class Hands:
    """Somebody who looks at AWS, and meddles with it, without amifactory."""

    session: AwsSession

    def started(self, fleets: Iterable[str]) -> dict[str, Started]:
        """Returns what each fleet's group would start now."""
        names = {f"ci-{fleet}": fleet for fleet in fleets}
        answer = self.session.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(names))
        return {
            names[group["AutoScalingGroupName"]]: self._started(use_of(group))
            for group in answer["AutoScalingGroups"]
        }

    def _started(self, use: Any) -> Started:
        (version,) = self.session.ec2.describe_launch_template_versions(
            LaunchTemplateId=use["LaunchTemplateId"], Versions=[use["Version"]]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        image = data["ImageId"]
        if image.startswith("resolve:ssm:"):
            image = str(self.value(image.removeprefix("resolve:ssm:")))
        return Started(
            pointer=use["Version"] if use["Version"].startswith("$") else "pinned",
            version=version["VersionNumber"],
            ami_id=str(image),
            draft=data.get("KeyName") == DRAFT,
        )

    def value(self, parameter: str) -> str | None:
        """Returns what a parameter names."""
        found = self.session.ssm.get_parameters(Names=[parameter])["Parameters"]
        return str(found[0]["Value"]) if found else None

    def workers(self, fleet: str) -> dict[str, str]:
        """Returns the AMI of each worker in service."""
        instances = [
            instance["InstanceId"]
            for instance in self._group(fleet)["Instances"]
            if instance["LifecycleState"] == "InService"
        ]
        if not instances:
            return {}
        answer = self.session.ec2.describe_instances(InstanceIds=instances)
        return {
            instance["InstanceId"]: instance["ImageId"]
            for reservation in answer["Reservations"]
            for instance in reservation["Instances"]
        }

    def move_default(self, fleet: str, random: Random) -> None:
        """Makes another version of the template the default."""
        template, versions = self._versions(fleet)
        self.session.ec2.modify_launch_template(
            LaunchTemplateId=template, DefaultVersion=str(random.choice(versions))
        )

    def pin(self, fleet: str, random: Random) -> None:
        """Points the group at any version, by number."""
        self._point(fleet, str(random.choice(self._versions(fleet)[1])))

    def follow_default(self, fleet: str, _: Random) -> None:
        """Points the group at the default version."""
        self._point(fleet, "$Default")

    def follow_latest(self, fleet: str, _: Random) -> None:
        """Points the group at the latest version."""
        self._point(fleet, "$Latest")

    def draft(self, fleet: str, _: Random) -> None:
        """Makes a version, which only $Latest starts."""
        template, versions = self._versions(fleet)
        self.session.ec2.create_launch_template_version(
            LaunchTemplateId=template,
            SourceVersion=str(versions[-1]),
            LaunchTemplateData={"KeyName": DRAFT},
        )

    def _group(self, fleet: str) -> Any:
        names = [f"ci-{fleet}"]
        answer = self.session.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=names)
        return answer["AutoScalingGroups"][0]

    def _versions(self, fleet: str) -> tuple[str, list[int]]:
        """Returns a fleet's template, and its versions that are no drafts."""
        template = use_of(self._group(fleet))["LaunchTemplateId"]
        found = self.session.ec2.describe_launch_template_versions(LaunchTemplateId=template)
        return template, sorted(
            version["VersionNumber"]
            for version in found["LaunchTemplateVersions"]
            if version["LaunchTemplateData"].get("KeyName") != DRAFT
        )

    def _point(self, fleet: str, version: str) -> None:
        group = self._group(fleet)
        use = {"LaunchTemplateId": use_of(group)["LaunchTemplateId"], "Version": version}
        configuration: dict[str, Any] = {"LaunchTemplate": use}
        if policy := group.get("MixedInstancesPolicy"):
            policy["LaunchTemplate"]["LaunchTemplateSpecification"] = use
            configuration = {"MixedInstancesPolicy": policy}
        self.session.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=f"ci-{fleet}", **configuration
        )


def use_of(group: Any) -> Any:
    """Returns how a group names its launch template."""
    policy = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    return group.get("LaunchTemplate") or policy["LaunchTemplateSpecification"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """Everything at one moment: what AWS starts, and what is on record."""

    state: ChannelState
    release: Release | None
    started: Mapping[str, Started]

    @property
    def latest(self) -> set[str]:
        """Returns the fleets whose group starts whatever is the latest."""
        return {name for name, now in self.started.items() if now.pointer == "$Latest"}

    @property
    def drifting(self) -> set[str]:
        """Returns the fleets that do not start what the current release says."""
        return {name for name, now in self.started.items() if self.release and now != self._said(name)}

    @property
    def moved(self) -> set[str]:
        """Returns those of them that start another AMI, or another version."""
        said = {name: self._said(name) for name in self.drifting}
        return {
            name
            for name, was in said.items()
            if (was.version, was.ami_id) != (self.started[name].version, self.started[name].ami_id)
        }

    def _said(self, name: str) -> Started:
        record = self.release.fleet(name) if self.release else None
        assert record is not None
        (placement,) = record.placements
        start = placement.after
        draft = self.started[name].draft
        return Started(
            pointer=placement.pointer.value, version=start.version, ami_id=start.ami_id, draft=draft
        )


@dataclass(kw_only=True)
class Story:
    """A sequence of steps on one channel, and what has to be so after each.

    Attributes:
        refreshed: Fleets whose workers are replaced at once.
        meddled: Fleets that somebody else changed since a release last said what they start.
        renamed: Fleets whose group was made to name its version in another way; a rollback leaves that.
        protected: Workers that must never go, by fleet.
        before: What each fleet started, the last time that there was no release.
        told: The steps so far, in words.
    """

    account: Any
    random: Random
    session: Mortal
    hands: Hands
    fleets: tuple[str, ...]
    refreshed: frozenset[str]
    meddled: set[str] = field(default_factory=set)
    renamed: set[str] = field(default_factory=set)
    protected: dict[str, set[str]] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        """Remembers how it was before anything was done."""
        self.session.live()
        self.before = {name: now.ami_id for name, now in self.look().started.items()}
        self.protected = {name: set(self.hands.workers(name)) for name in self.fleets if name == "protected"}

    def look(self) -> Look:
        """Returns how everything is now."""
        workshop = self.account.workshop(self.hands.session)
        state = workshop.channels.state("staging")
        release = workshop.releases.get(state.release) if state.release is not None else None
        return Look(state=state, release=release, started=self.hands.started(self.fleets))

    def step(self) -> None:
        """Does something, and checks what there is then."""
        now = self.look()
        under_way = now.state.change is not None
        self.outlive(now)
        if self.random.random() < (0.2 if under_way else 0.35):
            self.meddle(now)
        elif under_way:
            self.go_on(now)
        elif now.release is None or self.random.random() < 0.6:
            self.promote(now)
        else:
            self.roll_back(now)
        self.check()

    def meddle(self, before: Look) -> None:
        """Somebody changes one fleet by hand."""
        name = self.random.choice(self.fleets)
        ways = (self.hands.move_default, self.hands.draft, self.hands.pin)
        rare = (self.hands.follow_default, self.hands.follow_latest)
        way = self.random.choice(ways if self.random.random() < 0.8 else rare)
        way(name, self.random)
        was, now = before.started[name], self.hands.started([name])[name]
        self.say(f"by hand: {way.__name__} of {name}: {was} -> {now}")
        if now == was:
            return
        self.meddled.add(name)
        if now.pointer != was.pointer:
            self.renamed.add(name)
        if before.state.release is None and before.state.change is None:
            self.before[name] = now.ami_id

    def promote(self, now: Look) -> None:
        """Promotes the newest build, or what an older release has."""
        release = self.any_release() if self.random.random() < 0.4 else None
        if release is None:
            self.account.build("node")
        accept = self.random.random() < 0.6
        request = PromotionRequest(channel="staging", release=release, accept_drift=accept)
        planned = plan_promotion(self.workshop(), request)
        name = f"promote(release={release}, accept_drift={accept})"
        if planned.all_refusals:
            self.say(f"{name}: refused: {[str(refusal) for refusal in planned.all_refusals]}")
            assert now.latest or (now.drifting and not accept), "refused for no reason"
            return
        assert not now.latest, "$Latest was not refused"
        assert accept or not now.drifting, "drift was not refused"
        if self.run(name, lambda change: change.promote(planned)):
            self.meddled.clear()
            goals = {start.after.ami_id for plan in planned.fleets for start in plan.record.placements}
            assert goals == {start.ami_id for start in self.look().started.values()}

    def roll_back(self, now: Look) -> None:
        """Goes back to the release before, or to any other one."""
        to = self.any_release() if self.random.random() < 0.4 else None
        name = f"rollback(to={to})"
        try:
            planned = plan_rollback(self.workshop(), "staging", to=to)
        except UsageError as error:
            self.say(f"{name}: {error}")
            assert to is not None, "refused for no reason"
            return
        if planned.all_refusals:
            self.say(f"{name}: refused: {[str(refusal) for refusal in planned.all_refusals]}")
            assert now.latest, "refused for no reason"
            return
        assert not now.latest, "$Latest was not refused"
        if self.run(name, lambda change: change.roll_back(planned)):
            assert not self.look().moved

    def go_on(self, now: Look, *, deadly: bool = True) -> None:
        """Goes on with what was cut off, or takes it back."""
        assert now.state.change is not None
        back = now.state.change.kind is ChangeKind.PROMOTE and self.random.random() < 0.3
        planned = plan_resume(self.workshop(), "staging", give_up=back)
        name = "give_up" if back else "resume"
        if planned.all_refusals:
            self.say(f"{name}: refused: {[str(refusal) for refusal in planned.all_refusals]}")
            assert now.latest, "refused for no reason"
            return
        self.run(name, lambda change: getattr(change, name)(planned), deadly=deadly)

    def workshop(self) -> Any:
        """Returns what operations need, of the session that can die."""
        return self.account.workshop(self.session, polling_seconds=5)

    def any_release(self) -> int | None:
        """Returns the number of any release, None if there is none."""
        numbers = self.account.workshop(self.hands.session).releases.numbers()
        return self.random.choice(numbers) if numbers else None

    def outlive(self, now: Look) -> None:
        """Waits until a dead run's lock has run out."""
        if now.state.lock is not None:
            self.account.clock.pause(LEASE.total_seconds() + 1)

    def run(
        self, name: str, apply: Callable[[ChannelChange], Release | None], *, deadly: bool = True
    ) -> bool:
        """Carries out a change, which may die; returns whether it ended as it was meant to."""
        at = self.random.randint(1, LAST_CALL) if deadly and self.random.random() < 0.5 else None
        after = self.random.random() < 0.5
        self.session.live(at, after=after)
        try:
            done = apply(self.account.change(self.workshop()))
        except Killed:
            self.say(f"{name}: killed {'after' if after else 'before'} call {at}")
            self.counted["killed"] += 1
            return False
        except (RolledBackError, HalfDoneError) as error:
            self.say(f"{name}: {type(error).__name__}: {error}")
            self.counted[type(error).__name__] += 1
            assert self.meddled or name == "resume", "it failed for no reason"
            return False
        finally:
            self.session.live()
        self.say(f"{name}: release {done.number if done else None}")
        self.counted[name.partition("(")[0]] += 1
        self.account.settle()
        return True

    def check(self) -> None:
        """Checks what has to be so always, and what has to be so at rest."""
        now = self.look()
        for name, workers in self.protected.items():
            assert workers <= set(self.hands.workers(name)), "a protected worker is gone"
        drafts = {name for name, start in now.started.items() if start.draft}
        assert drafts <= self.meddled, "a draft was put into effect"
        if now.state.change is None:
            self.check_rest(now)

    def check_rest(self, now: Look) -> None:
        """Checks that fleets, templates, pointer and release agree, or that status shows the drift."""
        assert now.state.lock is None or self.counted["killed"]
        shown = {row.fleet.name for row in self.account.status().fleets if row.drift}
        assert shown == now.drifting
        assert now.drifting <= self.meddled | self.renamed, "it drifted by itself"
        assert now.moved <= self.meddled, "it drifted by itself"
        published = self.hands.value(PARAMETER)
        if now.release is None:
            assert published is None
            untouched = set(self.fleets) - self.meddled
            assert {name: now.started[name].ami_id for name in untouched} == {
                name: self.before[name] for name in untouched
            }
            return
        assert now.release.state is ReleaseState.CURRENT
        assert set(now.release.amis().values()) == {published}
        if not self.meddled:
            for name in self.refreshed - {"protected"}:
                assert set(self.hands.workers(name).values()) <= {published}, f"{name} has old workers"

    def say(self, what: str) -> None:
        """Tells a step."""
        self.told.append(what)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_at_rest_everything_agrees(account: Any, groups: Callable[[], None], seed: int) -> None:
    """Whatever was done before, and whoever died meanwhile or changed something by hand."""
    random = Random(seed)  # noqa: S311 - it has to be repeatable
    fleets = tuple(random.sample(list(KINDS), 3))
    refreshed = frozenset(name for name in fleets if random.random() < 0.7)
    account.image("node")
    account.configure(
        'channel "staging" {}\n' + "".join(fleet(name, refresh=name in refreshed) for name in fleets)
    )
    groups()
    story = Story(
        account=account,
        random=random,
        session=Mortal(
            region=account.settings.region,
            endpoint_url=account.endpoint,
            credentials=(account.settings.access_key_id, account.settings.secret_access_key),
        ),
        hands=Hands(session=account.session()),
        fleets=fleets,
        refreshed=refreshed,
    )
    story.begin()
    try:
        for _ in range(STEPS):
            story.step()
        finish(story)
    except (AssertionError, AmifactoryError) as error:
        error.add_note("\n".join([f"seed {seed}, {fleets}, refreshed {set(refreshed)}", *story.told]))
        raise
    sys.stdout.write(f"seed {seed}, {', '.join(fleets)}: {dict(story.counted)}\n")


def finish(story: Story) -> None:
    """Brings the channel to rest: what is under way can be finished, if nobody meddles any more."""
    for _ in range(3):
        if (now := story.look()).state.change is not None:
            story.outlive(now)
            story.go_on(now, deadly=False)
            story.check()
    assert story.look().state.change is None, "it cannot be finished"
