"""What was measured, counted from the launch, over several instances, against limits and the build before."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.cold_start import (
    NOISE_SECONDS,
    Budget,
    ColdStart,
    EarlierStart,
    judge,
    median_of,
    overruns,
    p95_of,
    read_cold_start,
)
from amifactory.domain.model import AmiId

LAUNCHED = datetime(2026, 1, 15, 12, tzinfo=UTC)
MEASURED: dict[str, Any] = {
    "booted_at": LAUNCHED.timestamp() + 8.0,
    "ssh_at": LAUNCHED.timestamp() + 20.25,
    "docker_at": LAUNCHED.timestamp() + 25.0,
    "ready_at": LAUNCHED.timestamp() + 31.5,
    "first_run": {"node:22": 4.126, "alpine:3.20": 1.5},
    "waited_for_account": 0.0,
}
START = ColdStart(ssh=20.25, docker=25.0, ready=31.5, first_run={"node:22": 4.13, "alpine:3.20": 1.5})
NAMES = ("alpine:3.20", "node:22", "redis:7")

seconds = st.floats(min_value=0, max_value=600)
starts = st.builds(
    ColdStart,
    ssh=st.none() | seconds,
    docker=st.none() | seconds,
    ready=st.none() | seconds,
    first_run=st.dictionaries(st.sampled_from(NAMES), seconds),
    waited_for_account=seconds,
)
limits = st.none() | st.floats(min_value=1, max_value=600)
budgets = st.builds(
    Budget,
    ready_within=limits,
    first_run_within=limits,
    regression=st.none() | st.floats(min_value=0.01, max_value=3),
)


def before(start: ColdStart) -> EarlierStart:
    return EarlierStart(ami_id=AmiId("ami-1"), cold_start=start)


def test_times_are_counted_from_the_launch() -> None:
    assert read_cold_start(MEASURED, launched_at=LAUNCHED) == START


def test_what_never_happened_has_no_time() -> None:
    never = {**MEASURED, "ssh_at": None, "docker_at": None, "ready_at": None, "first_run": {}}
    expected = ColdStart(ssh=None, docker=None, ready=None, first_run={})
    assert read_cold_start(never, launched_at=LAUNCHED) == expected


@given(st.floats(min_value=8.0, max_value=1e6))
def test_a_clock_that_is_behind_loses_no_more_than_the_time_before_the_boot(behind: float) -> None:
    moved = {name: value - behind for name, value in MEASURED.items() if name.endswith("_at")}
    found = read_cold_start({**MEASURED, **moved}, launched_at=LAUNCHED)
    assert found.ssh == pytest.approx(12.25, abs=0.01)
    assert found.docker == pytest.approx(17.0, abs=0.01)
    assert found.ready == pytest.approx(23.5, abs=0.01)


@given(st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=4, max_size=4))
def test_no_time_is_negative_whatever_the_clock_says(offsets: list[float]) -> None:
    stamps = dict(zip(("booted_at", "ssh_at", "docker_at", "ready_at"), offsets, strict=True))
    found = read_cold_start({**MEASURED, **stamps}, launched_at=LAUNCHED)
    assert all(taken is not None and taken >= 0 for taken in (found.ssh, found.docker, found.ready))


def test_what_was_waited_for_the_account_is_told_beside_the_raw_times() -> None:
    found = read_cold_start({**MEASURED, "waited_for_account": 12.004}, launched_at=LAUNCHED)
    assert found == replace(START, waited_for_account=12.0)
    assert (found.ready, found.own_ready) == (31.5, 19.5)
    assert found.as_json()["waited_for_account"] == 12.0


@given(starts)
def test_a_builds_own_time_is_neither_negative_nor_more_than_all(start: ColdStart) -> None:
    if start.ready is None:
        assert start.own_ready is None
    else:
        assert start.own_ready is not None
        assert 0 <= start.own_ready <= start.ready + 0.01


@given(starts)
def test_a_report_gives_back_what_was_put_in(start: ColdStart) -> None:
    assert ColdStart.from_json(json.loads(json.dumps(start.as_json()))) == start


def test_a_report_that_lacks_times_says_none() -> None:
    assert ColdStart.from_json({}) == ColdStart(ssh=None, docker=None, ready=None, first_run={})


def several(*ready: float | None) -> list[ColdStart]:
    return [replace(START, ready=one) for one in ready]


@pytest.mark.parametrize(
    ("ready", "median", "p95"),
    [
        ((31.0,), 31.0, 31.0),
        ((31.0, 35.0), 33.0, 35.0),
        ((90.0, 31.0, 32.0, 30.0, 33.0), 32.0, 90.0),
        (tuple(float(number) for number in range(1, 20)), 10.0, 19.0),
        (tuple(float(number) for number in range(1, 21)), 10.5, 19.0),
        ((31.0, None, 32.0), 32.0, None),
        ((31.0, None), None, None),
        ((None,), None, None),
    ],
)
def test_median_and_p95(ready: tuple[float | None, ...], median: float | None, p95: float | None) -> None:
    found = median_of(several(*ready)), p95_of(several(*ready))
    assert [one.ready if one else "nothing" for one in found] == [median, p95]


@pytest.mark.parametrize(
    ("samples", "ready", "waited"),
    [
        ([(10.0, 0.0), (40.0, 30.0), (11.0, 0.0)], 11.0, 1.0),
        ([(20.0, 0.0), (30.0, 25.0), (40.0, 35.0)], 30.0, 25.0),
        ([(31.0, 0.0), (90.0, 60.0)], 60.5, 30.0),
        ([(31.0, 1.0), (None, 0.0)], None, 0.0),
    ],
)
def test_the_median_is_of_what_each_instance_took_itself(
    samples: list[tuple[float | None, float]], ready: float | None, waited: float
) -> None:
    """So one that waited neither spoils it nor is taken off twice."""
    starts = [replace(START, ready=one, waited_for_account=lost) for one, lost in samples]
    found = median_of(starts)
    assert found is not None
    assert (found.ready, found.waited_for_account) == (ready, waited)


def test_an_image_that_ran_on_too_few_instances_has_no_median() -> None:
    ran, failed = START, replace(START, first_run={"alpine:3.20": 2.5})
    found = median_of([ran, failed])
    assert found is not None
    assert found.first_run == {"alpine:3.20": 2.0}


def test_without_samples_there_is_nothing_to_say() -> None:
    assert median_of([]) is None
    assert p95_of([]) is None


@given(st.lists(starts, min_size=1, max_size=30))
def test_the_median_is_no_later_than_the_p95_and_both_lie_among_the_samples(samples: list[ColdStart]) -> None:
    median, p95 = median_of(samples), p95_of(samples)
    assert median is not None
    assert p95 is not None
    times = [sample.ready for sample in samples if sample.ready is not None]
    if p95.ready is not None:
        assert median.ready is not None
        assert min(times) - 0.01 <= median.ready <= p95.ready + 0.01 <= max(times) + 0.02
    assert p95.first_run.keys() <= median.first_run.keys()


@pytest.mark.parametrize(
    ("measured", "budget", "earlier", "problem"),
    [
        (
            replace(START, ready=83.0),
            Budget(ready_within=60.0),
            None,
            "ready after 83.0 s, limit 60 s (verify.ready_within)",
        ),
        (
            replace(START, ready=98.0, waited_for_account=15.0),
            Budget(ready_within=60.0),
            None,
            "ready after 83.0 s and 15.0 s of waiting for the account, limit 60 s (verify.ready_within)",
        ),
        (
            replace(START, ready=None),
            Budget(ready_within=60.0),
            None,
            "never ready, limit 60 s (verify.ready_within)",
        ),
        (
            replace(START, first_run={"alpine:3.20": 1.0, "node:22": 20.04}),
            Budget(first_run_within=2.5),
            None,
            "node:22 first ran in 20.0 s, limit 2.5 s (verify.first_run_within)",
        ),
        (
            replace(START, first_run={"node:22": 31.0}),
            Budget(regression=0.2),
            replace(START, first_run={"node:22": 24.8}),
            "node:22 first ran in 31.0 s, 24.8 s in ami-1 before: +25 %, allowed 20 % (verify.regression)",
        ),
        (
            replace(START, ready=40.1),
            Budget(regression=0.125),
            replace(START, ready=32.0),
            "ready after 40.1 s, 32.0 s in ami-1 before: +25.3 %, allowed 12.5 % (verify.regression)",
        ),
        (
            replace(START, ready=45.1, waited_for_account=5.0),
            Budget(regression=0.125),
            replace(START, ready=90.0, waited_for_account=58.0),
            (
                "ready after 40.1 s and 5.0 s of waiting for the account, 32.0 s in ami-1 before: +25.3 %, "
                "allowed 12.5 % (verify.regression)"
            ),
        ),
    ],
)
def test_a_problem_names_time_limit_image_and_earlier_build(
    measured: ColdStart, budget: Budget, earlier: ColdStart | None, problem: str
) -> None:
    assert judge(measured, budget, before(earlier) if earlier else None) == (problem,)


def test_every_time_over_the_budget_is_a_problem_of_its_own() -> None:
    slow = ColdStart(ssh=50.0, docker=60.0, ready=83.0, first_run={"node:22": 31.0, "alpine:3.20": 30.0})
    budget = Budget(ready_within=60.0, first_run_within=20.0, regression=0.2)
    found = [overrun.what for overrun in overruns(slow, budget, before(START))]
    assert found == ["ready", "alpine:3.20", "node:22", "ready", "alpine:3.20", "node:22"]


hundredths = st.integers(0, 60_000).map(lambda number: number / 100)


@given(starts, hundredths, hundredths, budgets, starts)
def test_how_long_the_account_kept_it_waiting_changes_nothing(
    start: ColdStart, ready: float, outage: float, budget: Budget, other: ColdStart
) -> None:
    prompt = replace(start, ready=ready, waited_for_account=0.0)
    late = replace(start, ready=ready + outage, waited_for_account=outage)

    def found(measured: ColdStart, earlier: ColdStart) -> list[str]:
        return [overrun.what for overrun in overruns(measured, budget, before(earlier))]

    assert found(late, other) == found(prompt, other)
    assert found(other, late) == found(other, prompt)


def test_a_limit_that_is_just_kept_is_kept() -> None:
    budget = Budget(ready_within=31.5, first_run_within=4.13, regression=0.2)
    assert judge(START, budget, before(START)) == ()


def test_what_the_build_before_did_not_have_cannot_be_slower() -> None:
    slow = replace(START, ready=400.0, first_run={"redis:7": 500.0})
    earlier = ColdStart(ssh=None, docker=None, ready=None, first_run={})
    assert judge(slow, Budget(regression=0.2), before(earlier)) == ()


@given(starts, starts)
def test_without_a_budget_nothing_is_too_slow(measured: ColdStart, earlier: ColdStart) -> None:
    assert judge(measured, Budget(), before(earlier)) == ()


@given(starts, budgets)
def test_without_a_build_before_only_limits_count(measured: ColdStart, budget: Budget) -> None:
    assert not any("verify.regression" in problem for problem in judge(measured, budget, None))


@given(starts, st.floats(min_value=0.01, max_value=3), st.floats(min_value=0, max_value=NOISE_SECONDS - 0.02))
def test_differences_within_the_noise_are_no_regression(
    earlier: ColdStart, regression: float, noise: float
) -> None:
    measured = replace(
        earlier,
        ready=None if earlier.ready is None else earlier.ready + noise,
        first_run={name: taken + noise for name, taken in earlier.first_run.items()},
    )
    assert judge(measured, Budget(regression=regression), before(earlier)) == ()


@given(starts, starts, budgets, seconds)
def test_what_takes_longer_is_not_judged_better(
    measured: ColdStart, earlier: ColdStart, budget: Budget, longer: float
) -> None:
    slower = replace(
        measured,
        ready=None if measured.ready is None else measured.ready + longer,
        first_run={name: taken + longer for name, taken in measured.first_run.items()},
    )
    fewer = [overrun.what for overrun in overruns(measured, budget, before(earlier))]
    more = [overrun.what for overrun in overruns(slower, budget, before(earlier))]
    assert all(more.count(what) >= fewer.count(what) for what in fewer)


@given(starts, starts, budgets)
def test_a_looser_budget_finds_no_more(measured: ColdStart, earlier: ColdStart, budget: Budget) -> None:
    looser = Budget(
        ready_within=budget.ready_within and budget.ready_within + 10,
        first_run_within=budget.first_run_within and budget.first_run_within + 10,
        regression=budget.regression and budget.regression * 2,
    )
    few, many = (len(judge(measured, one, before(earlier))) for one in (looser, budget))
    assert few <= many
