"""Where the time went: the steps of a build and of its verification as bars on their common axis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from amifactory.report import words
from amifactory.report.axis import Tick, ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WAITING = ("waiting ", "launching ", "stopping ", "creating AMI", "booting ")
"""How the steps begin in which AWS or the instance works, and nobody else."""
_NARROWEST = 0.4
"""Width of a bar, in percent, below which nobody would see it."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One step. ``left`` and ``width`` are percent of the axis; ``waits`` says that AWS was waited for."""

    name: str
    begins: str
    takes: str
    left: float
    width: float
    waits: bool


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Steps on one axis that begins with the first of them."""

    title: str
    began: str
    takes: str
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]


def lanes(made: Mapping[str, Any], report: Mapping[str, Any]) -> tuple[Lane, ...]:
    """Returns a lane for the build and one for its verification, each if it is known.

    They have an axis each: a verification may come days after its build.
    """
    both = (("Build", made), ("Verification", report))
    return tuple(_lane(title, document["timeline"]) for title, document in both if document.get("timeline"))


def _lane(title: str, steps: Sequence[Mapping[str, Any]]) -> Lane:
    begins = [datetime.fromisoformat(step["started_at"]) for step in steps]
    first = min(begins)
    offsets = [(moment - first).total_seconds() for moment in begins]
    length = max(offset + step["seconds"] for offset, step in zip(offsets, steps, strict=True)) or 1.0
    bars = sorted(
        (_bar(step, offset, length) for offset, step in zip(offsets, steps, strict=True)),
        key=lambda bar: bar.left,
    )
    return Lane(
        title=title,
        began=words.moment(first),
        takes=words.seconds(length),
        ticks=ticks(length),
        bars=tuple(bars),
    )


def _bar(step: Mapping[str, Any], offset: float, length: float) -> Bar:
    width = max(100 * step["seconds"] / length, _NARROWEST)
    return Bar(
        name=step["name"].removeprefix("provisioning with "),
        begins=words.clock(offset),
        takes=words.seconds(step["seconds"]),
        left=round(min(100 * offset / length, 100 - width), 2),
        width=round(width, 2),
        waits=step["name"].startswith(_WAITING),
    )
