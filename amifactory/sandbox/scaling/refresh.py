"""Instance refresh: replaces a group's instances in batches, one small step at a time.

Rules: user guide, "How an instance refresh works in an Auto Scaling group", "Add checkpoints to an instance
refresh", "Undo changes with a rollback", "Suspend and resume processes"; API reference, RefreshPreferences.
AWS documents the status reason of a warm-up only; the other texts say the same in our words.

A step decides which members go and how many more than desired there may be (`Group.surge`); launching what
is missing is the engine's own work, since members that are being terminated do not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.sandbox.scaling.refresh_batches import WHOLE, bounds
from amifactory.sandbox.scaling.refresh_patience import problem
from amifactory.sandbox.scaling.refresh_progress import checkpoint_reason, note, reached, waiting_for
from amifactory.sandbox.scaling.refresh_state import Patience, Refresh, Rollback, Status, active
from amifactory.sandbox.scaling.refresh_survey import ASIDE, LIVE, STARTING, survey, weight

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.model import Group, Member
    from amifactory.sandbox.scaling.refresh_survey import Engine, Survey

__all__ = ["Refresh", "active", "cancel", "roll_back", "step"]

PAUSING = frozenset({"InstanceRefresh", "Launch", "Terminate"})
"""Without these processes a refresh pauses, untold (user guide, "Suspend and resume processes")."""

LONGEST = 14 * 24 * 3600
"""Seconds for which a refresh may actively replace instances (user guide, limitations)."""

ALARM = "ALARM"


def step(engine: Engine, group: Group) -> None:
    """Moves the group's active refresh on, if there is one; never waits."""
    refresh = active(group)
    if refresh is None:
        return
    if refresh.status is Status.CANCELLING:
        _cancelling(engine, group, refresh)
    elif group.suspended & PAUSING:
        refresh.patience.rest()
    elif refresh.status is Status.PENDING:
        _begin(engine, group, refresh)
    elif refresh.status is Status.IN_PROGRESS:
        _replacing(engine, group, refresh)
    elif refresh.status is Status.BAKING:
        _baking(engine, group, refresh)
    else:
        _rolling_back(engine, group, refresh)


def cancel(engine: Engine, group: Group, refresh: Refresh, *, wait: bool) -> None:
    """Stops a refresh or rollback where it is: a mixed fleet and the old configuration remain.

    Args:
        wait: Whether it stays ``Cancelling`` until launches and terminations under way have ended
            (API reference, CancelInstanceRefresh, WaitForTransitioningInstances).
    """
    refresh.status, refresh.status_reason = (
        Status.CANCELLING,
        "Waiting for in-flight launches and terminations.",
    )
    group.pending_configuration = None
    if wait and refresh.started_at is not None:
        _cancelling(engine, group, refresh)
    else:
        _finish(engine, group, refresh, Status.CANCELLED, "Cancelled due to user request.")


def roll_back(engine: Engine, group: Group, refresh: Refresh, *, reason: str) -> None:
    """Begins to replace what was launched since the refresh began, by the saved configuration."""
    live = {member.instance_id for member in group.members if member.state in LIVE}
    began = refresh.started_at is not None
    refresh.rollback = Rollback(
        reason=reason, started_at=engine.clock.utc(), percent=refresh.percent, to_update=refresh.to_update
    )
    refresh.originals = live - refresh.before if began else set()
    refresh.before = live
    refresh.status, refresh.status_reason = Status.ROLLBACK_IN_PROGRESS, reason
    refresh.started_at = refresh.started_at or engine.clock.utc()
    refresh.checkpoints, refresh.hold_until, refresh.bake_until = (), None, None
    refresh.patience = Patience()
    group.pending_configuration = None
    # at once: until the surplus goes, the group would scale in, and that takes old members too
    if not group.suspended & PAUSING:
        _rolling_back(engine, group, refresh)


def _begin(engine: Engine, group: Group, refresh: Refresh) -> None:
    preferences = refresh.preferences
    live = [member for member in group.members if member.state in LIVE]
    wanted = refresh.desired or group.configuration
    refresh.before = {member.instance_id for member in live}
    refresh.originals = {
        member.instance_id
        for member in live
        if not (preferences.skip_matching and engine.matches(group, member, wanted))
    }
    refresh.checkpoints = preferences.checkpoints
    refresh.started_at, refresh.started = engine.clock.utc(), engine.clock.now()
    refresh.status = Status.IN_PROGRESS
    _replacing(engine, group, refresh)


def _replacing(engine: Engine, group: Group, refresh: Refresh) -> None:
    now = engine.clock.now()
    trouble = _alarm(engine, group, refresh)
    if trouble is None and now - refresh.started >= LONGEST:
        trouble = "The instance refresh took longer than 14 days."
    if trouble is not None:
        _fail(engine, group, refresh, trouble)
        return
    found = survey(engine, group, refresh)
    note(refresh, found)
    if not _held(engine, group, refresh, found):
        _go_on(engine, group, refresh, found)


def _held(engine: Engine, group: Group, refresh: Refresh, found: Survey) -> bool:
    """Returns whether a checkpoint holds the refresh now."""
    now = engine.clock.now()
    if refresh.hold_until is None:
        percent = reached(refresh, found)
        if percent is None or percent == WHOLE:
            return False
        refresh.hold_until = now + refresh.preferences.checkpoint_delay
        refresh.status_reason = checkpoint_reason(percent)
    group.surge = 0
    if now < refresh.hold_until:
        return True
    refresh.hold_until = None
    return False


