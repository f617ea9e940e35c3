"""A comparison for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from amifactory.cli.output import print_table, printable
from amifactory.domain.comparison import ChangeKind
from amifactory.report.changes import ChangeRow, changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amifactory.domain.comparison import BuildFacts, Comparison

HEADERS = ("", "IMAGE", "ARCH", "AMI", "VERDICT", "BUILT", "VERIFIED ON")
COLORS = {
    ChangeKind.UP: "green",
    ChangeKind.DOWN: "yellow",
    ChangeKind.CHANGED: "yellow",
    ChangeKind.NEW: "cyan",
    ChangeKind.GONE: "red",
}
OUTCOME_COLORS = {"passed": "green", "failed": "red", "error": "red"}


def print_comparison(comparison: Comparison) -> None:
    """Prints both builds, what differs between them, and which kinds of things do not."""
    print_table(HEADERS, [_build_row("before", comparison.before), _build_row("after", comparison.after)])
    found = changes(comparison)
    if found.reasons:
        _print_heading("Recipe", "")
        for reason in found.reasons:
            click.echo(f"  {reason}")
    for group in (*found.groups, found.measured):
        _print_heading(group.title, group.summary)
        _print_rows(group.rows)
    same = [name for name, changed in comparison.sections.items() if not changed]
    click.echo()
    click.echo(f"No difference in: {', '.join(same)}." if comparison.is_different else "No difference.")


def _build_row(name: str, facts: BuildFacts) -> tuple[str, ...]:
    build = facts.build
    return (
        name,
        build.target.image,
        build.target.architecture.value,
        build.ami_id,
        build.verdict.value,
        f"{build.created_at:%Y-%m-%d %H:%M}",
        facts.instance_type or "",
    )


def _print_heading(title: str, summary: str) -> None:
    click.echo()
    click.echo(click.style(title, bold=True) + (f": {summary}" if summary else ""))


def _print_rows(rows: Sequence[ChangeRow]) -> None:
    names = [printable(row.name) for row in rows]
    width = max(map(len, names))
    kinds = max((len(row.kind) for row in rows if row.kind in COLORS), default=0)
    for row, name in zip(rows, names, strict=True):
        kind = f"{click.style(f'{row.kind:{kinds}}', fg=COLORS[ChangeKind(row.kind)])}  " if kinds else ""
        values = " → ".join(_value(value) for value in (row.before, row.after) if value)
        click.echo(f"  {kind}{name:{width}}  {values}".rstrip())


def _value(text: str) -> str:
    return click.style(printable(text), fg=OUTCOME_COLORS.get(text))
