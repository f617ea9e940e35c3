"""The gates a build has to pass: pure judgement of what its examination showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.cold_start import judge
from amifactory.operations.examination import NotBooted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from amifactory.domain.cold_start import Budget, ColdStart, EarlierStart
    from amifactory.operations.examination import Examination

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What one gate said of a build; ``problem`` is None when it passed."""

    name: str
    problem: str | None

    def as_json(self) -> dict[str, object]:
        """Returns the fields, for the report."""
        return {"gate": self.name, "passed": self.problem is None, "problem": self.problem}


def judge_examination(
    found: Examination | NotBooted,
    *,
    budget: Budget,
    median: ColdStart | None,
    previous: EarlierStart | None,
) -> tuple[GateResult, ...]:
    """Returns what each gate says, in the order in which an instance meets them.

    Args:
        found: What fresh instances showed.
        budget: What the image's ``verify`` block allows.
        median: Of the measured cold starts; None when nothing booted.
        previous: The verified build before, if there is one.
    """
    if isinstance(found, NotBooted) or median is None:
        problem = found.problem if isinstance(found, NotBooted) else "nothing was measured"
        return (GateResult(name="boot", problem=problem),)
    problems: Mapping[str, Iterable[str]] = {
        "boot": [found.boot_problem] if found.boot_problem else (),
        "ready": _ready(found),
        "prepull": _prepull(found),
        "spec": [found.spec.problem] if found.spec.problem else (),
        "leaks": _leaks(found),
        "cold-start": judge(median, budget, previous),
    }
    return tuple(GateResult(name=name, problem=_sentence(list(those))) for name, those in problems.items())


def _sentence(problems: list[str]) -> str | None:
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return "; ".join(problems[:_SHOWN]) + more if problems else None


def _ready(found: Examination) -> Iterator[str]:
    for number, start in enumerate(found.starts, 1):
        if start.not_ready:
            which = f"instance {number} is" if number > 1 else "it is"
            yield f"{which} not ready for jobs: {start.not_ready}"


def _leaks(found: Examination) -> Iterator[str]:
    for finding in found.leaks["findings"]:
        yield f"{finding['kind']} in {finding['file']}"
    for secret in found.leaks["unread"]:
        yield f"a secret could not be looked for: {secret}"


def _prepull(found: Examination) -> Iterator[str]:
    seen = {reference: why for start in found.starts for reference, why in start.prepull_problems.items()}
    for reference, why in sorted(seen.items()):
        yield f"{reference}: {why}"
