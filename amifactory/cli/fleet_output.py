"""How promotions, releases and fleets look: as tables, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.output import age, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from amifactory.domain.promotion import FleetPlan, Promotion
    from amifactory.domain.refusals import Refusal
    from amifactory.domain.release import Placement, Release, ReleaseState
    from amifactory.operations.fleet_status import FleetStatus, Status

PLAN_HEADERS = ("FLEET", "ARCH", "FROM", "TO", "VERSION", "WORKERS", "REPLACED BY", "ABOUT")
STATUS_HEADERS = (
    "FLEET",
    "CHANNEL",
    "RELEASE",
    "ARCH",
    "AMI",
    "VERSION",
    "WORKERS",
    "OLD",
    "ROLLOUT",
    "DRIFT",
)
RELEASE_HEADERS = ("RELEASE", "CHANNEL", "STATE", "FROM", "AGE", "FLEETS", "BY", "COMMIT")


def print_promotion(promotion: Promotion, *, err: bool) -> None:
    """Prints what will be done, a line for each fleet and launch template, then what speaks against it."""
    title = f"{promotion.kind} of channel {promotion.channel}: {promotion.source}"
    click.echo(title, err=err)
    print_table(PLAN_HEADERS, [row for plan in promotion.fleets for row in _plan_rows(plan)], err=err)
    for fleet in promotion.untouched:
        click.echo(f"stays as it is, as that release has not got it, or its group is gone: {fleet}", err=err)
    for refusal in promotion.all_refusals:
        click.echo(f"\n{click.style('Refused:', fg='red')} {refusal}", err=err)


def _plan_rows(plan: FleetPlan) -> list[tuple[str, ...]]:
    record = plan.record
    workers = f"{plan.old} of {plan.old + plan.current}" + (
        f" ({plan.protected} protected)" if plan.protected else ""
    )
    if not record.placements:
        return [(record.fleet, "", "", "", "", workers, "", "")]
    return [
        (
            record.fleet,
            placement.architecture.value,
            placement.before.ami_id,
            placement.after.ami_id if placement.before.ami_id != placement.after.ami_id else "unchanged",
            _version(placement),
            workers,
            plan.replacement.value,
            "unknown" if plan.seconds is None else f"{plan.seconds:.0f} s",
        )
        for placement in record.placements
    ]


def _version(placement: Placement) -> str:
    if placement.parameter is not None:
        return f"by {placement.parameter}"
    before, after = placement.before.version, placement.after.version
    number = f"{before}" if before == after else f"{before} -> {after or 'new'}"
    return number if placement.pointer.value == "pinned" else f"{placement.pointer.value} {number}"


def promotion_json(promotion: Promotion) -> dict[str, object]:
    """Returns a plan in the words of ``promote --dry-run --json``."""
    return {
        "kind": promotion.kind.value,
        "channel": promotion.channel,
        "source": promotion.source,
        "release": promotion.release,
        "to": promotion.to,
        "fleets": [_plan_json(plan) for plan in promotion.fleets],
        "untouched": list(promotion.untouched),
        "parameters": dict(promotion.parameters),
        "refusals": [refusal_json(refusal) for refusal in promotion.all_refusals],
    }


def _plan_json(plan: FleetPlan) -> dict[str, object]:
    return {
        "fleet": plan.record.fleet,
        "image": plan.record.image,
        "group": plan.record.group,
        "rollout": plan.record.rollout.value,
        "replacement": plan.replacement.value,
        "workers": {"current": plan.current, "old": plan.old, "protected": plan.protected},
        "seconds": plan.seconds,
        "changes": plan.moves,
        "templates": [
            {
                "architecture": placement.architecture.value,
                "launch_template": placement.template_name,
                "pointer": placement.pointer.value,
                "parameter": placement.parameter,
                "from": {"ami_id": placement.before.ami_id, "version": placement.before.version},
                "to": {"ami_id": placement.after.ami_id, "version": placement.after.version},
            }
            for placement in plan.record.placements
        ],
    }


def refusal_json(refusal: Refusal) -> dict[str, object]:
    """Returns a reason not to go on."""
    return {
        "reason": refusal.reason.value,
        "fleet": refusal.fleet,
        "message": refusal.message,
        "hint": refusal.hint,
    }


def print_status(status: Status, now: datetime) -> None:
    """Prints channels, then fleets."""
    print_table(
        ("CHANNEL", "RELEASE", "SINCE", "UNDER WAY", "LOCKED BY"),
        [
            (
                state.name,
                str(state.release or "none"),
                age(state.since, now) if state.since else "",
                f"{state.change.kind} {state.change.release}" if state.change else "",
                state.lock.owner if state.lock and state.lock.expires_at > now else "",
            )
            for state in status.channels
        ],
    )
    click.echo()
    print_table(STATUS_HEADERS, [_status_row(row) for row in status.fleets])
    for row in status.fleets:
        for difference in row.drift:
            click.echo(f"drift of {row.fleet.name}: {difference}", err=True)


def _status_row(row: FleetStatus) -> tuple[str, ...]:
    return (
        row.fleet.name,
        row.fleet.channel,
        str(row.release or ""),
        row.architecture or "",
        row.ami_id or "",
        str(row.template_version or ""),
        str(row.current),
        str(row.old),
        row.rollout,
        "yes" if row.drift else "",
    )


def status_json(status: Status) -> dict[str, object]:
    """Returns the status in the words of ``status --json``."""
    return {
        "channels": [
            {
                "name": state.name,
                "release": state.release,
                "since": state.since.isoformat() if state.since else None,
            }
            for state in status.channels
        ],
        "fleets": [
            {
                "name": row.fleet.name,
                "channel": row.fleet.channel,
                "release": row.release,
                "image": row.fleet.image,
                "architecture": row.architecture,
                "group": row.fleet.group,
                "ami_id": row.ami_id,
                "template_version": row.template_version,
                "workers": {"current": row.current, "old": row.old},
                "rollout": row.rollout,
                "drift": list(row.drift),
            }
            for row in status.fleets
        ],
    }


def print_releases(releases: Iterable[Release], current: dict[str, int | None], now: datetime) -> None:
    """Prints releases, newest first."""
    print_table(
        RELEASE_HEADERS,
        [
            (
                str(release.number),
                release.channel,
                shown_state(release, current),
                release.source,
                age(release.created_at, now),
                str(len(release.fleets)),
                release.by.rpartition("/")[2] or release.by,
                (release.commit or "")[:12],
            )
            for release in releases
        ],
    )


def shown_state(release: Release, current: dict[str, int | None]) -> str:
    """Returns a release's state; one that another has followed is ``superseded``."""
    state: ReleaseState = release.state
    if state.value == "current" and current.get(release.channel) != release.number:
        return "superseded"
    return state.value


def print_release(release: Release, state: str) -> None:
    """Prints all that is recorded of a release."""
    facts = {
        "release": str(release.number),
        "channel": release.channel,
        "state": state,
        "from": release.source,
        "made": f"{release.created_at:%Y-%m-%d %H:%M:%S} UTC by {release.by}",
        "closed": f"{release.closed_at:%Y-%m-%d %H:%M:%S} UTC" if release.closed_at else "",
        "commit": release.commit or "",
        "failure": release.failure or "",
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name + ':':<10} {value}")
    click.echo()
    print_table(
        ("FLEET", "ARCH", "FROM", "VERSION", "TO", "VERSION", "STEP", "SECONDS"),
        [
            (
                fleet.fleet,
                placement.architecture.value,
                placement.before.ami_id,
                str(placement.before.version or ""),
                placement.after.ami_id,
                str(placement.after.version or ""),
                fleet.step.value,
                "" if fleet.seconds is None else f"{fleet.seconds:.0f}",
            )
            for fleet in release.fleets
            for placement in fleet.placements
        ],
    )
