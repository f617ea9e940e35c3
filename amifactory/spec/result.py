"""What the specs said, read from pytest's JUnit file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHOWN = 3
_MESSAGE_LENGTH = 300
_NO_TESTS_COLLECTED = 5


@dataclass(frozen=True, kw_only=True)
class SpecFailure:
    """One test that did not pass: ``node/spec/test_node.py::test_version`` and why."""

    test: str
    message: str


@dataclass(frozen=True, kw_only=True)
class SpecResult:
    """What a run of the specs came to.

    Attributes:
        errors: Tests that could not run: in collection, set-up or tear-down.
        problem: Why the build is to be rejected, in a sentence; None when it is to be verified.
    """

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: tuple[SpecFailure, ...] = ()
    problem: str | None = None

    def as_json(self) -> dict[str, object]:
        """Returns the fields, for the report."""
        return asdict(self)


def read_result(junit: Path, *, exit_status: int, seconds: float, last_line: str) -> SpecResult:
    """Returns the result of a pytest run that ended by itself.

    Args:
        junit: Its JUnit file; it may be missing.
        exit_status: Its exit status.
        seconds: How long it took.
        last_line: The last line it printed, for when nothing else says what went wrong.
    """
    counts: Counter[str] = Counter()
    failures: list[SpecFailure] = []
    for case in _cases(junit):
        kind, failure = _outcome(case)
        counts[kind] += 1
        if failure is not None:
            failures.append(failure)
    result = SpecResult(
        passed=counts["passed"],
        failed=counts["failed"],
        errors=counts["errors"],
        skipped=counts["skipped"],
        seconds=seconds,
        failures=tuple(failures),
    )
    return replace(result, problem=_problem(result, exit_status, last_line))


def _cases(junit: Path) -> Iterator[ET.Element]:
    try:
        tree = ET.parse(junit)  # noqa: S314 - written by the pytest we ran
    except (OSError, ET.ParseError):
        return
    yield from tree.iter("testcase")


def _outcome(case: ET.Element) -> tuple[str, SpecFailure | None]:
    for tag, kind in (("failure", "failed"), ("error", "errors"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            failure = None if tag == "skipped" else SpecFailure(test=_test(case), message=_message(found))
            return kind, failure
    return "passed", None


def _test(case: ET.Element) -> str:
    """Returns the test's id without the host, which is the same for all."""
    name = re.sub(r"\[ssh://[^\]-]*-?", "[", case.get("name", "")).replace("[]", "")
    file = case.get("file")
    return f"{file}::{name}" if file else name


def _message(found: ET.Element) -> str:
    """Returns the assertion, or pytest's ``E`` lines where the message says less than they do."""
    message = (found.get("message") or "").strip()
    reasons = [line[1:].strip() for line in (found.text or "").splitlines() if line.startswith("E ")]
    if reasons and (not message or message == "collection failure"):
        message = reasons[-1]
    message = " ".join(message.split())
    return message if len(message) <= _MESSAGE_LENGTH else f"{message[:_MESSAGE_LENGTH]}…"


def _problem(result: SpecResult, exit_status: int, last_line: str) -> str | None:
    bad = len(result.failures)
    if bad:
        total = bad + result.passed
        shown = "; ".join(f"{failure.test}: {failure.message}" for failure in result.failures[:_SHOWN])
        more = f"; and {bad - _SHOWN} more" if bad > _SHOWN else ""
        return f"{bad} of {total} spec tests failed: {shown}{more}"
    if exit_status == _NO_TESTS_COLLECTED:
        return "spec collected no tests"
    if exit_status != 0:
        return f"pytest ended with exit status {exit_status}: {last_line or 'it printed nothing'}"
    if result.passed == 0:
        return "spec proves nothing: every test was skipped"
    return None
