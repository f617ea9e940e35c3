"""Lifecycle hooks: what holds a member in Pending:Wait or Terminating:Wait.

User guide, "How lifecycle hooks work" and "Amazon EC2 Auto Scaling lifecycle hooks"; API reference,
RecordLifecycleActionHeartbeat, LifecycleHook. Of several hooks for one
transition one is waited for after the other; AWS does not say in which order.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from amifactory.sandbox.scaling.model import (
    LAUNCHING_TRANSITION,
    PENDING_WAIT,
    TERMINATING_TRANSITION,
    TERMINATING_WAIT,
)
from amifactory.sandbox.scaling.states import enter

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group, Member

LONGEST_WAIT = 48 * 3600
MOST_HEARTBEATS = 100
"""API reference, LifecycleHook: GlobalTimeout is 48 hours or 100 times HeartbeatTimeout, the smaller one."""
WAITING = {LAUNCHING_TRANSITION: PENDING_WAIT, TERMINATING_TRANSITION: TERMINATING_WAIT}


def global_timeout(heartbeat_timeout: int) -> int:
    """Returns for how many seconds an instance can be held at most."""
    return min(LONGEST_WAIT, MOST_HEARTBEATS * heartbeat_timeout)


def hold(engine: Engine, group: Group, member: Member, transition: str) -> bool:
    """Has the next hook of a transition hold a member; returns whether there is one."""
    for hook in group.hooks.values():
        if hook.transition == transition and hook.name not in member.passed_hooks:
            now = engine.clock.now()
            member.hook, member.token = hook.name, str(uuid.uuid4())
            member.lapses_at = now + hook.heartbeat_timeout
            member.held_until = now + global_timeout(hook.heartbeat_timeout)
            enter(engine, member, WAITING[transition])
            return True
    return False


def heartbeat(engine: Engine, group: Group, member: Member) -> None:
    """Gives the hook that holds a member its time anew, the global timeout excepted."""
    hook = group.hooks[str(member.hook)]
    again = engine.clock.now() + hook.heartbeat_timeout
    member.lapses_at = min(again, member.held_until or again)


def let_go(member: Member) -> None:
    """Forgets the hook that holds a member."""
    member.hook = member.token = member.lapses_at = member.held_until = None
