"""A comparison for a merge request: Markdown, long lists folded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from amifactory.cli.output import printable
from amifactory.report.changes import changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.domain.comparison import BuildFacts, Comparison
    from amifactory.report.changes import ChangeGroup


def markdown(comparison: Comparison) -> str:
    """Returns the text, without a newline at its end."""
    return "\n".join(_lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    before, after = comparison.before, comparison.after
    found = changes(comparison)
    yield f"### {after.build.target}: {'changes' if comparison.is_different else 'no changes'}"
    yield ""
    yield "| | image | AMI | verdict | built | verified on |"
    yield "|---|---|---|---|---|---|"
    yield _build_row("before", before)
    yield _build_row("after", after)
    if found.reasons:
        yield ""
        yield "**Recipe**"
        yield ""
        yield from (f"- {_code(reason)}" for reason in found.reasons)
    for group in (*found.groups, found.measured):
        yield ""
        yield from _group(group)


def _build_row(name: str, facts: BuildFacts) -> str:
    build = facts.build
    built = f"{build.created_at:%Y-%m-%d %H:%M} UTC"
    on = facts.instance_type or ""
    return f"| {name} | {build.target} | {_code(build.ami_id)} | {build.verdict} | {built} | {on} |"


def _group(group: ChangeGroup) -> Iterator[str]:
    summary = f": {group.summary}" if group.summary else ""
    if group.is_open:
        yield f"**{group.title}**{summary}"
    else:
        yield f"<details><summary><b>{group.title}</b>{summary}</summary>"
    yield ""
    yield "| | | before | after |"
    yield "|---|---|---|---|"
    for row in group.rows:
        yield f"| {row.kind} | {_code(row.name)} | {_code(row.before)} | {_code(row.after)} |"
    if not group.is_open:
        yield ""
        yield "</details>"


def _code(text: str) -> str:
    """Returns a code span: what is in one is no mark-up, no mention and no link."""
    if not text:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{printable(text)}{space}{fence}".replace("|", "\\|")
