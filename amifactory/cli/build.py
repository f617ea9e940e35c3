"""``amifactory plan`` and ``amifactory build``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, image_names, pass_app
from amifactory.cli.output import (
    duration,
    outcome_json,
    plan_json,
    plan_rows,
    print_details,
    print_json,
    print_table,
    ready,
    shortened,
)
from amifactory.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amifactory.domain.staleness import BuildPlan
    from amifactory.operations.outcome import Outcome

PLAN_HEADERS = ("IMAGE", "ARCH", "ACTION", "FINGERPRINT", "AMI", "WHY")


@click.command()
@click.argument("images", nargs=-1, shell_complete=image_names)
@click.option("--force", is_flag=True, help="Plan to build the named images whatever exists.")
@click.option("--exit-code", is_flag=True, help="End with 3 when something is stale.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def plan(app: App, images: tuple[str, ...], force: bool, exit_code: bool, as_json: bool) -> ExitCode:
    """Show what would be built, and why. Changes nothing.

    \b
    Examples:
      amifactory plan
      amifactory plan node java
      amifactory plan --exit-code --json
    """
    from amifactory.operations.plan import plan_images  # noqa: PLC0415

    planned = plan_images(app.workshop, images, force=force)
    _print_plan(app, planned, as_json=as_json)
    return ExitCode.STALE if exit_code and planned.stale else ExitCode.DONE


@click.command()
@click.argument("images", nargs=-1, shell_complete=image_names)
@click.option("--jobs", type=click.IntRange(min=1), help="Images worked on at once.  [default: build.jobs]")
@click.option("--force", is_flag=True, help="Build the named images whatever exists.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def build(  # noqa: PLR0917 - click passes options by name
    app: App, images: tuple[str, ...], jobs: int | None, force: bool, dry_run: bool, as_json: bool
) -> ExitCode:
    """Build what is stale, and verify it on a fresh instance.

    Without names, all images. A child starts the moment its parent is verified. Ctrl-C lets Packer
    clean up; a second one does not wait.

    \b
    Examples:
      amifactory build
      amifactory build node java --jobs 2
      amifactory build node --force
    """
    from amifactory.cli.interrupt import cancellation  # noqa: PLC0415
    from amifactory.operations.build import apply_builds  # noqa: PLC0415
    from amifactory.operations.outcome import exit_code  # noqa: PLC0415
    from amifactory.operations.plan import plan_images  # noqa: PLC0415

    planned = plan_images(app.workshop, images, force=force)
    if dry_run:
        _print_plan(app, planned, as_json=as_json)
        return ExitCode.DONE
    with cancellation(app.say) as cancelled, app.progress() as progress:
        outcomes = apply_builds(
            app.workshop,
            planned,
            run=app.run_id,
            jobs=jobs or app.configuration.factory.build.jobs,
            progress=progress,
            cancelled=cancelled,
        )
    code = exit_code(outcomes)
    if as_json:
        print_json({"ok": not code, "builds": [outcome_json(outcome) for outcome in outcomes]})
    else:
        _print_outcomes(outcomes)
    return cancelled.exit_code or code


def _print_plan(app: App, planned: BuildPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(plan_json(planned, app.workshop.session.region))
        return
    print_table(PLAN_HEADERS, plan_rows(planned))
    click.echo()
    click.echo(f"{len(planned.stale)} of {len(planned.steps)} to do." if planned.stale else "Nothing to do.")


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    headers = ("IMAGE", "ARCH", "RESULT", "AMI", "BUILD", "VERIFY", "READY", "WHY")
    print_table(
        headers,
        [
            (
                outcome.target.image,
                outcome.target.architecture.value,
                outcome.result.value,
                outcome.ami_id or "",
                duration(outcome.build_seconds),
                duration(outcome.verify_seconds),
                ready(outcome),
                shortened(outcome.reasons, 1),
            )
            for outcome in outcomes
        ],
    )
    for outcome in outcomes:
        print_details(outcome)
