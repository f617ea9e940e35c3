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

    With --sandbox, what the sandbox needs instead of what the account needs. Changes nothing. Whether
    AWS would allow a call is asked only where that takes no resource: an allowed doctor is no promise.
    Ends with the exit code that a build would end with for the first problem.

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
    code = next((finding.exit_code for finding in findings if finding.problem), ExitCode.DONE)
    if as_json:
        rows = [{**vars(finding), "exit_code": int(finding.exit_code)} for finding in findings]
        print_json({"ok": not code, "findings": rows})
    return code


def _findings(app: App) -> Iterator[Finding]:
    from amifactory.operations.doctor import (  # noqa: PLC0415
        Finding,
        examine_account,
        examine_machine,
        problem,
    )

    try:
        images = tuple(app.recorded.images.values())
        factory = Finding(name="factory", detail=str(app.root / "factory.hcl"))
    except AmifactoryError as error:
        images, factory = (), problem("factory", error)
    sandbox = app.options.sandbox
    docker = sandbox or any(image.prepull for image in images)
    yield from examine_machine(app.environment, docker=docker, sandbox=sandbox)
    yield factory
    if not sandbox and not factory.problem:
        yield from examine_account(app.workshop)


def _print(finding: Finding) -> None:
    if not finding.problem:
        click.echo(f"{click.style('ok', fg='green'):>4}  {finding.name}: {finding.detail}")
        return
    click.echo(f"{click.style('no', fg='red'):>4}  {finding.name}: {finding.problem}")
    if finding.remedy:
        click.echo(f"      {finding.remedy}")
