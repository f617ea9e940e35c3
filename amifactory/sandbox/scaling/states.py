"""A member's state, and what its instance's metadata says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.sandbox.scaling.model import COUNTED, ENTERING_STANDBY, STANDBY

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Member


def enter(engine: Engine, member: Member, state: str) -> None:
    """Puts a member into a state; its instance's ``autoscaling/target-lifecycle-state`` follows."""
    member.state = state
    engine.world.notices.targets[member.instance_id] = target(state)


def target(state: str) -> str:
    """Returns the state that one in this state is on the way to.

    User guide, "Retrieve the target lifecycle state through instance metadata".
    """
    if state in COUNTED:
        return "InService"
    return "Standby" if state in {STANDBY, ENTERING_STANDBY} else "Terminated"
