"""How far an instance refresh is, and what it says it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.sandbox.scaling.model import IN_SERVICE
from amifactory.sandbox.scaling.refresh_batches import WHOLE
from amifactory.sandbox.scaling.refresh_survey import ASIDE

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.refresh_state import Refresh
    from amifactory.sandbox.scaling.refresh_survey import Survey

WARMING_UP = "Waiting for instances to warm up before continuing. For example: {} is warming up."
"""User guide, "Monitor an instance refresh": the one status reason that AWS documents."""

NOT_AVAILABLE = "Waiting for remaining instances to be available. For example: {}"
"""As users report it, with what the instance lacks."""


def note(refresh: Refresh, found: Survey) -> None:
    """Updates PercentageComplete and InstancesToUpdate.

    An instance is updated once its replacement is healthy and warm; none to update does not mean that
    warm-up is over. In a rollback the percentage "gradually goes back down to zero", and InstancesToUpdate
    stays at what the refresh had not updated (API reference, InstanceRefresh).
    """
    done = updated(refresh, found)
    if refresh.rollback is not None:
        left = found.total - done
        refresh.percent = refresh.rollback.percent * left // found.total if found.total else 0
        return
    refresh.to_update = found.remaining
    refresh.percent = WHOLE * done // found.total if found.total else WHOLE


def updated(refresh: Refresh, found: Survey) -> int:
    """Returns how many members have been replaced by ready ones."""
    if found.settled:
        return found.gone
    ready = {member.instance_id for member in found.ready} - refresh.before - refresh.originals
    return min(found.gone, len(ready))


def reached(refresh: Refresh, found: Survey) -> int | None:
    """Returns the highest checkpoint reached by now, if any, and crosses it off with all below it.

    A replacement that passes several checkpoints stops at the last of them only (user guide, "Add
    checkpoints to an instance refresh"). A checkpoint once reached is not reached again when the group
    grows, which on AWS it may be.
    """
    done = updated(refresh, found)
    passed = [percent for percent in refresh.checkpoints if done * WHOLE >= percent * found.total]
    if not passed or not found.total:
        return None
    refresh.checkpoints = refresh.checkpoints[len(passed) :]
    return passed[-1]


def checkpoint_reason(percent: int) -> str:
    """Returns what the status says while a checkpoint holds the refresh."""
    return f"Checkpoint of {percent} percent reached. Waiting for the checkpoint delay before continuing."


def waiting_for(found: Survey) -> str | None:
    """Returns what the status says while instances are being replaced."""
    warming = [member for member in found.unready if member.state == IN_SERVICE and member.healthy]
    if warming:
        return WARMING_UP.format(warming[0].instance_id)
    if found.unready:
        lack = f"{found.unready[0].instance_id} has insufficient data to evaluate its health with Amazon EC2."
        return NOT_AVAILABLE.format(lack)
    if found.leaving:
        return NOT_AVAILABLE.format(f"{found.leaving[0].instance_id} is terminating.")
    if found.blocked and not found.candidates:
        return NOT_AVAILABLE.format(_hindrance(found))
    return None


def _hindrance(found: Survey) -> str:
    member = found.blocked[0]
    if member.state in ASIDE:
        return f"{member.instance_id} is in Standby. Move it back to InService to continue."
    return f"{member.instance_id} is protected. Remove instance scale-in protection to continue."
