"""``amifactory releases``: the history of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, channel_names, now, pass_app
from amifactory.cli.fleet_output import print_release, print_releases, shown_state
from amifactory.cli.output import print_json, print_table

if TYPE_CHECKING:
    from amifactory.domain.release import Release


@click.group(invoke_without_command=True)
@click.option("--channel", metavar="NAME", shell_complete=channel_names, help="Of that channel only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def releases(ctx: click.Context, channel: str | None, as_json: bool) -> None:
    """List the releases there have been, newest first.

    \b
    Examples:
      amifactory releases --channel production
      amifactory releases show 41
      amifactory releases diff 40 41
    """
    if ctx.invoked_subcommand is not None:
        return
    app: App = ctx.obj
    found = [
        release for release in reversed(app.workshop.releases.all()) if channel in {None, release.channel}
    ]
    current = _current(app)
    if as_json:
        print_json({"releases": [_json(release, current) for release in found]})
        return
    print_releases(found, current, now())
    if not found:
        app.say("No releases yet. Run: amifactory promote --channel NAME")


@releases.command()
@click.argument("number", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def show(app: App, number: int, as_json: bool) -> None:
    """Show all that is recorded of a release.

    \b
    Example:
      amifactory releases show 41
    """
    release, current = app.workshop.releases.get(number), _current(app)
    if as_json:
        print_json(_json(release, current))
    else:
        print_release(release, shown_state(release, current))


@releases.command()
@click.argument("before", type=int)
@click.argument("after", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def diff(app: App, before: int, after: int, as_json: bool) -> None:
    """Show in which AMIs two releases differ. What is in them: amifactory diff AMI AMI.

    \b
    Example:
      amifactory releases diff 40 41
    """
    old, new = (app.workshop.releases.get(number).amis() for number in (before, after))
    changes = [
        (image, architecture.value, old.get((image, architecture)), new.get((image, architecture)))
        for image, architecture in sorted(old.keys() | new.keys())
        if old.get((image, architecture)) != new.get((image, architecture))
    ]
    if as_json:
        keys = ("image", "architecture", "from", "to")
        print_json({"changes": [dict(zip(keys, change, strict=True)) for change in changes]})
        return
    print_table(
        ("IMAGE", "ARCH", f"RELEASE {before}", f"RELEASE {after}"),
        [
            (image, architecture, one or "none", other or "none")
            for image, architecture, one, other in changes
        ],
    )
    if not changes:
        app.say("The same AMIs.")


def _current(app: App) -> dict[str, int | None]:
    channels = app.workshop.channels
    return {known.name: channels.state(known.name).release for known in app.configuration.channels}


def _json(release: Release, current: dict[str, int | None]) -> dict[str, object]:
    return {**release.as_json(), "state": shown_state(release, current)}
