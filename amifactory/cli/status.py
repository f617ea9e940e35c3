"""``amifactory status``."""

from __future__ import annotations

import time

import click

from amifactory.cli.app import App, now, pass_app
from amifactory.cli.fleet_output import print_status, status_json
from amifactory.cli.output import print_json

WATCH_SECONDS = 5


@click.command()
@click.option("--watch", is_flag=True, help="Show it anew every few seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def status(app: App, watch: bool, as_json: bool) -> None:
    """Show channels and fleets: release, AMI, version, workers, rollout, drift.

    \b
    Examples:
      amifactory status
      amifactory status --watch
      amifactory status --json
    """
    from amifactory.operations.fleet_status import read_status  # noqa: PLC0415

    while True:
        found = read_status(app.fleet_workshop)
        if watch and not as_json:
            click.clear()
        if as_json:
            print_json(status_json(found))
        else:
            print_status(found, now())
        if not watch:
            return
        time.sleep(WATCH_SECONDS)
