"""Capacity: as many members as desired, no more and no fewer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling import activities, hooks, leaving, templates
from amifactory.sandbox.scaling.model import TERMINATING
from amifactory.sandbox.scaling.states import enter

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group, Member

AT_ONCE = 20
"""Launches in one step, so that a step stays short."""


def reconcile(engine: Engine, group: Group) -> None:
    """Launches or terminates towards the desired capacity and what an active refresh wants more."""
    if group.deleting:
        _empty(engine, group)
        return
    wanted = group.desired + group.surge
    if group.capacity < wanted:
        _grow(engine, group, wanted)
    elif group.capacity > wanted and "Terminate" not in group.suspended:
        _shrink(engine, group, wanted)


def victims(engine: Engine, group: Group) -> list[Member]:
    """Returns the members that scale-in may take, the one to go first at the front.

    User guide, "Configure termination policies": first the zone with the most instances, then the
    policies in turn; instances that are protected are not taken.
    """
    free = [member for member in group.members if member.counts and not member.protected]
    zones = Counter(member.zone for member in group.members if member.counts)
    ranks = [RANKS[policy](engine, group) for policy in group.termination_policies if policy in RANKS]

    def rank(member: Member) -> tuple[Any, ...]:
        return (-zones[member.zone], *(rank(member) for rank in ranks), member.launched_at)

    return sorted(free, key=rank)


def _grow(engine: Engine, group: Group, wanted: int) -> None:
    for _ in range(AT_ONCE):
        blocked = "Launch" in group.suspended or engine.clock.now() < group.retry_at
        if blocked or group.capacity >= wanted:
            return
        before = group.capacity
        what = (
            "an instance was started in response to a difference between desired and actual capacity, "
            f"increasing the capacity from {before} to {before + 1}"
        )
        cause = " ".join(filter(None, [group.because, activities.at(engine, what)]))
        if engine.launch(group, cause=cause) is None:
            return


def _shrink(engine: Engine, group: Group, wanted: int) -> None:
    while group.capacity > wanted:
        victim = next(
            (member for member in victims(engine, group) if group.capacity - member.weight >= wanted), None
        )
        if victim is None:
            return
        before = group.capacity
        what = (
            "an instance was taken out of service in response to a difference between desired and actual "
            f"capacity, shrinking the capacity from {before} to {before - victim.weight}"
        )
        cause = " ".join(filter(None, [group.because, activities.at(engine, what)]))
        leaving.terminate(engine, group, victim, cause=cause)


def _empty(engine: Engine, group: Group) -> None:
    """Ends everything of a group that is being deleted, outstanding lifecycle actions included."""
    for member in group.members:
        if member.state != TERMINATING:
            cause = activities.at(engine, "the group was deleted")
            leaving.terminate(engine, group, member, cause=cause)
            enter(engine, member, TERMINATING)
            hooks.let_go(member)
            leaving.end_instance(engine, group, member)


def _oldest_template(engine: Engine, group: Group) -> Callable[[Member], tuple[bool, int]]:
    """Those of another template go before those of the current one, and lower versions before higher ones."""
    current = templates.specification_of(group.configuration)["LaunchTemplateId"]
    del engine
    return lambda member: (member.template_id == current, member.template_version)


RANKS: dict[str, Callable[[Engine, Group], Callable[[Member], Any]]] = {
    "Default": _oldest_template,
    "OldestLaunchTemplate": _oldest_template,
    "OldestInstance": lambda _, __: lambda member: member.launched_at,
    "NewestInstance": lambda _, __: lambda member: -member.launched_at,
}
