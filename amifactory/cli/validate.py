"""``amifactory validate``."""

from __future__ import annotations

import click

from amifactory.cli.app import App, pass_app
from amifactory.cli.output import print_json
from amifactory.errors import ConfigError, ExitCode


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def validate(app: App, as_json: bool) -> ExitCode:
    """Check factory, images, templates and specs. Needs no AWS and no Docker.

    Every problem is reported, with its file and line, not just the first.

    \b
    Examples:
      amifactory validate
      amifactory -C my-factory validate --json
    """
    from amifactory.config.templates import check_templates  # noqa: PLC0415
    from amifactory.operations.checks import check_contexts  # noqa: PLC0415
    from amifactory.operations.secrets import secret_warnings  # noqa: PLC0415

    try:
        configuration = app.recorded
        templates = check_templates(configuration, grammar_cache=app.grammar_cache)
        problems = (*templates, *check_contexts(configuration))
    except ConfigError as error:
        problems = error.problems
    warnings = [] if problems else list(secret_warnings(configuration, configuration.images))
    if as_json:
        rows = [{"file": str(one.file), "line": one.line, "message": one.message} for one in problems]
        print_json({"ok": not problems, "problems": rows, "warnings": warnings})
        return ExitCode.USAGE if problems else ExitCode.DONE
    if problems:
        raise ConfigError(problems)
    for warning in warnings:
        app.say(f"Warning: {warning}")
    names = ", ".join(configuration.images)
    click.echo(f"{app.root / 'factory.hcl'} and {len(configuration.images)} images are valid: {names}")
    return ExitCode.DONE
