"""How long an instance refresh bears with what it cannot change: one hour.

"When an instance refresh is unable to continue making replacements because it is waiting to replace
instances on standby or protected from scale in, or the new instances do not pass their health checks, [it]
keeps retrying for an hour. […] If the problem persists after an hour, the operation fails" (user guide,
"How an instance refresh works", limitations). The hour is the sandbox's clock's. Neither a warm-up nor a
lifecycle hook that holds an instance is such a problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.model import Group
    from amifactory.sandbox.scaling.refresh_state import Refresh
    from amifactory.sandbox.scaling.refresh_survey import Survey

HOUR = 3600
"""Seconds."""


def problem(group: Group, refresh: Refresh, found: Survey, *, now: float) -> str | None:
    """Returns what has kept a refresh from going on for an hour; None while it may go on trying."""
    patience = refresh.patience
    patience.blocked = _since(patience.blocked, now=now, still=_only_waits(found))
    patience.short = _since(patience.short, now=now, still=found.capacity < group.desired + group.surge)
    _watch_new_ones(refresh, found, now)
    problems = {
        "instances that are protected from scale in or in Standby were waited for": patience.blocked,
        "instances could not be launched": patience.short,
        "new instances did not become healthy": patience.troubled,
    }
    for what, since in problems.items():
        if since is not None and now - since >= HOUR:
            return f"The instance refresh could not continue: {what} for one hour."
    return None


def _since(since: float | None, *, now: float, still: bool) -> float | None:
    if not still:
        return None
    return now if since is None else since


def _only_waits(found: Survey) -> bool:
    return bool(found.blocked) and not found.candidates and found.settled


def _watch_new_ones(refresh: Refresh, found: Survey, now: float) -> None:
    """Notes when new instances fail, until one of them becomes ready."""
    patience = refresh.patience
    unproven = {member.instance_id for member in found.unready}
    ready = {member.instance_id for member in found.ready} - refresh.before
    lost = patience.unproven - unproven - ready - refresh.terminated - refresh.originals
    if ready - patience.proven:
        patience.troubled = None
    elif lost or any(not member.healthy for member in found.unready):
        patience.troubled = _since(patience.troubled, now=now, still=True)
    patience.unproven = unproven
    patience.proven |= ready