def _go_on(engine: Engine, group: Group, refresh: Refresh, found: Survey) -> None:
    """Ends a refresh that has nothing left to do or cannot do it; otherwise replaces the next batch.

    After checkpoints that end below 100 it is over too, and successful, which AWS documents only by "to
    replace all instances in the Auto Scaling group, the last number in the array must be 100".
    """
    partial = refresh.preferences.checkpoints and not refresh.checkpoints
    if partial or found.total == 0 or (found.remaining == 0 and found.settled):
        _bake(engine, group, refresh, found)
        return
    trouble = problem(group, refresh, found, now=engine.clock.now())
    if trouble is not None:
        _fail(engine, group, refresh, trouble)
        return
    refresh.status_reason = waiting_for(found)
    _replace_batch(engine, group, refresh, found)


def _replace_batch(engine: Engine, group: Group, refresh: Refresh, found: Survey) -> None:
    """Terminates as many members as may go now, and says how many may be launched ahead of others.

    Replacements are paced "to honor the specified checkpoint percentages" (user guide, "Add checkpoints").
    """
    waiting = list(found.candidates)
    if refresh.checkpoints:
        before_checkpoint = max(1, -(-found.total * refresh.checkpoints[0] // WHOLE)) - found.gone
        waiting = waiting[: max(0, before_checkpoint)]
    heaviest = max((member.weight for member in waiting), default=1)
    room = bounds(refresh.preferences, desired=group.desired, heaviest=heaviest)
    spare = weight(found.ready) - room.floor
    if room.surge == 0:  # terminations under way are a part of the batch
        spare = min(spare, group.desired - room.floor - weight(found.leaving))
    serving = {member.instance_id for member in found.ready}
    for member in list(waiting):
        cost = member.weight if member.instance_id in serving else 0
        if cost > max(0, spare):
            break
        spare -= cost
        _terminate(engine, group, refresh, member)
        waiting.remove(member)
    group.surge = min(room.surge, weight(waiting))


def _terminate(engine: Engine, group: Group, refresh: Refresh, member: Member) -> None:
    at = engine.clock.utc().strftime("%Y-%m-%dT%H:%M:%SZ")
    cause = f"At {at} an instance was taken out of service in response to an instance refresh."
    refresh.terminated.add(member.instance_id)
    engine.terminate(group, member, cause=cause)


def _bake(engine: Engine, group: Group, refresh: Refresh, found: Survey) -> None:
    group.surge = 0
    if refresh.preferences.bake and found.total:
        refresh.status = Status.BAKING
        refresh.bake_until = engine.clock.now() + refresh.preferences.bake
        refresh.status_reason = f"Waiting for the bake time of {refresh.preferences.bake} seconds."
    else:
        _succeed(engine, group, refresh)


def _baking(engine: Engine, group: Group, refresh: Refresh) -> None:
    trouble = _alarm(engine, group, refresh)
    if trouble is not None:
        _fail(engine, group, refresh, trouble)
    elif refresh.bake_until is not None and engine.clock.now() >= refresh.bake_until:
        _succeed(engine, group, refresh)


def _rolling_back(engine: Engine, group: Group, refresh: Refresh) -> None:
    found = survey(engine, group, refresh)
    note(refresh, found)
    if found.remaining == 0 and found.settled:
        _finish(engine, group, refresh, Status.ROLLBACK_SUCCESSFUL, None)
        return
    trouble = problem(group, refresh, found, now=engine.clock.now())
    if trouble is not None:
        _finish(engine, group, refresh, Status.ROLLBACK_FAILED, trouble)
        return
    refresh.status_reason = waiting_for(found)
    _replace_batch(engine, group, refresh, found)


def _cancelling(engine: Engine, group: Group, refresh: Refresh) -> None:
    present = [member for member in group.members if member.state in LIVE]
    starting = any(member.state in STARTING for member in present)
    leaving = any(
        member.instance_id in refresh.terminated and member.state not in LIVE for member in group.members
    )
    if starting or leaving:
        working = weight(member for member in present if member.state not in ASIDE)
        group.surge = max(0, working - group.desired)
    else:
        _finish(engine, group, refresh, Status.CANCELLED, "Cancelled due to user request.")


def _alarm(engine: Engine, group: Group, refresh: Refresh) -> str | None:
    """Returns what is wrong when an alarm of the refresh is in ALARM.

    INSUFFICIENT_DATA and a missing alarm are not; AWS does not document either, nor that an alarm in ALARM
    before the refresh began fails it at once.
    """
    for name in refresh.preferences.alarms:
        if engine.alarm_state(group, name) == ALARM:
            return f"The CloudWatch alarm {name} went into ALARM state."
    return None


def _fail(engine: Engine, group: Group, refresh: Refresh, reason: str) -> None:
    if refresh.preferences.auto_rollback:
        roll_back(engine, group, refresh, reason=f"Automatic rollback: {reason}")
    else:
        _finish(engine, group, refresh, Status.FAILED, reason)


def _succeed(engine: Engine, group: Group, refresh: Refresh) -> None:
    """Ends a refresh and saves the desired configuration, which nothing but success does."""
    refresh.percent = WHOLE
    if refresh.desired is not None:
        group.configuration = refresh.desired
    _finish(engine, group, refresh, Status.SUCCESSFUL, None)


def _finish(engine: Engine, group: Group, refresh: Refresh, status: Status, reason: str | None) -> None:
    refresh.status, refresh.status_reason = status, reason
    refresh.ended_at, refresh.ended = engine.clock.utc(), engine.clock.now()
    refresh.hold_until = refresh.bake_until = None
    group.pending_configuration = None
    group.surge = 0
    _drop_surplus(engine, group, refresh)


def _drop_surplus(engine: Engine, group: Group, refresh: Refresh) -> None:
    """Terminates what was launched ahead and is not ready: scale-in could take the ones in service for it."""
    for member in survey(engine, group, refresh).unready:
        if group.capacity - member.weight >= group.desired:
            _terminate(engine, group, refresh, member)
