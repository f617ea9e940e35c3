"""Scaling activities: what a group did, why, and what became of it. Newest last.

Texts follow those in the user guide, "Verify a scaling activity for an Auto Scaling group" and
"Troubleshoot issues in Amazon EC2 Auto Scaling".
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from amifactory.sandbox.scaling.model import Activity

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group

FORMAT = "%Y-%m-%dT%H:%M:%SZ"
KEPT = 1000
DONE = 100

SUCCESSFUL, FAILED, CANCELLED = "Successful", "Failed", "Cancelled"


def at(engine: Engine, what: str) -> str:
    """Returns a sentence of a cause: ``At <time> <what>.``"""
    return f"At {engine.clock.utc().strftime(FORMAT)} {what}."


def begin(
    engine: Engine, group: Group, description: str, *, cause: str, instance_id: str | None = None
) -> Activity:
    """Returns a new activity, InProgress."""
    activity = Activity(
        activity_id=str(uuid.uuid4()),
        group=group.name,
        description=description,
        cause=cause,
        started_at=engine.clock.utc(),
        instance_id=instance_id,
    )
    group.activities.append(activity)
    del group.activities[:-KEPT]
    return activity


def end(
    engine: Engine,
    group: Group,
    activity: Activity,
    *,
    status: str = SUCCESSFUL,
    message: str | None = None,
) -> None:
    """Ends an activity; a message is also appended to its description, as AWS does."""
    activity.status, activity.message, activity.progress = status, message, DONE
    activity.ended_at = engine.clock.utc()
    if message:
        activity.description += f".  Status Reason: {message}"
    group.scaled_at = engine.clock.now()
