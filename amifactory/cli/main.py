"""Entry point: global options, and commands that are imported when they are first used."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from amifactory.cli.app import App, Options
from amifactory.errors import AmifactoryError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = {
    "plan": ("build", "Show what would be built, and why."),
    "build": ("build", "Build and verify what is stale; or the named images."),
    "images": ("images", "List the builds that exist."),
    "verify": ("verify", "Prove the newest build once more, on a fresh instance."),
    "report": ("report", "Show all that is known of a build, or write it as a page."),
    "diff": ("diff", "Show what changed from one build to another."),
    "promote": ("promote", "Put verified builds into service, in all fleets of a channel."),
    "rollback": ("promote", "Make an earlier release a channel's current one again."),
    "status": ("status", "Show channels and fleets: release, workers, rollout, drift."),
    "releases": ("releases", "List the releases there have been; show or compare them."),
    "fleets": ("fleets", "Show each fleet as AWS has it, with what would stop a promotion."),
    "unlock": ("promote", "Take a channel's lock away from a run that does not end."),
    "validate": ("validate", "Check factory, images, templates and specs."),
    "init": ("init", "Make a factory of your own."),
    "doctor": ("doctor", "Say what is missing on this machine or account."),
    "sandbox": ("sandbox", "Control the local AWS."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
}
"""Command to module and summary: the summary stands here so that ``--help`` imports no command."""


GLOBAL_OPTIONS = ("-C", "--directory", "--sandbox", "--profile")


class Commands(click.Group):
    """A group whose commands live in modules that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command's module and returns the command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"amifactory.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggests the command that a mistyped one is nearest to."""
        if args and args[0] not in COMMANDS:
            from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f' Did you mean "{close[0]}"?' if close else ""
            ctx.fail(f'no such command "{args[0]}".{hint}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version  # noqa: PLC0415 - only when asked

        click.echo(f"amifactory {version('amifactory')}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Run as if started in this directory.",
)
@click.option(
    "--sandbox", is_flag=True, envvar="AMIFACTORY_SANDBOX", help="Use the local AWS; no account needed."
)
@click.option("--profile", envvar="AWS_PROFILE", help="AWS profile to use.")
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context, directory: Path, sandbox: bool, profile: str | None) -> None:
    """Build machine images for autoscaled CI workers, and prove that they work.

    \b
    Try it without an AWS account:
      amifactory --sandbox plan
      amifactory --sandbox build
      amifactory --sandbox images
    """
    ctx.color = _color(os.environ)
    ctx.obj = App(
        Options(directory=directory, sandbox=sandbox, profile=profile), environment=dict(os.environ)
    )


def main() -> NoReturn:
    """Runs the command line and exits with one of `ExitCode`."""
    # Nearly all that is made lives to the end; looking for garbage as often as by default takes 40-80 ms.
    gc.set_threshold(50_000)
    try:
        code = cli(standalone_mode=False)
    except AmifactoryError as error:
        report(error)
        code = error.exit_code
    except click.Abort:
        code = ExitCode.INTERRUPTED
    except click.NoSuchOption as error:
        hint = f" It stands before the command: amifactory {error.option_name} COMMAND"
        known = error.option_name in GLOBAL_OPTIONS
        click.UsageError(error.format_message() + (hint if known else ""), ctx=error.ctx).show()
        code = ExitCode.USAGE
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED
    sys.exit(int(code or 0))


def report(error: AmifactoryError) -> None:
    """Says on stderr what went wrong and what to do next."""
    for line in error.message.splitlines():
        prefix = click.style("Error:", fg="red", bold=True)
        click.echo(f"{prefix} {line}", err=True, color=_color(os.environ))
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def _color(environment: Mapping[str, str]) -> bool | None:
    """Returns False where no colour is wanted (https://no-color.org), None where it depends on the stream."""
    return False if environment.get("NO_COLOR") or environment.get("TERM") == "dumb" else None
