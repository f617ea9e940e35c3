"""A group and the least of an engine under it: what an instance refresh needs, with time moved by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.scaling import refresh
from amifactory.sandbox.scaling.clock import Clock
from amifactory.sandbox.scaling.model import (
    IN_SERVICE,
    PENDING,
    PENDING_WAIT,
    TERMINATING,
    TERMINATING_WAIT,
    Group,
    Member,
)
from amifactory.sandbox.scaling.refresh_state import Preferences, Refresh, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.model import Configuration

TEMPLATE = "lt-0123456789abcdef0"


def template(version: str) -> Configuration:
    return {"LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "Version": version}}


@dataclass(kw_only=True)
class Fleet:
    """A group, its engine and its refresh; what a step does is kept for the test to look at.

    Attributes:
        boots: Whether pending instances get into service.
        launches: Whether EC2 launches anything.
        launch_hook, terminate_hook: Whether instances are held on their way in or out.
        bad: Template versions whose instances are unhealthy.
        fewest, most: Instances in service, and those in service or on their way in, seen since the start.
    """

    group: Group
    clock: Clock = field(default_factory=lambda: Clock(monotonic=lambda: 0.0))
    default: int = 1
    boots: bool = True
    launches: bool = True
    launch_hook: bool = False
    terminate_hook: bool = False
    bad: set[int] = field(default_factory=set)
    alarms: dict[str, str] = field(default_factory=dict)
    made: int = 0
    fewest: int = 10**6
    most: int = 0

    # -- the engine, as a refresh sees it

    def terminate(self, group: Group, member: Member, *, cause: str) -> None:
        del group
        assert cause.endswith("an instance was taken out of service in response to an instance refresh.")
        member.state = TERMINATING_WAIT if self.terminate_hook else TERMINATING

    def matches(self, group: Group, member: Member, configuration: Configuration) -> bool:
        del group
        return member.template_version == self._number(configuration)

    def warm(self, group: Group, member: Member, seconds: float) -> bool:
        del group
        since = member.in_service_at
        return member.state == IN_SERVICE and since is not None and self.clock.now() - since >= seconds

    def alarm_state(self, group: Group, name: str) -> str:
        del group
        return self.alarms.get(name, "MISSING")

    # -- time

    def tick(self, seconds: float = 0) -> Status | None:
        """Lets time pass, takes one step in the order the engine does and returns the refresh's status."""
        self.clock.advance(seconds)
        for member in list(self.group.members):
            self._follow(member)
        self._reconcile()
        self._see()
        refresh.step(self, self.group)
        self._see()
        return self.refresh.status if self.group.refreshes else None

    def run(self, seconds: float = 1, *, steps: int = 400) -> Status:
        """Takes steps, so many seconds apart, until the refresh has ended."""
        for _ in range(steps):
            if refresh.active(self.group) is None:
                return self.refresh.status
            self.tick(seconds)
        raise AssertionError(f"still {self.refresh.status}: {self.refresh.status_reason}")

    # -- the group

    @property
    def refresh(self) -> Refresh:
        found: Refresh = self.group.refreshes[0]
        return found

    def start(self, *, desired: str | None = "2", **preferences: Any) -> Refresh:
        started = Refresh(
            refresh_id="08b91cf7-8fa6-48af-b6a6-d227f40f1b9b",
            group=self.group.name,
            preferences=Preferences(**preferences),
            desired=None if desired is None else template(desired),
        )
        self.group.refreshes.insert(0, started)
        self.group.pending_configuration = started.desired
        return started

    def versions(self) -> list[int]:
        """Returns the template version of every member that is not on its way out."""
        return sorted(member.template_version for member in self.staying())

    def staying(self) -> list[Member]:
        return [member for member in self.group.members if not member.leaving]

    def ids(self) -> set[str]:
        return {member.instance_id for member in self.staying()}

    def release(self) -> None:
        """Has the termination hook let those go that it holds."""
        for member in self.group.members:
            if member.state == TERMINATING_WAIT:
                member.state = TERMINATING

    def _number(self, configuration: Configuration) -> int:
        version = configuration["LaunchTemplate"]["Version"]
        return self.default if version == "$Default" else int(version)

    def _follow(self, member: Member) -> None:
        if member.state == TERMINATING:
            self.group.members.remove(member)
        elif member.state == PENDING and self.launch_hook:
            member.state = PENDING_WAIT
        elif member.state in {PENDING, PENDING_WAIT} and self.boots and not self.launch_hook:
            member.state, member.in_service_at = IN_SERVICE, self.clock.now()
            member.healthy = member.template_version not in self.bad
        elif not member.healthy and not member.leaving:
            member.state = TERMINATING

    def _reconcile(self) -> None:
        wanted = self.group.desired + self.group.surge
        while self.group.capacity < wanted and self.launches and "Launch" not in self.group.suspended:
            self.launch()
        surplus = [member for member in self.staying() if member.counts and not member.protected]
        for member in surplus[: max(0, self.group.capacity - wanted)]:
            member.state = TERMINATING

    def launch(self) -> Member:
        self.made += 1
        member = Member(
            instance_id=f"i-{self.made:04}",
            instance_type="m7i.large",
            zone="eu-central-1a",
            template_id=TEMPLATE,
            template_name="worker",
            template_version=self._number(self.group.launches),
            image_id="ami-0123456789abcdef0",
            launched_at=self.clock.now(),
        )
        self.group.members.append(member)
        return member

    def _see(self) -> None:
        serving = [member for member in self.group.members if member.state == IN_SERVICE and member.healthy]
        self.fewest, self.most = min(self.fewest, len(serving)), max(self.most, self.group.capacity)


@pytest.fixture
def fleet() -> Callable[..., Fleet]:
    """Makes a group whose instances are of version 1 and in service."""

    def fleet(size: int = 4, *, saved: str = "1") -> Fleet:
        group = Group(
            name="workers",
            arn="arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:id:autoScalingGroupName/workers",
            region="eu-central-1",
            account="123456789012",
            configuration=template(saved),
            desired=size,
            smallest=0,
            largest=20,
            created_at=datetime(2026, 11, 29, tzinfo=UTC),
        )
        made = Fleet(group=group)
        made.tick()
        made.tick()
        made.fewest, made.most = 10**6, 0
        return made

    return fleet
