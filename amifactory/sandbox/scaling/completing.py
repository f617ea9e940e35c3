"""The end of lifecycle actions: completed by a call, or by their hook's default result.

User guide, "How lifecycle hooks work"; API reference, CompleteLifecycleAction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.sandbox.scaling import hooks, leaving
from amifactory.sandbox.scaling.model import (
    LAUNCHING_TRANSITION,
    PENDING_PROCEED,
    PENDING_WAIT,
    TERMINATING_TRANSITION,
)
from amifactory.sandbox.scaling.states import enter

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group, Member

CONTINUE, ABANDON = "CONTINUE", "ABANDON"


def complete(engine: Engine, group: Group, member: Member, result: str, *, why: str | None = None) -> None:
    """Lets a member go on (CONTINUE), or gives its launch up (ABANDON).

    "If the instance is terminating, both ABANDON and CONTINUE allow the instance to terminate. However,
    ABANDON stops any remaining actions, such as other lifecycle hooks, while CONTINUE allows any other
    lifecycle hooks to complete": user guide, "How lifecycle hooks work".
    """
    token, launching = member.token, member.state == PENDING_WAIT
    member.passed_hooks.add(str(member.hook))
    hooks.let_go(member)
    if result == CONTINUE and hooks.hold(
        engine, group, member, LAUNCHING_TRANSITION if launching else TERMINATING_TRANSITION
    ):
        return
    if not launching:
        leaving.proceed(engine, group, member)
    elif result == CONTINUE:
        enter(engine, member, PENDING_PROCEED)
    else:
        reason = why or "Lifecycle Action Completed with ABANDON Result"
        leaving.give_up(
            engine,
            group,
            member,
            why="Instance failed to complete user's Lifecycle Action: "
            f"Lifecycle Action with token {token} was abandoned: {reason}",
        )


def lapse(engine: Engine, group: Group) -> None:
    """Completes the actions of hooks that were not heard of in time, by their default results."""
    now = engine.clock.now()
    for member in list(group.members):
        if member.lapses_at is not None and member.lapses_at <= now:
            hook = group.hooks.get(str(member.hook))
            result = hook.default_result if hook else ABANDON
            complete(engine, group, member, result, why="Heartbeat Timeout")
