"""``amifactory diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, pass_app
from amifactory.cli.complete import build_names
from amifactory.cli.output import build_json, print_json
from amifactory.domain.model import Architecture
from amifactory.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amifactory.domain.comparison import BuildFacts, Change, Comparison, Measurement


@click.command()
@click.argument("builds", metavar="BUILD [BUILD]", nargs=-1, required=True, shell_complete=build_names)
@click.option(
    "--architecture",
    type=click.Choice([architecture.value for architecture in Architecture]),
    help="Which builds are meant, of an image that is built for several.",
)
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, for a merge request.")
@click.option("--exit-code", is_flag=True, help="End with 3 when the builds differ.")
@pass_app
def diff(
    app: App, builds: tuple[str, ...], architecture: str | None, form: str | None, exit_code: bool
) -> ExitCode:
    """Show what changed from one build to another.

    BUILD is an AMI id, or an image for its newest build. One BUILD is compared with the one before it; two
    are compared in the order given. Builds whose verification took no inventory are passed over.

    Packages, tools, container images, users, ports, units and the spec's outcomes decide whether builds
    differ, and the recipes they were made from; what was measured does not.

    \b
    Examples:
      amifactory diff node
      amifactory diff ami-0123456789abcdef0 node
      amifactory diff node --markdown >> merge-request.md
      amifactory diff node --json --exit-code
    """
    from amifactory.operations.compare import compare_builds  # noqa: PLC0415

    if len(builds) > 2:  # noqa: PLR2004
        raise click.UsageError(f"one or two builds are compared, not {len(builds)}")
    workshop = app.workshop
    comparison = compare_builds(
        workshop.configuration,
        workshop.machine_images.builds(workshop.factory),
        workshop.bucket,
        builds,
        architecture=Architecture(architecture) if architecture else None,
    )
    for facts in (comparison.before, comparison.after):
        for problem in facts.inventory.problems:
            app.say(f"The inventory of {facts.build.ami_id} is not complete: {problem}")
    _print(comparison, form)
    return ExitCode.STALE if exit_code and comparison.is_different else ExitCode.DONE


def _print(comparison: Comparison, form: str | None) -> None:
    from amifactory.cli.diff_markdown import markdown  # noqa: PLC0415
    from amifactory.cli.diff_table import print_comparison  # noqa: PLC0415

    if form == "json":
        print_json(comparison_json(comparison))
    elif form == "markdown":
        click.echo(markdown(comparison))
    else:
        print_comparison(comparison)


def comparison_json(comparison: Comparison) -> dict[str, object]:
    """Returns a comparison in the words of ``diff --json``."""
    return {
        "different": comparison.is_different,
        "before": _facts_json(comparison.before),
        "after": _facts_json(comparison.after),
        "recipe": list(comparison.recipe),
        **{name.replace(" ", "_"): _changes_json(found) for name, found in comparison.sections.items()},
        "cold_start": [_measurement_json(measured) for measured in comparison.cold_start],
        "disk_used_bytes": _measurement_json(comparison.disk_used),
    }


def _facts_json(facts: BuildFacts) -> dict[str, object]:
    return {
        **build_json(facts.build),
        "instance_type": facts.instance_type,
        "not_listed": list(facts.inventory.problems),
    }


def _changes_json(changes: Iterable[Change]) -> list[dict[str, str | None]]:
    return [
        {"name": change.name, "change": change.kind.value, "before": change.before, "after": change.after}
        for change in changes
    ]


def _measurement_json(measured: Measurement) -> dict[str, object]:
    percent = None if measured.percent is None else round(measured.percent, 1)
    return {
        "name": measured.name,
        "before": measured.before,
        "after": measured.after,
        "percent": percent,
    }
