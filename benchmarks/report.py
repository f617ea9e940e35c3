"""What a benchmark found, and the one table all of them end in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADERS = ("BENCHMARK", "WHAT", "LIMIT", "MEASURED", "OF LIMIT", "N", "RESULT")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure, and the most it may be.

    Attributes:
        benchmark: Name it is selected by.
        what: What was measured, in a few words.
        value: The median over all rounds if it compares two things, else the least, as other
            processes only ever add to it.
        unit: ``x`` for a ratio, ``s``, ``ms``, or what is counted.
        limit: None for a figure that only explains another one.
        rounds: How often it was measured.
    """

    benchmark: str
    what: str
    value: float
    unit: str
    limit: float | None
    rounds: int

    @property
    def passed(self) -> bool:
        """Returns whether it is within its limit."""
        return self.limit is None or self.value <= self.limit

    @property
    def row(self) -> tuple[str, ...]:
        """Returns its line of the table."""
        share = f"{self.value / self.limit:.2f}" if self.limit else ""
        return (
            self.benchmark,
            self.what,
            "" if self.limit is None else f"<= {_number(self.limit, self.unit)}",
            _number(self.value, self.unit),
            share,
            str(self.rounds),
            "" if self.limit is None else "pass" if self.passed else "OVER",
        )


def table(measurements: Iterable[Measurement]) -> str:
    """Returns aligned columns, one line for each measurement."""
    rows: list[Sequence[str]] = [HEADERS, *(one.row for one in measurements)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADERS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _number(value: float, unit: str) -> str:
    digits = {"x": 3, "s": 2, "calls each": 2}.get(unit, 0)
    return f"{value:.{digits}f} {unit}"
