"""What people and programs read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amifactory.cli.output import age, duration
from amifactory.cli.progress import PlainProgress
from amifactory.domain.model import Architecture, Fingerprint, Target
from amifactory.domain.staleness import BuildPlan
from amifactory.errors import ExitCode
from amifactory.operations.outcome import Outcome, Result, exit_code

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
NODE = Target(image="node", architecture=Architecture.X86_64)


def outcome(result: Result, code: ExitCode = ExitCode.DONE) -> Outcome:
    return Outcome(
        target=NODE,
        result=result,
        fingerprint=Fingerprint("ab"),
        region="eu-central-1",
        exit_code=code,
        error=None if code is ExitCode.DONE else "it broke",
    )


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=45), "45s"),
        (timedelta(minutes=12, seconds=50), "12m"),
        (timedelta(hours=5), "5h"),
        (timedelta(days=3, hours=23), "3d"),
        (timedelta(seconds=-5), "0s"),
    ],
)
def test_ages_are_told_in_their_largest_unit(ago: timedelta, text: str) -> None:
    assert age(NOW - ago, NOW) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, ""), (42, "0:42"), (59.6, "1:00"), (725, "12:05")])
def test_wall_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], ExitCode.DONE),
        ([ExitCode.DONE, ExitCode.DONE], ExitCode.DONE),
        ([ExitCode.DONE, ExitCode.REJECTED], ExitCode.REJECTED),
        ([ExitCode.AWS_REFUSED, ExitCode.AWS_REFUSED], ExitCode.AWS_REFUSED),
        ([ExitCode.REJECTED, ExitCode.FAILED], ExitCode.FAILED),
        ([ExitCode.REJECTED, ExitCode.INTERRUPTED], ExitCode.INTERRUPTED),
    ],
)
def test_a_run_ends_with_its_one_kind_of_failure_or_the_general_one(
    codes: list[ExitCode], expected: ExitCode
) -> None:
    assert exit_code([outcome(Result.FAILED, code) for code in codes]) is expected


def test_plain_progress_is_one_line_for_each_new_step() -> None:
    lines: list[str] = []
    times = iter([100.0, 101.0, 102.0, 165.0])
    progress = PlainProgress(lines.append, lambda: next(times))
    progress.planned(BuildPlan(steps=(), made_at=NOW))
    progress.step(NODE, "launching instance")
    progress.step(NODE, "launching instance")
    progress.step(NODE, "creating AMI")
    progress.output(NODE, "not shown")
    progress.finished(outcome(Result.REUSED))
    progress.finished(outcome(Result.FAILED, ExitCode.FAILED))
    assert lines == [
        "[ 0:01] node/x86_64: launching instance",
        "[ 0:02] node/x86_64: creating AMI",
        "[ 1:05] node/x86_64: failed (it broke)",
    ]
