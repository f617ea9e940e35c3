"""``amifactory verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, image_names, pass_app
from amifactory.cli.output import duration, outcome_json, print_details, print_json, print_table, ready

if TYPE_CHECKING:
    from amifactory.errors import ExitCode

HEADERS = ("IMAGE", "ARCH", "RESULT", "AMI", "TIME", "READY", "REPORT")


@click.command()
@click.argument("images", nargs=-1, shell_complete=image_names)
@click.option("--jobs", type=click.IntRange(min=1), help="Builds worked on at once.  [default: build.jobs]")
@click.option(
    "--repeat",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    help="Fresh instances of each build. The first is looked at, the others only started, to measure.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def verify(app: App, images: tuple[str, ...], jobs: int | None, repeat: int, as_json: bool) -> ExitCode:
    """Prove the newest build once more, on a fresh instance.

    Without names, of all images. The verdict tag says afterwards what this run found. With --repeat, the
    times it takes to start are the median of so many fresh instances, and the report has the 95th percentile.

    \b
    Examples:
      amifactory verify node
      amifactory verify node --repeat 5
      amifactory --sandbox verify --json
    """
    from amifactory.cli.interrupt import cancellation  # noqa: PLC0415
    from amifactory.operations.outcome import exit_code  # noqa: PLC0415
    from amifactory.operations.reverify import verify_newest  # noqa: PLC0415

    with cancellation(app.say) as cancelled, app.progress() as progress:
        outcomes = verify_newest(
            app.workshop,
            images,
            run=app.run_id,
            repeat=repeat,
            jobs=jobs or app.configuration.factory.build.jobs,
            progress=progress,
            cancelled=cancelled,
        )
    code = exit_code(outcomes)
    if as_json:
        print_json({"ok": not code, "builds": [outcome_json(outcome) for outcome in outcomes]})
        return cancelled.exit_code or code
    rows = [
        (
            outcome.target.image,
            outcome.target.architecture.value,
            outcome.result.value,
            outcome.ami_id or "",
            duration(outcome.verify_seconds),
            ready(outcome),
            str(outcome.report or ""),
        )
        for outcome in outcomes
    ]
    print_table(HEADERS, rows)
    for outcome in outcomes:
        print_details(outcome)
    return cancelled.exit_code or code
