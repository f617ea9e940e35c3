"""How soon a fresh instance of a build is of use, and whether that is soon enough."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from amifactory.domain.model import AmiId

READY = "ready"
"""What `overruns` calls the time until the ready signal; every other name is a container image's."""
NOISE_SECONDS = 1.0
"""Differences up to this are not called a regression: EC2 gives launch times in whole seconds."""


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """How long a fresh instance took, in seconds.

    Attributes:
        ssh: From launch until sshd took connections; None when that is not known.
        docker: From launch until Docker answered; None without Docker.
        ready: From launch until the ready signal; None when it never came.
        first_run: The first ``docker run`` of each pre-pulled image that ran, by reference.
        waited_for_account: How much of ``ready`` the account cost, because a secret could not be had at once;
            of several instances, what is between their ``ready`` and their ``own_ready``.
    """

    ssh: float | None
    docker: float | None
    ready: float | None
    first_run: Mapping[str, float]
    waited_for_account: float = 0.0

    @property
    def own_ready(self) -> float | None:
        """Returns what of ``ready`` is the build's own and is judged; EC2's time to launch is in it."""
        return None if self.ready is None else max(0.0, round(self.ready - self.waited_for_account, 2))

    def as_json(self) -> dict[str, object]:
        """Returns the fields, for the report."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Returns what `as_json` was made of; what is not there is None."""
        return cls(
            ssh=fields.get("ssh"),
            docker=fields.get("docker"),
            ready=fields.get("ready"),
            first_run=dict(fields.get("first_run") or {}),
            waited_for_account=fields.get("waited_for_account") or 0.0,
        )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What an image may take; None is no limit.

    Attributes:
        ready_within: Seconds from launch to the ready signal, without what was waited for the account.
        first_run_within: Seconds that the first ``docker run`` of any pre-pulled image may take.
        regression: How much longer than the build before each may take: 0.2 for 20 %.
    """

    ready_within: float | None = None
    first_run_within: float | None = None
    regression: float | None = None


@dataclass(frozen=True, kw_only=True)
class EarlierStart:
    """How an earlier build started on the same type of instance; on another it would say nothing."""

    ami_id: AmiId
    cold_start: ColdStart


@dataclass(frozen=True, kw_only=True)
class Overrun:
    """One time that is over the budget.

    Attributes:
        what: `READY`, or the container image that ran too late.
        problem: In a sentence: the time, what it may be, and the setting that says so.
    """

    what: str
    problem: str


def read_cold_start(measured: Mapping[str, Any], *, launched_at: datetime) -> ColdStart:
    """Returns what the probe ``measure`` said, counted from the launch.

    From the start of the instance's first process everything is by the instance's clock; so is how long
    images ran. Only the time from launch to that start compares two clocks, EC2's and the instance's. If the
    instance's is behind, that time would be negative, and counts as nothing; the rest stays right.

    Args:
        measured: The probe's output.
        launched_at: EC2's LaunchTime.
    """
    booted_at: float = measured["booted_at"]
    until_boot = max(0.0, booted_at - launched_at.timestamp())

    def since_launch(at: float | None) -> float | None:
        return None if at is None else round(until_boot + max(0.0, at - booted_at), 2)

    return ColdStart(
        ssh=since_launch(measured["ssh_at"]),
        docker=since_launch(measured["docker_at"]),
        ready=since_launch(measured["ready_at"]),
        first_run={reference: round(taken, 2) for reference, taken in measured["first_run"].items()},
        waited_for_account=round(measured["waited_for_account"], 2),
    )


def median_of(samples: Sequence[ColdStart]) -> ColdStart | None:
    """Returns the median of each time; None without samples.

    A sample that lacks a time counts as one that took for ever, so that a median of what only some instances
    reached does not look better than it is.
    """
    return _of_each(samples, statistics.median)


def p95_of(samples: Sequence[ColdStart]) -> ColdStart | None:
    """Returns the 95th percentile of each time; None without samples.

    By nearest rank: the smallest time that 95 % of the samples do not exceed, so the longest of up to 19.
    A sample that lacks a time counts as in `median_of`.
    """
    return _of_each(samples, lambda times: sorted(times)[math.ceil(0.95 * len(times)) - 1])


def _of_each(samples: Sequence[ColdStart], statistic: Callable[[list[float]], float]) -> ColdStart | None:
    if not samples:
        return None

    def of(times: list[float | None]) -> float | None:
        found = statistic([math.inf if taken is None else taken for taken in times])
        return None if math.isinf(found) else round(found, 2)

    references = sorted({reference for sample in samples for reference in sample.first_run})
    runs = {
        reference: of([sample.first_run.get(reference) for sample in samples]) for reference in references
    }
    ready, own_ready = of([sample.ready for sample in samples]), of([sample.own_ready for sample in samples])
    return ColdStart(
        ssh=of([sample.ssh for sample in samples]),
        docker=of([sample.docker for sample in samples]),
        ready=ready,
        first_run={name: taken for name, taken in runs.items() if taken is not None},
        waited_for_account=round((ready or 0.0) - (own_ready or 0.0), 2),
    )


def judge(measured: ColdStart, budget: Budget, previous: EarlierStart | None) -> tuple[str, ...]:
    """Returns why a build starts too slowly, one sentence each; empty when it does not.

    Args:
        measured: Its cold start; of several, the median.
        budget: What it may take.
        previous: The verified build before on the same instance type; None leaves limits to judge by.
    """
    return tuple(overrun.problem for overrun in overruns(measured, budget, previous))


def overruns(measured: ColdStart, budget: Budget, previous: EarlierStart | None) -> tuple[Overrun, ...]:
    """Returns each time over the budget: first those over a limit, then those that grew."""
    return (*_over_limits(measured, budget), *_grown(measured, budget, previous))


def _over_limits(measured: ColdStart, budget: Budget) -> Iterator[Overrun]:
    limit = budget.ready_within
    ready = measured.own_ready
    if limit is not None and (ready is None or ready > limit):
        took = "never ready" if ready is None else f"ready after {ready:.1f} s{_not_counted(measured)}"
        problem = f"{took}, limit {limit:g} s (verify.ready_within)"
        yield Overrun(what=READY, problem=problem)
    limit = budget.first_run_within
    for reference, taken in sorted(measured.first_run.items()):
        if limit is not None and taken > limit:
            problem = f"{reference} first ran in {taken:.1f} s, limit {limit:g} s (verify.first_run_within)"
            yield Overrun(what=reference, problem=problem)


def _grown(measured: ColdStart, budget: Budget, previous: EarlierStart | None) -> Iterator[Overrun]:
    if budget.regression is None or previous is None:
        return
    before = previous.cold_start
    pairs = [(READY, "ready after", _not_counted(measured), before.own_ready, measured.own_ready)]
    pairs += [
        (reference, f"{reference} first ran in", "", before.first_run.get(reference), taken)
        for reference, taken in sorted(measured.first_run.items())
    ]
    for what, said, but, old, new in pairs:
        if old and new and new - old > NOISE_SECONDS and new > old * (1 + budget.regression):
            problem = (
                f"{said} {new:.1f} s{but}, {old:.1f} s in {previous.ami_id} before: "
                f"+{_percent(new / old - 1)}, allowed {_percent(budget.regression)} (verify.regression)"
            )
            yield Overrun(what=what, problem=problem)


def _not_counted(measured: ColdStart) -> str:
    waited = measured.waited_for_account
    return f" and {waited:.1f} s of waiting for the account" if waited else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
