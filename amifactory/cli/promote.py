"""``amifactory promote``, ``rollback`` and ``unlock``."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

from amifactory.cli.app import App, channel_names, pass_app
from amifactory.cli.fleet_output import print_promotion, print_release, promotion_json
from amifactory.cli.output import print_json
from amifactory.errors import ExitCode, FailedChangeError, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from amifactory.domain.promotion import Promotion
    from amifactory.domain.release import ChangeKind, Release
    from amifactory.operations.change_channel import Author, ChannelChange

channel_option = click.option(
    "--channel", metavar="NAME", required=True, shell_complete=channel_names, help="The channel to change."
)
yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
resume_option = click.option("--resume", is_flag=True, help="Go on with one that was cut off.")
parallel_option = click.option(
    "--parallel",
    type=click.IntRange(min=1, max=32),
    default=4,
    show_default=True,
    help="Fleets changed at once.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document: the release.")


@click.command()
@channel_option
@click.option(
    "--from", "source", metavar="NAME", shell_complete=channel_names, help="Take what that channel runs."
)
@click.option("--release", type=int, metavar="NUMBER", help="Take what that release has.")
@click.option(
    "--accept-drift", is_flag=True, help="Go on from what AWS has, where it differs from the release."
)
@parallel_option
@resume_option
@dry_run_option
@yes_option
@json_option
@pass_app
def promote(
    app: App,
    /,
    *,
    channel: str,
    source: str | None,
    release: int | None,
    accept_drift: bool,
    **options: Any,
) -> ExitCode:
    """Put verified builds into service: one release for all fleets of a channel, or none.

    Shows the plan, asks, and does it: canary fleets first, then the others. Whatever fails puts every
    fleet back. Running it again goes on with a run that was cut off.

    \b
    Examples:
      amifactory promote --channel staging
      amifactory promote --channel production --from staging
      amifactory promote --channel production --release 41 --yes
    """
    from amifactory.domain.release import ChangeKind  # noqa: PLC0415
    from amifactory.operations.promote import PromotionRequest, plan_promotion  # noqa: PLC0415

    if source is not None and release is not None:
        raise UsageError("--from and --release cannot both be given")
    request = PromotionRequest(channel=channel, source=source, release=release, accept_drift=accept_drift)
    return _carry_out(
        app,
        channel,
        ChangeKind.PROMOTE,
        plan=lambda: plan_promotion(app.fleet_workshop, request),
        apply=lambda change, promotion: change.promote(promotion),
        **options,
    )


@click.command()
@channel_option
@click.option("--to", type=int, metavar="NUMBER", help="An older release.  [default: the one before]")
@parallel_option
@resume_option
@dry_run_option
@yes_option
@json_option
@pass_app
def rollback(
    app: App,
    /,
    *,
    channel: str,
    to: int | None,
    **options: Any,
) -> ExitCode:
    """Make an earlier release the channel's current one again, in all of its fleets.

    \b
    Examples:
      amifactory rollback --channel production
      amifactory rollback --channel production --to 39 --yes
    """
    from amifactory.domain.release import ChangeKind  # noqa: PLC0415
    from amifactory.operations.rollback import plan_rollback  # noqa: PLC0415

    return _carry_out(
        app,
        channel,
        ChangeKind.ROLLBACK,
        plan=lambda: plan_rollback(app.fleet_workshop, channel, to=to),
        apply=lambda change, promotion: change.roll_back(promotion),
        **options,
    )


@click.command()
@click.argument("channel", shell_complete=channel_names)
@click.option("--reason", required=True, help="Why; it is kept with the channel.")
@yes_option
@pass_app
def unlock(app: App, channel: str, reason: str, yes: bool) -> None:
    """Take a channel's lock away from a run that does not end. It stops at its next step.

    \b
    Example:
      amifactory unlock production --reason "the CI runner was terminated"
    """
    lock = app.fleet_workshop.channels.state(channel).lock
    if lock is None:
        app.say(f"channel {channel} is not locked")
        return
    confirm(app, f"Take the lock of channel {channel} away from {lock.owner}?", yes=yes)
    app.fleet_workshop.channels.unlock(channel, by=app.session.identity(), reason=reason)
    app.say(f"channel {channel} is unlocked; it was held by {lock.owner}")


def _carry_out(
    app: App,
    channel: str,
    kind: ChangeKind,
    *,
    plan: Callable[[], Promotion],
    apply: Callable[[ChannelChange, Promotion], Release | None],
    parallel: int,
    resume: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> ExitCode:
    """Plans, shows, asks and applies; goes on with an unfinished change of the same kind instead."""
    from amifactory.cli.interrupt import cancellation  # noqa: PLC0415
    from amifactory.domain.cancellation import CancelledError  # noqa: PLC0415
    from amifactory.domain.release import ChangeKind  # noqa: PLC0415
    from amifactory.operations.approval import approve  # noqa: PLC0415
    from amifactory.operations.change_channel import ChannelChange  # noqa: PLC0415
    from amifactory.operations.resume import plan_resume, unfinished  # noqa: PLC0415

    going_on = unfinished(app.fleet_workshop, channel, kind) or resume
    back = kind is ChangeKind.ROLLBACK
    promotion = plan_resume(app.fleet_workshop, channel, give_up=back) if going_on else plan()
    _show(promotion, dry_run=dry_run, as_json=as_json)
    if promotion.all_refusals:
        raise RefusedError(
            f"channel {channel} was not changed: {len(promotion.all_refusals)} reason(s) above"
        )
    if dry_run:
        return ExitCode.DONE
    if not promotion.moves and not going_on:
        app.say("Nothing to do.")
        return ExitCode.DONE
    confirm(app, f"Do it in channel {channel}?", yes=yes)
    approve(app.fleet_workshop, promotion)
    with cancellation(app.say) as cancelled, app.fleet_progress() as progress:
        change = ChannelChange(
            workshop=app.fleet_workshop,
            author=_author(app),
            progress=progress,
            cancelled=cancelled,
            parallel=parallel,
        )
        if going_on:
            taken_back = back and promotion.kind is ChangeKind.PROMOTE
            apply = ChannelChange.give_up if taken_back else ChannelChange.resume
        try:
            release = apply(change, promotion)
        except CancelledError:
            _say_how_to_go_on(app, kind, channel)
            return cancelled.exit_code or ExitCode.INTERRUPTED
        except FailedChangeError as error:
            if as_json and error.release is not None:
                print_json(app.fleet_workshop.releases.get(error.release).as_json())
            raise
    _print_release(release, channel, as_json=as_json)
    return ExitCode.DONE


def _say_how_to_go_on(app: App, kind: ChangeKind, channel: str) -> None:
    app.say(f"Stopped half-way. Go on: amifactory {kind} --channel {channel} --resume")
    if kind.value == "promote":
        app.say(f"Or take it back: amifactory rollback --channel {channel}")


def _show(promotion: Promotion, *, dry_run: bool, as_json: bool) -> None:
    if dry_run and as_json:
        print_json(promotion_json(promotion))
    else:
        print_promotion(promotion, err=not dry_run)


def _print_release(release: Release | None, channel: str, *, as_json: bool) -> None:
    if as_json:
        print_json(release.as_json() if release else None)
    elif release is None:
        click.echo(f"channel {channel} is back to what it started before its first release")
    else:
        print_release(release, "current")


def confirm(app: App, question: str, *, yes: bool) -> None:
    """Asks, unless told not to.

    Raises:
        RefusedError: There is nobody to ask.
        click.Abort: The answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError("nothing was changed: there is no terminal to ask on", hint="Add: --yes")
    click.confirm(question, abort=True, err=True)


def _author(app: App) -> Author:
    from amifactory.operations.change_channel import Author  # noqa: PLC0415

    try:
        person = getpass.getuser()
    except (KeyError, OSError):
        person = str(os.getuid())
    return Author(
        owner=f"{person}@{socket.gethostname()} (process {os.getpid()}, run {app.run_id})",
        by=app.session.identity(),
        commit=_commit(app.root),
    )


def _commit(root: Path) -> str | None:
    """Returns the Git commit of a folder, ``-dirty`` when files differ from it; None outside Git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
