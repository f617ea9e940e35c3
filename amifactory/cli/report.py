"""``amifactory report``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

import click

from amifactory.cli.app import App, pass_app
from amifactory.cli.complete import build_names
from amifactory.cli.diff import comparison_json
from amifactory.cli.output import COLORS, build_json, print_json, print_table
from amifactory.domain.model import Architecture
from amifactory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from amifactory.report.cold_start import ColdStartSection
    from amifactory.report.facts import Facts
    from amifactory.report.page import Page
    from amifactory.report.spec_results import SpecResults


@click.command()
@click.argument("build", shell_complete=build_names)
@click.option(
    "--html",
    "file",
    type=click.File("w", encoding="utf-8", lazy=True),
    metavar="FILE",
    help="Write one self-contained page; - for stdout.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--architecture",
    type=click.Choice([each.value for each in Architecture]),
    help="Which build, of an image for several.",
)
@pass_app
def report(app: App, build: str, file: TextIO | None, as_json: bool, architecture: str | None) -> None:
    """Show all that is known of a build: an AMI id, or an image for its newest build.

    \b
    Examples:
      amifactory report node
      amifactory report ami-0123456789abcdef0 --html node.html
    """
    from amifactory.operations.report import gather_facts  # noqa: PLC0415
    from amifactory.report.page import make_page  # noqa: PLC0415

    if file and as_json:
        raise UsageError("--html and --json are two answers; ask for one")
    wanted = Architecture(architecture) if architecture else None
    facts = gather_facts(app.workshop, build, architecture=wanted)
    if as_json:
        print_json(_as_json(facts))
    elif file:
        _write_page(app, file, make_page(facts))
    else:
        print_summary(make_page(facts))


def _write_page(app: App, file: TextIO, page: Page) -> None:
    from amifactory.report.html import render_html  # noqa: PLC0415

    file.write(render_html(page))
    if file.name != "-":
        app.say(f"Wrote {file.name}")


def _as_json(facts: Facts) -> dict[str, object]:
    """Returns the documents that are kept about the build, and what leads to them."""
    return {
        **build_json(facts.build),
        "lineage": [{"ami_id": ancestor.ami_id, "name": ancestor.name} for ancestor in facts.ancestors],
        "made": facts.made or None,
        "report": facts.report or None,
        "earlier": [
            {
                "ami_id": earlier.build.ami_id,
                "verdict": earlier.build.verdict.value,
                "cold_start": earlier.report.get("cold_start"),
            }
            for earlier in facts.earlier
        ],
        "changes": comparison_json(facts.comparison) if facts.comparison else None,
        "places": dict(facts.places),
    }


def print_summary(page: Page) -> None:
    """Prints how a build is, what is in it, and where there is more."""
    verdict = click.style(page.verdict, fg=COLORS[page.verdict])
    click.echo(f"{click.style(f'{page.image}/{page.architecture}', bold=True)}  {page.ami_id}  {verdict}")
    _print_lines([page.sentence, *page.warnings, ""])
    lineage = " > ".join(f"{stage.name} {stage.ami_id}" for stage in page.lineage)
    _print_pairs([("Built on", lineage), *page.identity])
    if page.gates:
        _print_columns(
            ("GATE", "RESULT", "WHY"), [(gate.name, gate.state, gate.problem) for gate in page.gates]
        )
    if page.cold_start:
        _print_cold_start(page.cold_start)
    if page.spec:
        _print_lines(["", *_spec_lines(page.spec)])
    _print_lines(_more_lines(page))
    _print_lines([""])
    _print_pairs(page.places)


def _print_cold_start(section: ColdStartSection) -> None:
    several = section.samples > 1
    headers = ("COLD START", "MEDIAN" if several else "TOOK", "P95", "BEFORE", "CHANGE", "LIMIT")
    rows = [(row.name, row.median, row.p95, row.before, row.change, row.limit) for row in section.rows]
    shown = [0, 1, *([2] if several else []), *([3, 4] if section.before else [])]
    shown += [5] if section.has_limits else []
    _print_columns([headers[column] for column in shown], [[row[column] for column in shown] for row in rows])


def _spec_lines(spec: SpecResults) -> Iterator[str]:
    yield f"Spec: {spec.summary} in {spec.takes}"
    for file in spec.files:
        for case in file.cases:
            if case.is_bad:
                yield f"  {case.outcome}: {file.path}::{case.name}: {case.message}"


def _more_lines(page: Page) -> Iterator[str]:
    if page.leaks:
        found = len(page.leaks.findings) or "none"
        yield f"Leaks: {found} in {page.leaks.searched}, {len(page.leaks.allowed)} allowed"
        yield from (f"  {kind}: {file}" for kind, file in page.leaks.findings)
    if page.changes:
        groups = [f"{group.title.lower()} {group.summary}" for group in page.changes.groups if group.summary]
        yield f"Changes since {page.changes.before}: {'; '.join(groups) or 'none'}"
    elif page.not_compared:
        yield f"Changes: {page.not_compared}"
    if page.inventory:
        counts = [f"{found.name.lower()} {found.count}" for found in page.inventory if found.name != "System"]
        yield f"Inventory: {', '.join(counts)}"


def _print_columns(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    click.echo()
    print_table(headers, [tuple(map(_printable, row)) for row in rows])


def _print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    known = list(pairs)
    width = max((len(name) for name, _ in known), default=0)
    _print_lines(f"{name:{width}}  {value}" for name, value in known)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(_printable(line))


def _printable(text: str) -> str:
    """Returns the text without what could steer a terminal: file names on an instance may hold anything."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
