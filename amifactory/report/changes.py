"""What is different from the build before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.comparison import ChangeKind
from amifactory.report import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from amifactory.domain.comparison import Change, Comparison, Measurement

_DIGEST = "sha256:"
_SHOWN_DIGITS = 12
_SHOWN_AT_ONCE = 24


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """One thing that changed; ``kind`` is one of `ChangeKind`, empty for what was measured."""

    kind: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class ChangeGroup:
    """Changes of one kind of thing, ``is_open`` unless they are very many."""

    title: str
    summary: str
    rows: tuple[ChangeRow, ...]
    is_open: bool


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The whole section.

    Attributes:
        before: AMI id of the build compared with.
        reasons: What differs in what the two were made from.
        measured: Start-up and size, which alone make no build another.
    """

    before: str
    made: str
    verdict: str
    reasons: tuple[str, ...]
    groups: tuple[ChangeGroup, ...]
    measured: ChangeGroup


def changes(comparison: Comparison) -> Changes:
    """Returns the section."""
    groups = [_group(title, found) for title, found in comparison.sections.items() if found]
    before = comparison.before.build
    return Changes(
        before=before.ami_id,
        made=f"{before.created_at:%Y-%m-%d}",
        verdict=before.verdict.value,
        reasons=comparison.recipe,
        groups=tuple(groups),
        measured=ChangeGroup(title="Measured", summary="", rows=tuple(_measured(comparison)), is_open=True),
    )


def summary(found: Iterable[Change]) -> str:
    """Returns how many changed in which way: ``3 up, 1 gone``."""
    counts = Counter(change.kind for change in found)
    return ", ".join(f"{counts[kind]} {kind}" for kind in ChangeKind if counts[kind])


def _group(title: str, found: tuple[Change, ...]) -> ChangeGroup:
    return ChangeGroup(
        title=title.capitalize(),
        summary=summary(found),
        rows=tuple(
            ChangeRow(
                kind=change.kind.value,
                name=change.name,
                before=_shortened(change.before),
                after=_shortened(change.after),
            )
            for change in found
        ),
        is_open=len(found) <= _SHOWN_AT_ONCE,
    )


def _shortened(value: str | None) -> str:
    """Returns as much of a digest as people compare; everything else as it is."""
    if value and value.startswith(_DIGEST):
        return value[: len(_DIGEST) + _SHOWN_DIGITS]
    return value or ""


def _measured(comparison: Comparison) -> Iterator[ChangeRow]:
    for measurement in comparison.cold_start:
        yield _measured_row(measurement, words.seconds)
    if comparison.disk_used.after is not None:
        yield _measured_row(comparison.disk_used, words.size)


def _measured_row(measurement: Measurement, shown: Callable[[float | None], str]) -> ChangeRow:
    grown = f" ({words.percent(measurement.percent)})" if measurement.percent else ""
    return ChangeRow(
        kind="",
        name=measurement.name,
        before=shown(measurement.before),
        after=shown(measurement.after) + grown,
    )
