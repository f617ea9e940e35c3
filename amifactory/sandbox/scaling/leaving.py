"""How members leave their group: terminated by way of hooks, or given up before they were in service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.sandbox.scaling import activities, hooks
from amifactory.sandbox.scaling.model import TERMINATING, TERMINATING_PROCEED, TERMINATING_TRANSITION
from amifactory.sandbox.scaling.states import enter

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group, Member

ENDED = {"shutting-down", "terminated"}


def terminate(engine: Engine, group: Group, member: Member, *, cause: str) -> None:
    """Takes a member out: Terminating:Wait for its group's hooks, then EC2 terminates its instance."""
    if member.leaving:
        return
    _begin(engine, group, member, cause=cause)
    gone = engine.instance_state(group, member) in ENDED
    if gone or not hooks.hold(engine, group, member, TERMINATING_TRANSITION):
        enter(engine, member, TERMINATING)
        end_instance(engine, group, member)


def proceed(engine: Engine, group: Group, member: Member) -> None:
    """Terminates the instance of a member whose hooks have let go."""
    enter(engine, member, TERMINATING_PROCEED)
    end_instance(engine, group, member)


def give_up(
    engine: Engine, group: Group, member: Member, *, why: str, status: str = activities.CANCELLED
) -> None:
    """Terminates a member that did not get into service, without its termination hooks.

    AWS documents neither whether such an instance has to pass termination hooks nor the activity's status.
    """
    if member.launching:
        activities.end(engine, group, member.launching, status=status, message=why)
        member.launching = None
    cause = activities.at(engine, "an instance was taken out of service in response to a launch failure")
    _begin(engine, group, member, cause=cause)
    enter(engine, member, TERMINATING)
    end_instance(engine, group, member)


def end_instance(engine: Engine, group: Group, member: Member) -> None:
    """Has EC2 terminate a member's instance.

    "Termination protection does not prevent Amazon EC2 Auto Scaling from terminating an instance": EC2 user
    guide, "Change instance termination protection".
    """
    instance = engine.instance(group, member)
    if instance is None or instance.state in ENDED:
        return
    instance.disable_api_termination = False
    engine.backend(group).terminate_instances([member.instance_id])


def drop(engine: Engine, group: Group, member: Member) -> None:
    """Forgets a member whose instance has gone."""
    if member.launching:
        activities.end(engine, group, member.launching, status=activities.CANCELLED)
    if member.terminating:
        activities.end(engine, group, member.terminating)
    group.members.remove(member)
    engine.forget(member.instance_id)


def _begin(engine: Engine, group: Group, member: Member, *, cause: str) -> None:
    hooks.let_go(member)
    if member.launching:
        activities.end(engine, group, member.launching, status=activities.CANCELLED)
        member.launching = None
    member.terminating = activities.begin(
        engine,
        group,
        f"Terminating EC2 instance: {member.instance_id}",
        cause=cause,
        instance_id=member.instance_id,
    )
