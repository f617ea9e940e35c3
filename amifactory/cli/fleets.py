"""``amifactory fleets``: the worker groups as AWS has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, fleet_names, pass_app
from amifactory.cli.fleet_output import refusal_json
from amifactory.cli.output import print_json, print_table
from amifactory.cli.promote import confirm, dry_run_option, yes_option

if TYPE_CHECKING:
    from amifactory.operations.inspect_fleets import InspectedFleet

HEADERS = (
    "FLEET",
    "GROUP",
    "TEMPLATE",
    "VERSION",
    "AMI",
    "ARCH",
    "WORKERS",
    "MIN",
    "MAX",
    "PROTECTS",
    "BLOCKED",
)


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def fleets(ctx: click.Context, as_json: bool) -> None:
    """Show each fleet as AWS has it, and what would stop a promotion.

    \b
    Examples:
      amifactory fleets
      amifactory fleets convert node
    """
    if ctx.invoked_subcommand is not None:
        return
    from amifactory.operations.inspect_fleets import inspect_fleets  # noqa: PLC0415

    app: App = ctx.obj
    found = inspect_fleets(app.fleet_workshop)
    if as_json:
        print_json({"fleets": [_json(fleet) for fleet in found]})
        return
    print_table(HEADERS, [row for fleet in found for row in _rows(fleet)])
    for fleet in found:
        for refusal in fleet.refusals:
            click.echo(f"\n{refusal}", err=True)
    if not found:
        app.say('No fleets yet. Add to factory.hcl: fleet "NAME" { … }')


@fleets.command()
@click.argument("name", shell_complete=fleet_names)
@dry_run_option
@yes_option
@pass_app
def convert(app: App, name: str, dry_run: bool, yes: bool) -> None:
    """Make a fleet's group that starts $Latest start that version by its number.

    What is in effect stays in effect, and running workers are left alone. If Terraform owns the group, let it
    ignore changes of the group's launch template, or it puts $Latest back.

    \b
    Examples:
      amifactory fleets convert node --dry-run
      amifactory fleets convert node
    """
    from amifactory.operations.convert_fleet import convert_fleet, plan_conversion  # noqa: PLC0415

    conversion = plan_conversion(app.fleet_workshop, name)
    if not conversion.templates:
        app.say(f"Nothing to do: {conversion.group.name} does not use $Latest.")
        return
    for template in conversion.templates:
        app.say(f"{conversion.group.name}: {template.template_name} $Latest -> {template.latest}")
    if dry_run:
        return
    confirm(app, "Do it?", yes=yes)
    convert_fleet(app.fleet_workshop, conversion)
    app.say(f"{conversion.group.name} names its launch-template versions by number now.")


def _rows(fleet: InspectedFleet) -> list[tuple[str, ...]]:
    group, settings = fleet.facts.group, fleet.settings
    blocked = ", ".join(dict.fromkeys(refusal.reason.value for refusal in fleet.refusals))
    if group is None:
        return [(settings.name, settings.group, "", "", "", "", "", "", "", "", blocked)]
    return [
        (
            settings.name,
            group.name,
            effect.use.template_name,
            effect.use.version
            if effect.use.version.isdecimal()
            else f"{effect.use.version} ({effect.number})",
            effect.ami_id or effect.image,
            effect.architecture or "",
            f"{len(group.workers)}/{group.desired}",
            str(group.smallest),
            str(group.largest),
            "yes" if group.protects_new else "no",
            blocked,
        )
        for effect in fleet.facts.in_effect
    ]


def _json(fleet: InspectedFleet) -> dict[str, object]:
    group = fleet.facts.group
    return {
        "name": fleet.settings.name,
        "channel": fleet.settings.channel,
        "image": fleet.settings.image,
        "group": fleet.settings.group,
        "exists": group is not None,
        "capacity": (
            {"desired": group.desired, "min": group.smallest, "max": group.largest} if group else None
        ),
        "suspended": sorted(group.suspended) if group else [],
        "by_attributes": group.by_attributes if group else False,
        "templates": [
            {
                "launch_template": effect.use.template_name,
                "id": effect.use.template_id,
                "version": effect.use.version,
                "number": effect.number,
                "ami_id": effect.ami_id,
                "parameter": str(effect.parameter) if effect.parameter else None,
                "architecture": effect.architecture,
            }
            for effect in fleet.facts.in_effect
        ],
        "blocked": [refusal_json(refusal) for refusal in fleet.refusals],
    }
