"""SuspendProcesses and ResumeProcesses. User guide, "Suspend and resume processes"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling.activities import FORMAT
from amifactory.sandbox.scaling.errors import validation_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.scaling.calls import Call

PROCESSES = frozenset(
    {
        "AddToLoadBalancer",
        "AlarmNotification",
        "AZRebalance",
        "HealthCheck",
        "InstanceRefresh",
        "Launch",
        "ReplaceUnhealthy",
        "ScheduledActions",
        "Terminate",
    }
)


def suspend(call: Call) -> dict[str, Any]:
    """SuspendProcesses: those named, or all."""
    group, reason = call.group(), f"User suspended at {call.engine.clock.utc().strftime(FORMAT)}"
    for name in _named(call):
        group.suspended.add(name)
        group.suspensions.setdefault(name, reason)
    return {}


def resume(call: Call) -> dict[str, Any]:
    """ResumeProcesses: those named, or all."""
    group = call.group()
    for name in _named(call):
        group.suspended.discard(name)
        group.suspensions.pop(name, None)
    call.engine.step(group)
    return {}


def _named(call: Call) -> list[str]:
    named = call.given.get("ScalingProcesses") or sorted(PROCESSES)
    if unknown := sorted(set(named) - PROCESSES):
        raise validation_error(f"{unknown[0]} is not a valid scaling process.")
    return list(named)


OPERATIONS: dict[str, Callable[[Call], dict[str, Any]]] = {
    "ResumeProcesses": resume,
    "SuspendProcesses": suspend,
}
