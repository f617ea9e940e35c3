"""What EC2 says of a group's instances, and what follows from it: into service, or out and replaced.

User guide, "Health checks for instances in an Auto Scaling group": an instance whose state is other than
running is unhealthy at once, grace period or not; instances in standby are not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.sandbox.scaling import activities, leaving
from amifactory.sandbox.scaling.model import IN_SERVICE, PENDING, PENDING_PROCEED, STANDBY
from amifactory.sandbox.scaling.states import enter

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group, Member

FINE = {"pending", "running"}
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds of the clock before a failed launch is tried again, and at most; AWS documents no times."""


def follow(engine: Engine, group: Group) -> None:
    """Looks at every member's instance once."""
    for member in list(group.members):
        state = engine.instance_state(group, member)
        if member.leaving:
            if state == "terminated":
                leaving.drop(engine, group, member)
        elif member.state in {PENDING, PENDING_PROCEED} and state == "running":
            into_service(engine, group, member)
        elif member.state != STANDBY:
            _check(engine, group, member, state)


def into_service(engine: Engine, group: Group, member: Member) -> None:
    """Puts a member into service; its warm-up begins."""
    enter(engine, member, IN_SERVICE)
    member.in_service_at = engine.clock.now()
    group.failures = 0
    if member.launching:
        activities.end(engine, group, member.launching)
        member.launching = None


def launch_failed(engine: Engine, group: Group) -> None:
    """Has the group wait before it launches again, longer each time."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**group.failures)
    group.failures += 1
    group.retry_at = engine.clock.now() + pause


def _check(engine: Engine, group: Group, member: Member, state: str) -> None:
    if member.launching and state not in FINE:
        _fail(engine, group, member)
        return
    if state not in FINE and "HealthCheck" not in group.suspended:
        member.healthy = False
    if not group.suspended.isdisjoint({"ReplaceUnhealthy", "Terminate"}):
        return
    if member.healthy:
        _check_age(engine, group, member)
    else:
        what = "an EC2 health check indicating it has been terminated or stopped"
        if state in FINE:
            what = "a user health-check"
        cause = activities.at(engine, f"an instance was taken out of service in response to {what}")
        leaving.terminate(engine, group, member, cause=cause)


def _fail(engine: Engine, group: Group, member: Member) -> None:
    """Gives a launch up whose instance ended before it was in service."""
    instance = engine.instance(group, member)
    reason = instance.state_reason.message if instance is not None else None
    why = "Instance became unhealthy while waiting for instance to be in InService state."
    if reason:
        why += f" Termination Reason: {reason}"
    leaving.give_up(engine, group, member, why=why, status=activities.FAILED)
    launch_failed(engine, group)


def _check_age(engine: Engine, group: Group, member: Member) -> None:
    """Replaces what has been in service for MaxInstanceLifetime seconds: API reference, AutoScalingGroup."""
    longest, since = group.other.get("MaxInstanceLifetime"), member.in_service_at
    if longest and since is not None and engine.clock.now() - since >= longest:
        what = "an instance was taken out of service in response to its maximum lifetime"
        leaving.terminate(engine, group, member, cause=activities.at(engine, what))
