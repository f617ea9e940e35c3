"""``amifactory sandbox``: the local AWS, by hand; ``--sandbox`` starts it without being told."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, pass_app
from amifactory.cli.output import print_json, print_table
from amifactory.errors import MissingToolError, UsageError

if TYPE_CHECKING:
    from amifactory.sandbox.lifecycle import Machine, SandboxStatus

HEADERS = ("INSTANCE", "STATE", "ADDRESS", "NAME")
NOTICE_OPTIONS: dict[str, set[str]] = {
    "spot": {"after", "action"},
    "rebalance": set(),
    "termination": {"hook", "group", "heartbeat_timeout"},
}
"""Which options of ``notify`` go with which event."""


@click.group()
def sandbox() -> None:
    """Control the local AWS: real instances in containers, no account.

    \b
    Examples:
      amifactory sandbox up
      amifactory sandbox status
      amifactory sandbox down
    """


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def up(app: App, as_json: bool) -> None:
    """Start the sandbox of this factory, unless it runs.

    \b
    Examples:
      amifactory sandbox up
      eval "$(amifactory sandbox up)" && aws ec2 describe-images --owners self
    """
    state = app.sandbox
    if as_json:
        print_json(asdict(state))
        return
    click.echo(f"export AWS_ENDPOINT_URL={state.endpoint}")
    click.echo(f"export AWS_ACCESS_KEY_ID={state.access_key_id}")
    click.echo(f"export AWS_SECRET_ACCESS_KEY={state.secret_access_key}")
    click.echo(f"export AWS_REGION={state.region}")
    click.echo(f"export AWS_DEFAULT_REGION={state.region}")


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@pass_app
def status(app: App, as_json: bool) -> None:
    """Say whether the sandbox runs, where, and which instances are in it.

    \b
    Examples:
      amifactory sandbox status
      amifactory sandbox status --json
    """
    from amifactory.sandbox.lifecycle import status as sandbox_status  # noqa: PLC0415

    found = sandbox_status(app.root)
    if as_json:
        print_json(_status_json(found))
        return
    if found.state is None:
        click.echo("The sandbox does not run. Start it: amifactory sandbox up")
        return
    state = found.state
    print_table(
        ("SANDBOX", "AWS ENDPOINT", "REGISTRY", "NETWORK"),
        [(state.id, state.endpoint, state.registry, state.subnet)],
    )
    click.echo()
    print_table(
        HEADERS,
        [
            (machine.instance_id, machine.state, machine.private_ip, machine.name)
            for machine in found.instances
        ],
    )


def _status_json(found: SandboxStatus) -> dict[str, object]:
    return {
        "running": found.running,
        "state": asdict(found.state) if found.state else None,
        "instances": [asdict(machine) for machine in found.instances],
        "log": str(found.log),
    }


@sandbox.command()
@click.argument("instance_id", metavar="ID")
@click.argument("command", nargs=-1)
@pass_app
def shell(app: App, instance_id: str, command: tuple[str, ...]) -> None:
    """Open a root shell in an instance, or run a command there. The first letters of an ID are enough.

    \b
    Examples:
      amifactory sandbox shell i-0123
      amifactory sandbox shell i-0123 -- docker images
    """
    from amifactory.sandbox.names import Names  # noqa: PLC0415

    machine = _instance(app, instance_id)
    docker = shutil.which("docker")
    if docker is None:
        raise MissingToolError(
            "the docker program is not installed",
            hint="sudo apt-get install docker-cli || sudo apt-get install docker.io",
        )
    terminal = ["--tty"] if os.isatty(0) else []
    inside = list(command) or ["su", "--login"]
    container = Names.of(app.root).instance(machine.instance_id)
    os.execv(docker, [docker, "exec", "--interactive", *terminal, container, *inside])  # noqa: S606


@sandbox.command()
@click.argument("instance_id", metavar="[ID]", required=False)
@pass_app
def logs(app: App, instance_id: str | None) -> None:
    """Print what the sandbox's server has logged, or an instance's console.

    \b
    Examples:
      amifactory sandbox logs
      amifactory sandbox logs i-0123
    """
    from amifactory.sandbox.lifecycle import console  # noqa: PLC0415
    from amifactory.sandbox.state import StateFolder  # noqa: PLC0415

    if instance_id is not None:
        click.echo(console(app.root, _instance(app, instance_id).instance_id))
        return
    log = StateFolder(root=app.root).log_file
    if not log.exists():
        raise UsageError("the sandbox has never run here", hint="amifactory sandbox up")
    click.echo(log.read_text(errors="replace"), nl=False)


def _instance(app: App, prefix: str) -> Machine:
    from amifactory.sandbox.lifecycle import status as sandbox_status  # noqa: PLC0415

    matches = [
        machine for machine in sandbox_status(app.root).instances if machine.instance_id.startswith(prefix)
    ]
    if len(matches) != 1:
        several = "more than one instance" if matches else "no instance"
        raise UsageError(f"{several} in the sandbox is called {prefix}…", hint="amifactory sandbox status")
    return matches[0]


@sandbox.command()
@click.argument("instance_id", metavar="ID")
@click.argument("event", type=click.Choice(list(NOTICE_OPTIONS)))
@click.option("--after", metavar="SECONDS", type=float, help="spot: when it comes; as on AWS: 120.")
@click.option("--action", type=click.Choice(["terminate", "stop"]), help="spot: what it does.")
@click.option(
    "--hook", metavar="NAME", help="termination: the lifecycle hook that is waited for; none: at once."
)
@click.option("--group", metavar="NAME", help="termination: the group the instance is to be in.")
@click.option(
    "--heartbeat-timeout", metavar="SECONDS", type=int, help="termination: how long the hook may be silent."
)
@pass_app
def notify(app: App, /, instance_id: str, event: str, **options: object) -> None:
    """Tell an instance that it will be taken away, as AWS does; then take it away, as AWS does.

    \b
    spot         a Spot interruption notice, and two minutes later the interruption
    rebalance    a rebalance recommendation, and nothing else
    termination  its group terminates it, once its lifecycle hook lets it go

    A worker of a group that exists is held by that group's own hook, and replaced: --group, --hook and
    --heartbeat-timeout do not count then.

    \b
    Examples:
      amifactory sandbox notify i-0123 spot
      amifactory sandbox notify i-0123 spot --after 20 --action stop
      amifactory sandbox notify i-0123 rebalance
      amifactory sandbox notify i-0123 termination --hook drain --group workers
      amifactory sandbox shell i-0123 -- journalctl --follow --unit amifactory-drain
    """
    from amifactory.sandbox.admin import give_notice  # noqa: PLC0415

    given = {name: value for name, value in options.items() if value is not None}
    for name in sorted(given.keys() - NOTICE_OPTIONS[event]):
        raise UsageError(
            f"--{name.replace('_', '-')} does not go with {event}", hint="amifactory sandbox notify --help"
        )
    machine = _instance(app, instance_id)
    print_json(give_notice(app.root, instance_id=machine.instance_id, event=event, **given))


@sandbox.command()
@pass_app
def down(app: App) -> None:
    """End the sandbox and remove all it made: instances, AMIs, networks, volumes, images.

    \b
    Example:
      amifactory sandbox down
    """
    from amifactory.sandbox.lifecycle import down as end_sandbox  # noqa: PLC0415
    from amifactory.sandbox.lifecycle import status as sandbox_status  # noqa: PLC0415

    for machine in sandbox_status(app.root).instances:
        if machine.state == "running":
            app.say(f"ending a running instance: {machine.instance_id} {machine.name}".rstrip())
    end_sandbox(app.root)
    if not (app.root / "factory.hcl").exists():
        raise UsageError(f"{app.root} has no factory.hcl; if a sandbox ran for this folder, it is gone now")
    click.echo("The sandbox is down; nothing of it is left.", err=True)
