"""The cold start in a table, and earlier ones beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from amifactory.domain.cold_start import Budget
from amifactory.domain.model import Verdict
from amifactory.report.cold_start import cold_start_section
from amifactory.report.facts import Earlier

if TYPE_CHECKING:
    from amifactory.report.cold_start import ColdStartSection
    from amifactory.report.facts import Facts
    from tests.unit.report.conftest import Example


def section(facts: Facts) -> ColdStartSection:
    found = cold_start_section(facts)
    assert found is not None
    return found


def test_each_time_stands_beside_the_one_before_and_its_limit(example: type[Example]) -> None:
    found = section(example.facts())
    assert found.before == "ami-before"
    rows = {row.name: row for row in found.rows}
    ready = rows["ready for a job"]
    assert (ready.median, ready.before, ready.change, ready.limit) == (
        "41.2 s",
        "45.3 s",
        "-4.1 s, -9 %",
        "60 s",
    )
    assert rows["SSH answers"].limit == "-"


def test_the_slowest_image_comes_first(example: type[Example]) -> None:
    found = section(example.facts())
    assert [row.name for row in found.rows if row.is_reference] == ["node:22-slim", "alpine:3.20"]


def test_what_is_over_the_budget_is_marked(example: type[Example]) -> None:
    slow = section(example.facts(budget=Budget(ready_within=41, first_run_within=5)))
    assert [row.name for row in slow.rows if row.is_slow] == ["ready for a job", "node:22-slim"]
    regressed = example.report(cold_start=example.start(1.5))
    grown = section(example.facts(report=regressed, budget=Budget(regression=0.2)))
    assert [row.name for row in grown.rows if row.is_slow] == ["ready for a job", "node:22-slim"]


def test_only_the_build_it_was_judged_against_is_called_the_one_before(example: type[Example]) -> None:
    found = section(example.facts(report=example.report(previous=None)))
    assert found.before is None
    assert {row.change for row in found.rows} == {"-"}
    assert found.charts


def test_a_build_that_never_got_ready_has_a_gap(example: type[Example]) -> None:
    broken = Earlier(
        build=replace(example.build("ami-broken", days=1), verdict=Verdict.REJECTED),
        report={"cold_start": example.start(1.2, ready=None)},
    )
    first, before = example.facts().earlier
    chart, _ = section(example.facts(earlier=(first, before, broken))).charts
    ready = next(line for line in chart.lines if line.name == "ready for a job")
    assert [point.x for point in ready.points] == [0, 33.33, 100]
    assert ready.paths == (f"0.0,{ready.points[0].y} 33.33,{ready.points[1].y}",)
    assert chart.has_rejected


def test_the_axis_names_days_or_within_one_day_times(example: type[Example]) -> None:
    chart, _ = section(example.facts()).charts
    assert (chart.first, chart.last) == ("01 Mar", "04 Mar")
    facts = example.facts()
    chart, _ = section(replace(facts, build=replace(facts.build, created_at=facts.now))).charts
    assert (chart.first, chart.last) == ("09:00", "09:00")


def test_the_limit_is_on_the_chart_however_far_above(example: type[Example]) -> None:
    chart, _ = section(example.facts(budget=Budget(ready_within=600))).charts
    assert chart.limit is not None
    assert 0 < chart.limit < 20
    assert all(50 < point.y < 100 for line in chart.lines for point in line.points)


def test_the_chart_is_there_in_words_and_in_figures(example: type[Example]) -> None:
    found = section(example.facts())
    assert found.charts[0].summary == (
        "3 builds; this one: SSH answers 21.4 s, Docker answers 31.8 s, ready for a job 41.2 s; "
        "the limit is 60 s."
    )
    assert [row.ami_id for row in found.history] == ["ami-this", "ami-before", "ami-first"]
    assert found.history[0].figures == ("21.4 s", "31.8 s", "41.2 s", "9.4 s")


def test_a_first_build_has_no_chart(example: type[Example]) -> None:
    assert section(example.facts(earlier=())).charts == ()


def test_builds_that_were_not_measured_are_left_out(example: type[Example]) -> None:
    unmeasured = Earlier(build=example.build("ami-old"), report={"verdict": "verified"})
    assert section(example.facts(earlier=(unmeasured,))).charts == ()
    assert cold_start_section(example.facts(report=example.report(cold_start=None))) is None


def test_an_image_without_prepulled_images_has_one_chart(example: type[Example]) -> None:
    bare = example.start(first_run={})
    earlier = (Earlier(build=example.build("ami-before"), report={"cold_start": bare}),)
    found = section(example.facts(report=example.report(cold_start=bare), earlier=earlier))
    assert [chart.title for chart in found.charts] == ["From launch to ready"]


def test_an_image_without_docker_says_nothing_of_it(example: type[Example]) -> None:
    bare = example.start(docker=None, first_run={})
    earlier = (Earlier(build=example.build("ami-before"), report={"cold_start": bare}),)
    found = section(example.facts(report=example.report(cold_start=bare), earlier=earlier))
    assert [row.name for row in found.rows] == ["SSH answers", "ready for a job"]
    assert [line.style for line in found.charts[0].lines] == ["ssh", "ready"]


def test_no_limits_no_column(example: type[Example]) -> None:
    assert section(example.facts()).has_limits
    assert not section(example.facts(budget=Budget())).has_limits
