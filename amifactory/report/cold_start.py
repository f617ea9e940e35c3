"""How fast fresh instances were of use: a table of this build, and charts against earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.cold_start import READY, ColdStart, EarlierStart, overruns
from amifactory.report import words
from amifactory.report.chart import Series, make_chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from amifactory.domain.model import Build
    from amifactory.report.chart import Chart
    from amifactory.report.facts import Facts

_PARTS = {"ssh": "SSH answers", "docker": "Docker answers", READY: "ready for a job"}
_WAITED = "waited"
_NAMES = {**_PARTS, _WAITED: "of that, waiting for the account (not judged)"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One time that was measured.

    Attributes:
        is_reference: It is the first run of a container image.
        is_slow: It is over the budget.
    """

    name: str
    is_reference: bool
    median: str
    p95: str
    before: str
    change: str
    limit: str
    is_slow: bool


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """A build's figures, which are the charts in words: SSH, Docker, ready, slowest first run."""

    ami_id: str
    made: str
    verdict: str
    figures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ColdStartSection:
    """The whole section.

    Attributes:
        samples: How many fresh instances were measured.
        before: The build it was compared with when it was judged.
        history: Newest first, this build included.
    """

    samples: int
    before: str | None
    rows: tuple[Row, ...]
    charts: tuple[Chart, ...]
    history: tuple[HistoryRow, ...]

    @property
    def has_limits(self) -> bool:
        """Returns whether anything is limited."""
        return any(row.limit != words.NONE for row in self.rows)


def cold_start_section(facts: Facts) -> ColdStartSection | None:
    """Returns the section; None for a build whose cold start was not measured."""
    median = median_start(facts.report)
    if median is None:
        return None
    found = [(earlier.build, median_start(earlier.report)) for earlier in facts.earlier]
    history = [(build, times) for build, times in found if times]
    builds = [*history, (facts.build, median)]
    before = next((start for start in history if start[0].ami_id == facts.report.get("previous")), None)
    return ColdStartSection(
        samples=len(facts.report["cold_start"]["samples"]),
        before=before[0].ami_id if before else None,
        rows=tuple(_rows(facts, median, before)),
        charts=tuple(_charts(facts, builds)) if history else (),
        history=tuple(_history_row(build, times) for build, times in reversed(builds)),
    )


def median_start(report: Mapping[str, Any]) -> ColdStart | None:
    """Returns how a build started, by its report; None when that was not measured."""
    found = report.get("cold_start")
    return ColdStart.from_json(found["median"]) if found else None


def slowest(times: ColdStart) -> float | None:
    """Returns the longest first ``docker run``; None when nothing is pre-pulled."""
    return max(times.first_run.values(), default=None)


def _rows(facts: Facts, median: ColdStart, before: tuple[Build, ColdStart] | None) -> Iterator[Row]:
    previous = EarlierStart(ami_id=before[0].ami_id, cold_start=before[1]) if before else None
    slow = {overrun.what for overrun in overruns(median, facts.budget, previous)}
    now = _by_name(median)
    p95 = _by_name(ColdStart.from_json(facts.report["cold_start"]["p95"]))
    old = _by_name(before[1]) if before else {}
    limits: dict[str, float | None] = dict.fromkeys(median.first_run, facts.budget.first_run_within)
    limits[READY] = facts.budget.ready_within
    slowest_first = sorted(median.first_run, key=lambda reference: -median.first_run[reference])
    for key in (*_NAMES, *slowest_first):
        if key in {"docker", _WAITED} and now[key] is old.get(key) is None:
            continue  # it has no Docker, and no secret that was late
        yield Row(
            name=_NAMES.get(key, key),
            is_reference=key not in _NAMES,
            median=words.seconds(now[key]),
            p95=words.seconds(p95.get(key)),
            before=words.seconds(old.get(key)),
            change=words.change(now[key], old.get(key)),
            limit=words.limit(limits.get(key)),
            is_slow=key in slow,
        )


def _by_name(times: ColdStart) -> Mapping[str, float | None]:
    """Returns every time by what it is called: a part's name or a reference."""
    waited = times.waited_for_account or None
    return {
        "ssh": times.ssh,
        "docker": times.docker,
        READY: times.ready,
        _WAITED: waited,
        **times.first_run,
    }


def _charts(facts: Facts, starts: Sequence[tuple[Build, ColdStart]]) -> Iterator[Chart]:
    builds = [build for build, _ in starts]
    every = [_by_name(times) for _, times in starts]
    until = [
        Series(name=name, style=part, values=tuple(times[part] for times in every))
        for part, name in _PARTS.items()
    ]
    known = [series for series in until if any(value is not None for value in series.values)]
    yield make_chart("From launch to ready", builds, known, limit=facts.budget.ready_within)
    runs = tuple(slowest(times) for _, times in starts)
    if any(run is not None for run in runs):
        series = [Series(name="slowest first run", style="first-run", values=runs)]
        yield make_chart("Slowest first docker run", builds, series, limit=facts.budget.first_run_within)


def _history_row(build: Build, times: ColdStart) -> HistoryRow:
    figures = (times.ssh, times.docker, times.ready, slowest(times))
    return HistoryRow(
        ami_id=build.ami_id,
        made=f"{build.created_at:%Y-%m-%d %H:%M}",
        verdict=build.verdict.value,
        figures=tuple(words.seconds(figure) for figure in figures),
    )
