"""Health gates: what has to hold after a fleet's rollout, or the fleet goes back."""

from __future__ import annotations

import json
import subprocess
from statistics import median
from typing import TYPE_CHECKING

from amifactory.domain.fleet import is_of
from amifactory.operations.move_fleet import MoveError, versions_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from amifactory.config.models import Health
    from amifactory.domain.fleet import Group
    from amifactory.domain.release import FleetRecord
    from amifactory.operations.move_fleet import Moves

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""What a health command gets of our environment."""
TOLD_CHARACTERS = 500
"""How much of what a failing command printed is told."""


def check_health(moves: Moves, record: FleetRecord, group: Group, *, last_boot: float | None = None) -> None:
    """Raises unless a fleet is as well as its configuration asks for.

    Args:
        moves: How the fleet was moved.
        record: Where it was moved to.
        group: Its group as it is now.
        last_boot: Seconds from launch to service under the last release, if known.

    Raises:
        MoveError: It is not; the message says which gate.
        LostLockError: The channel's lock is somebody else's.
        AwsError: A call was refused.
    """
    fleet = moves.workshop.configuration.fleets.get(record.fleet)
    if fleet is None:
        return
    _check_alarms(moves, record, fleet.health.alarms)
    if fleet.health.workers is not None and fleet.health.duration is not None and not group.empty:
        _wait_for_workers(moves, record, fleet.health)
    if fleet.health.slower_by is not None and last_boot is not None:
        _check_boot(moves, record, fleet.health.slower_by, last_boot)
    if fleet.health.command:
        _run_command(moves, record, fleet.health.command)
    _check_alarms(moves, record, fleet.health.alarms)


def _check_alarms(moves: Moves, record: FleetRecord, alarms: Sequence[str]) -> None:
    states = moves.workshop.alarms.states(alarms)
    for name in alarms:
        if name not in states:
            raise MoveError(f"fleet {record.fleet}: there is no CloudWatch alarm {name}")
        if states[name] == "ALARM":
            raise MoveError(f"fleet {record.fleet}: CloudWatch alarm {name} is in alarm")


def _wait_for_workers(moves: Moves, record: FleetRecord, health: Health) -> None:
    """Waits until enough workers of the new version have been in service for long enough."""
    workshop, wanted = moves.workshop, health.workers or 0
    lasting = health.duration.total_seconds() if health.duration else 0.0
    deadline = workshop.clock() + moves.deadline(record.fleet).total_seconds()
    seen: dict[str, float] = {}
    while True:
        moves.check()
        now = workshop.clock()
        up = _in_service(moves, record)
        seen = {worker: seen.get(worker, now) for worker in up}
        steady = sum(now - since >= lasting for since in seen.values())
        if steady >= wanted:
            return
        if now >= deadline:
            raise MoveError(
                f"fleet {record.fleet}: {steady} of {wanted} new workers stayed up for {lasting:.0f} s"
            )
        moves.say(record.fleet, f"waiting for {wanted} new workers to stay up for {lasting:.0f} s")
        workshop.pause(workshop.polling_seconds)


def _in_service(moves: Moves, record: FleetRecord) -> list[str]:
    wanted = versions_of(record)
    return [
        worker.instance_id
        for worker in moves.group_of(record).workers
        if worker.state == "InService" and is_of(worker, wanted)
    ]


def _check_boot(moves: Moves, record: FleetRecord, slower_by: float, last: float) -> None:
    new = set(_in_service(moves, record))
    seconds = moves.workshop.scaling_groups.boot_seconds(record.group, new) if new else ()
    if seconds and median(seconds) > last * (1 + slower_by):
        raise MoveError(
            f"fleet {record.fleet}: new workers take {median(seconds):.0f} s from launch to service, "
            f"{last:.0f} s under the last release"
        )


def _run_command(moves: Moves, record: FleetRecord, command: Sequence[str]) -> None:
    moves.say(record.fleet, f"running {command[0]}")
    facts = {
        "fleet": record.fleet,
        "image": record.image,
        "group": record.group,
        "change": moves.label,
        "amis": sorted({placement.after.ami_id for placement in record.placements}),
    }
    failure = run_program(
        command,
        folder=moves.workshop.configuration.root,
        environment=moves.workshop.environment,
        facts=facts,
        seconds=moves.deadline(record.fleet).total_seconds(),
    )
    if failure:
        raise MoveError(f"fleet {record.fleet}: {command[0]} {failure}")


def run_program(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    facts: object,
    seconds: float,
) -> str | None:
    """Runs a program of the factory's with facts as JSON on standard input.

    Returns:
        None when it succeeded, else in words how it failed.
    """
    kept = {name: environment[name] for name in KEPT_VARIABLES if name in environment}
    try:
        done = subprocess.run(
            list(command),
            cwd=folder,
            env=kept,
            input=json.dumps(facts),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds:.0f} s"
    except OSError as error:
        return f"could not be run: {error.strerror}"
    if done.returncode == 0:
        return None
    said = (done.stderr or done.stdout).strip()[-TOLD_CHARACTERS:]
    return f"failed ({done.returncode})" + (f": {said}" if said else "")
