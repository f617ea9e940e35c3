"""Seconds over builds as lines: where everything stands, in percent, so that the page can have any width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.model import Verdict
from amifactory.report import words
from amifactory.report.axis import round_top, ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amifactory.domain.model import Build
    from amifactory.report.axis import Tick


@dataclass(frozen=True, kw_only=True)
class Series:
    """What to draw: a value for each build, None where there is none; ``style`` is its class on the page."""

    name: str
    style: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A build on a line, in percent from left and from top."""

    x: float
    y: float
    title: str
    is_rejected: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series. ``paths`` are its unbroken stretches, as an SVG polyline takes them."""

    name: str
    style: str
    last: str
    paths: tuple[str, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines over at least two builds, the oldest at the left.

    Attributes:
        summary: What it shows, for who cannot see it.
        limit: The line nothing should be above, in percent from top.
    """

    title: str
    summary: str
    ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    limit: float | None
    limit_label: str
    first: str
    last: str

    @property
    def has_rejected(self) -> bool:
        """Returns whether a point is drawn hollow."""
        return any(point.is_rejected for line in self.lines for point in line.points)


def make_chart(
    title: str, builds: Sequence[Build], series: Sequence[Series], *, limit: float | None
) -> Chart:
    """Returns where everything stands; ``limit`` is in seconds, like the values."""
    values = [value for one in series for value in one.values if value is not None]
    top = round_top(1.05 * max([*values, *([] if limit is None else [limit])], default=1.0))
    lines = tuple(_line(one, builds, top) for one in series)
    first, last = builds[0].created_at, builds[-1].created_at
    form = "%H:%M" if first.date() == last.date() else "%d %b"
    return Chart(
        title=title,
        summary=_summary(lines, len(builds), limit),
        ticks=ticks(top),
        lines=lines,
        limit=None if limit is None else _from_top(limit, top),
        limit_label=f"limit {words.limit(limit)}",
        first=first.strftime(form),
        last=last.strftime(form),
    )


def _line(series: Series, builds: Sequence[Build], top: float) -> Line:
    stretches: list[list[Point]] = [[]]
    for number, (build, value) in enumerate(zip(builds, series.values, strict=True)):
        if value is None:
            stretches.append([])
            continue
        what = f"{build.ami_id}, {build.created_at:%Y-%m-%d}, {build.verdict}"
        point = Point(
            x=round(100 * number / (len(builds) - 1), 2),
            y=_from_top(value, top),
            title=f"{what}: {series.name} {words.seconds(value)}",
            is_rejected=build.verdict is Verdict.REJECTED,
        )
        stretches[-1].append(point)
    return Line(
        name=series.name,
        style=series.style,
        last=words.seconds(series.values[-1]),
        paths=tuple(
            " ".join(f"{point.x},{point.y}" for point in stretch) for stretch in stretches if len(stretch) > 1
        ),
        points=tuple(point for stretch in stretches for point in stretch),
    )


def _from_top(value: float, top: float) -> float:
    return round(100 - 100 * value / top, 2)


def _summary(lines: Sequence[Line], builds: int, limit: float | None) -> str:
    now = ", ".join(f"{line.name} {line.last}" for line in lines)
    bound = "" if limit is None else f"; the limit is {words.limit(limit)}"
    return f"{builds} builds; this one: {now}{bound}."
