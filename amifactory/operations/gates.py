"""The gates a build has to pass: pure judgement of what its examination showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.cold_start import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from amifactory.domain.cold_start import Budget, ColdStart, EarlierStart
    from amifactory.operations.examination import Examination

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One thing a build is judged by; ``problem`` is None when it passed."""

    name: str
    problem: str | None

    def as_json(self) -> dict[str, object]:
        """Returns the fields, for the report."""
        return {"gate": self.name, "passed": self.problem is None, "problem": self.problem}


def judge_examination(
    found: Examination, *, budget: Budget, median: ColdStart | None, previous: EarlierStart | None
) -> tuple[Gate, ...]:
    """Returns every gate, in the order in which an instance meets them.

    Args:
        found: What fresh instances showed.
        budget: What the image's ``verify`` block allows.
        median: Of the measured cold starts; None when there was none.
        previous: The verified build before, if there is one.
    """
    if found.boot_problem:
        return (Gate(name="boot", problem=found.boot_problem),)
    checks: Mapping[str, Callable[[], Iterator[str]]] = {
        "ready": lambda: _ready(found),
        "prepull": lambda: _prepull(found),
        "spec": lambda: _spec(found),
        "leaks": lambda: _leaks(found),
        "cold-start": lambda: iter(judge(median, budget, previous) if median else ()),
    }
    judged = (Gate(name=name, problem=_sentence(list(check()))) for name, check in checks.items())
    return (Gate(name="boot", problem=None), *judged)


def _sentence(problems: list[str]) -> str | None:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more if problems else None


def _ready(found: Examination) -> Iterator[str]:
    for number, start in enumerate(found.starts, 1):
        if start.not_ready:
            which = f"instance {number} is" if number > 1 else "it is"
            yield f"{which} not ready for jobs: {start.not_ready}"


def _prepull(found: Examination) -> Iterator[str]:
    seen = {reference: why for start in found.starts for reference, why in start.prepull_problems.items()}
    for reference, why in sorted(seen.items()):
        yield f"{reference}: {why}"


def _spec(found: Examination) -> Iterator[str]:
    if found.spec and found.spec.problem:
        yield found.spec.problem


def _leaks(found: Examination) -> Iterator[str]:
    for finding in (found.leaks or {}).get("findings", ()):
        yield f"{finding['kind']} in {finding['file']}"
