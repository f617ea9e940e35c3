"""Axes of seconds: round marks at a readable distance."""

from __future__ import annotations

from dataclasses import dataclass

from amifactory.report import words

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST = 6
_MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis; ``at`` is percent of its length."""

    at: float
    label: str


def round_top(highest: float) -> float:
    """Returns the end of an axis that begins at 0 and shows ``highest``: the next round mark."""
    step = _step(highest)
    return round(-(-highest // step) * step or step, 1)


def ticks(top: float) -> tuple[Tick, ...]:
    """Returns a handful of round marks on an axis from 0 to ``top`` seconds."""
    step = _step(top)
    marks = [round(number * step, 1) for number in range(int(top / step + 1e-6) + 1)]
    return tuple(Tick(at=round(100 * mark / top, 2), label=_label(mark, top)) for mark in marks)


def _step(top: float) -> float:
    return next((step for step in _STEPS if top / step <= _MOST), top / _MOST)


def _label(mark: float, top: float) -> str:
    return f"{mark:g} s" if top < _MINUTE else words.clock(mark)
