"""What an instance refresh finds when it looks at its group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from amifactory.sandbox.scaling.errors import ScalingError
from amifactory.sandbox.scaling.model import (
    COUNTED,
    ENTERING_STANDBY,
    IN_SERVICE,
    PENDING,
    PENDING_PROCEED,
    PENDING_WAIT,
    STANDBY,
)
from amifactory.sandbox.scaling.refresh_state import Protected, Standby, Status, numbered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amifactory.sandbox.scaling.clock import Clock
    from amifactory.sandbox.scaling.model import Configuration, Group, Member
    from amifactory.sandbox.scaling.refresh_state import Refresh

STARTING = frozenset({PENDING, PENDING_WAIT, PENDING_PROCEED})
ASIDE = frozenset({STANDBY, ENTERING_STANDBY})
LIVE = COUNTED | ASIDE


class Engine(Protocol):
    """What a refresh asks of the engine of groups."""

    @property
    def clock(self) -> Clock:
        """Returns the sandbox's clock."""
        ...

    def terminate(self, group: Group, member: Member, *, cause: str) -> None:
        """Takes a member out; the desired capacity stays."""
        ...

    def matches(self, group: Group, member: Member, configuration: Configuration) -> bool:
        """Returns whether a member is what would be launched now."""
        ...

    def warm(self, group: Group, member: Member, seconds: float) -> bool:
        """Returns whether a member has been in service for so many seconds."""
        ...

    def alarm_state(self, group: Group, name: str) -> str:
        """Returns a CloudWatch alarm's state."""
        ...


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A group as its refresh sees it at one moment.

    Attributes:
        candidates: Members that can be replaced now: first those that serve nobody, then the oldest.
        blocked: Members that are to be replaced and that it waits for: protected, or in Standby.
        ready: Members in service and healthy; new ones have warmed up too.
        unready: New members that are not ready yet.
        leaving: Members that it terminated and that are not gone yet.
        capacity: Of all members that count towards the desired capacity, in the group's units.
        desired: The group's desired capacity.
        gone: How many of those to be replaced are there no more.
    """

    candidates: tuple[Member, ...]
    blocked: tuple[Member, ...]
    ready: tuple[Member, ...]
    unready: tuple[Member, ...]
    leaving: tuple[Member, ...]
    capacity: int
    desired: int
    gone: int

    @property
    def remaining(self) -> int:
        """Returns how many members are still to be replaced."""
        return len(self.candidates) + len(self.blocked)

    @property
    def total(self) -> int:
        """Returns how many members there are and were to be replaced."""
        return self.gone + self.remaining

    @property
    def settled(self) -> bool:
        """Returns whether no replacement is under way."""
        return not self.unready and not self.leaving and weight(self.ready) >= self.desired


def weight(members: Iterable[Member]) -> int:
    """Returns members' capacity in the group's units."""
    return sum(member.weight for member in members)


def survey(engine: Engine, group: Group, refresh: Refresh) -> Survey:
    """Returns what there is to do; also takes in members that no longer are what the refresh wants."""
    _take_in(engine, group, refresh)
    live = [member for member in group.members if member.state in LIVE]
    wanted = [member for member in live if member.instance_id in refresh.originals]
    ready, unready = [], []
    for member in live:
        new = member.instance_id not in refresh.before
        if _is_ready(engine, group, refresh, member, new=new):
            ready.append(member)
        elif new and member.state in COUNTED and member.instance_id not in refresh.originals:
            unready.append(member)
    blocked = [member for member in wanted if _blocks(refresh, member)]
    candidates = [member for member in wanted if member not in blocked and not _ignored(refresh, member)]
    serving = {member.instance_id for member in ready}
    candidates.sort(key=lambda member: (member.instance_id in serving, member.launched_at))
    present = {member.instance_id for member in live}
    return Survey(
        candidates=tuple(candidates),
        blocked=tuple(blocked),
        ready=tuple(ready),
        unready=tuple(unready),
        leaving=tuple(
            member
            for member in group.members
            if member.instance_id in refresh.terminated and member.state not in LIVE
        ),
        capacity=weight(member for member in live if member.state in COUNTED),
        desired=group.desired,
        gone=len(refresh.originals - present),
    )


def _take_in(engine: Engine, group: Group, refresh: Refresh) -> None:
    """Adds what was launched before the desired version moved.

    With ``$Latest`` or ``$Default`` as the desired version, a new one that appears during the refresh has
    the already replaced instances replaced again.
    """
    desired = refresh.desired
    if refresh.status is not Status.IN_PROGRESS or desired is None or numbered(desired):
        return
    for member in group.members:
        if member.state in LIVE and not _matches(engine, group, member, desired):
            refresh.originals.add(member.instance_id)


def _matches(engine: Engine, group: Group, member: Member, configuration: Configuration) -> bool:
    try:
        return engine.matches(group, member, configuration)
    except ScalingError:
        return True  # the template is gone, so there is nothing newer


def _is_ready(engine: Engine, group: Group, refresh: Refresh, member: Member, *, new: bool) -> bool:
    if member.state != IN_SERVICE or not member.healthy:
        return False
    return not new or engine.warm(group, member, refresh.preferences.warmup)


def _blocks(refresh: Refresh, member: Member) -> bool:
    if member.state in ASIDE:
        return refresh.preferences.standby is Standby.WAIT
    return member.protected and refresh.preferences.protected is Protected.WAIT


def _ignored(refresh: Refresh, member: Member) -> bool:
    if member.state in ASIDE:
        return refresh.preferences.standby is Standby.IGNORE
    return member.protected and refresh.preferences.protected is Protected.IGNORE
