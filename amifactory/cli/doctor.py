"""``amifactory doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, pass_app
from amifactory.cli.output import print_json
from amifactory.errors import AmifactoryError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.operations.doctor import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def doctor(app: App, as_json: bool) -> ExitCode:
    """Say what is missing on this machine or account, and the command that mends it.

    With --sandbox, what the sandbox needs instead of what the account needs. Changes nothing.

    \b
    Examples:
      amifactory doctor
      amifactory --sandbox doctor
    """
    findings = []
    for finding in _findings(app):
        findings.append(finding)
        if not as_json:
            _print(finding)
    well = not any(finding.problem for finding in findings)
    if as_json:
        print_json({"ok": well, "findings": [vars(finding) for finding in findings]})
    return ExitCode.DONE if well else ExitCode.MISSING_TOOL


def _findings(app: App) -> Iterator[Finding]:
    from amifactory.operations.doctor import Finding, examine_account, examine_machine  # noqa: PLC0415

    yield from examine_machine(app.environment, sandbox=app.options.sandbox)
    try:
        configuration = app.recorded
    except AmifactoryError as error:
        yield Finding(name="factory", detail="", problem=error.message, remedy=error.hint)
        return
    yield Finding(name="factory", detail=str(configuration.root / "factory.hcl"))
    if not app.options.sandbox:
        yield from examine_account(app.workshop)


def _print(finding: Finding) -> None:
    if not finding.problem:
        click.echo(f"{click.style('ok', fg='green'):>4}  {finding.name}: {finding.detail}")
        return
    click.echo(f"{click.style('no', fg='red'):>4}  {finding.name}: {finding.problem}")
    if finding.remedy:
        click.echo(f"      {finding.remedy}")
