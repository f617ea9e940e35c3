"""How results look: tables and JSON on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from amifactory.domain.model import Build, Target
    from amifactory.domain.staleness import BuildPlan, Step
    from amifactory.operations.outcome import Outcome

COLORS = {
    "verified": "green",
    "built": "green",
    "adopted": "green",
    "reused": "cyan",
    "reuse": "cyan",
    "build": "yellow",
    "verify": "yellow",
    "candidate": "yellow",
    "rejected": "red",
    "failed": "red",
    "skipped": "magenta",
}


def print_json(document: object) -> None:
    """Prints one JSON document."""
    click.echo(json.dumps(document, indent=2))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, err: bool = False) -> None:
    """Prints aligned columns, on stderr if wanted; known words are coloured on a terminal."""
    lines = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for number, line in enumerate(lines):
        cells = [
            _styled(cell, number) + " " * (width - len(cell))
            for cell, width in zip(line, widths, strict=True)
        ]
        click.echo("  ".join(cells).rstrip(), err=err)


def _styled(cell: str, number: int) -> str:
    if number == 0:
        return click.style(cell, bold=True)
    return click.style(cell, fg=COLORS[cell]) if cell in COLORS else cell


def printable(text: str) -> str:
    """Returns text that comes from an instance without what could steer a terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def short_fingerprint(fingerprint: str) -> str:
    """Returns as much of a fingerprint as people compare."""
    return fingerprint[:12]


def age(created_at: datetime, now: datetime) -> str:
    """Returns how long ago something was, in its largest unit: ``45s``, ``12m``, ``5h``, ``3d``."""
    seconds = max(0, int((now - created_at).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def duration(seconds: float) -> str:
    """Returns a wall time for a table: ``0:42``, ``12:05``; empty for none."""
    if not seconds:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def ready(outcome: Outcome) -> str:
    """Returns how long fresh instances took until they were ready for jobs, for a table."""
    seconds = outcome.cold_start.ready if outcome.cold_start else None
    return "" if seconds is None else f"{seconds:.1f}s"


def plan_rows(plan: BuildPlan) -> list[tuple[str, ...]]:
    """Returns a table row for each step."""
    return [
        (
            step.target.image,
            step.target.architecture.value,
            step.action.value,
            short_fingerprint(step.wanted.fingerprint),
            step.build.ami_id if step.build else "",
            shortened(step.reasons, 3),
        )
        for step in plan.steps
    ]


def shortened(reasons: Sequence[str], shown: int) -> str:
    """Returns the first reasons, and how many more there are."""
    more = f", and {len(reasons) - shown} more" if len(reasons) > shown else ""
    return ", ".join(reasons[:shown]) + more


def plan_json(plan: BuildPlan, region: str) -> dict[str, object]:
    """Returns a plan in the words of ``plan --json``."""
    steps = {step.target: step for step in plan.steps}
    return {"steps": [_step_json(step, steps, region) for step in plan.steps]}


def _step_json(step: Step, steps: Mapping[Target, Step], region: str) -> dict[str, object]:
    source, above = step.wanted.source, step.wanted.parent
    parent = steps[above].build if above else None
    return {
        "image": step.target.image,
        "architecture": step.target.architecture.value,
        "region": region,
        "ami_id": step.build.ami_id if step.build else None,
        "fingerprint": step.wanted.fingerprint,
        "parent": source.ami_id if source else parent.ami_id if parent else None,
        "action": step.action.value,
        "reasons": list(step.reasons),
    }


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """Returns an outcome in the words of ``build --json``."""
    return {
        "image": outcome.target.image,
        "architecture": outcome.target.architecture.value,
        "region": outcome.region,
        "ami_id": outcome.ami_id,
        "fingerprint": outcome.fingerprint,
        "parent": outcome.parent,
        "action": outcome.result.value,
        "reasons": list(outcome.reasons),
        "seconds": {"build": round(outcome.build_seconds, 1), "verify": round(outcome.verify_seconds, 1)},
        "cold_start": outcome.cold_start.as_json() if outcome.cold_start else None,
        "levers": [lever.as_json() for lever in outcome.levers],
        "log": str(outcome.log) if outcome.log else None,
        "report": str(outcome.report) if outcome.report else None,
        "error": outcome.error,
        "left_out": list(outcome.left_out),
    }


def build_json(build: Build) -> dict[str, object]:
    """Returns a build in the words of ``images --json``."""
    return {
        "image": build.target.image,
        "architecture": build.target.architecture.value,
        "region": build.region,
        "ami_id": build.ami_id,
        "fingerprint": build.fingerprint,
        "parent": build.parent,
        "verdict": build.verdict.value,
        "created_at": build.created_at.isoformat(),
        "offline": build.offline,
        "carries_secret": list(build.carries_secret),
    }


def print_details(outcome: Outcome) -> None:
    """Says on stderr what a table has no room for: what was left out, what went wrong, the log."""
    for tool in outcome.left_out:
        click.echo(f"{outcome.target}: left out offline: {tool}", err=True)
    if outcome.error:
        click.echo(f"\n{outcome.target} {outcome.result}: {outcome.error}", err=True)
        if outcome.report:
            click.echo(f"  more: amifactory report {outcome.ami_id}", err=True)
        for lever in outcome.levers:
            click.echo(f"  what could help: {lever.name} (price: {lever.price}): {lever.helps}", err=True)
        if outcome.log and str(outcome.log) not in outcome.error:
            click.echo(f"  log: {outcome.log}", err=True)
