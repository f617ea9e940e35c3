"""What the specs said, file by file: what did not pass first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from amifactory.report import words

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORST_FIRST = ("error", "failed", "skipped", "passed")
_BAD = frozenset({"error", "failed"})


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test; ``message`` says why it did not pass."""

    name: str
    outcome: str
    takes: str
    message: str

    @property
    def is_bad(self) -> bool:
        """Returns whether it rejects the build."""
        return self.outcome in _BAD


@dataclass(frozen=True, kw_only=True)
class SpecFile:
    """The tests of one file, the worst first."""

    path: str
    summary: str
    is_bad: bool
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class SpecResults:
    """The whole section.

    Attributes:
        problem: Why the spec rejects the build, if no test says it.
    """

    summary: str
    takes: str
    problem: str | None
    files: tuple[SpecFile, ...]


def spec_results(report: Mapping[str, Any]) -> SpecResults | None:
    """Returns the section; None for a build on which no spec has run."""
    tests = report.get("tests")
    if not tests:
        return None
    counts = Counter({name: tests[key] for name, key in _COUNTS.items()})
    cases = sorted(tests.get("cases", ()), key=_file)
    files = [_spec_file(path, list(found)) for path, found in groupby(cases, key=_file)]
    return SpecResults(
        summary=_summary(counts),
        takes=words.seconds(tests["seconds"]),
        problem=None if any(file.is_bad for file in files) else tests.get("problem"),
        files=tuple(sorted(files, key=lambda file: not file.is_bad)),
    )


_COUNTS = {"error": "errors", "failed": "failed", "skipped": "skipped", "passed": "passed"}


def _file(case: Mapping[str, Any]) -> str:
    return str(case["test"]).partition("::")[0]


def _spec_file(path: str, cases: list[Mapping[str, Any]]) -> SpecFile:
    found = [
        Case(
            name=str(case["test"]).partition("::")[2] or path,
            outcome=case["outcome"],
            takes=words.seconds(case["seconds"]),
            message=case.get("message") or "",
        )
        for case in cases
    ]
    return SpecFile(
        path=path,
        summary=_summary(Counter(case.outcome for case in found)),
        is_bad=any(case.is_bad for case in found),
        cases=tuple(sorted(found, key=lambda case: _WORST_FIRST.index(case.outcome))),
    )


def _summary(counts: Counter[str]) -> str:
    named = (("passed", "passed"), ("failed", "failed"), ("error", "could not run"), ("skipped", "skipped"))
    said = [f"{counts[outcome]} {name}" for outcome, name in named if counts[outcome]]
    return ", ".join(said) or "no test"
