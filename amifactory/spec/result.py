"""What the specs said, read from pytest's JUnit file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SHOWN = 3
_MESSAGE_LENGTH = 300
_NO_TESTS_COLLECTED = 5
_NUMBERS = {"errors", "failures", "line", "skipped", "tests", "time", "timestamp"}
_COLLECTION_FAILURE = "collection failure"
"""What pytest calls a file that it cannot import, in JUnit's ``message``."""


@dataclass(frozen=True, kw_only=True)
class SpecFailure:
    """One test that did not pass: ``node/spec/test_node.py::test_version`` and why."""

    test: str
    message: str


@dataclass(frozen=True, kw_only=True)
class SpecCase:
    """One test: how it ended (``passed``, ``failed``, ``error`` or ``skipped``), and why if not well."""

    test: str
    outcome: str
    seconds: float
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class SpecResult:
    """What a run of the specs came to.

    Attributes:
        errors: Tests that could not run: in collection, set-up or tear-down.
        broken: Why a spec could not even be loaded.
        problem: Why the build is to be rejected, in a sentence; None when it is to be verified.
    """

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: tuple[SpecFailure, ...] = ()
    cases: tuple[SpecCase, ...] = ()
    broken: str | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, object]:
        """Returns the fields, for the report."""
        return asdict(self)


def keep_masked(written: Path, kept: Path, *, mask: Callable[[str], str]) -> bool:
    """Copies a JUnit file, masking all text in it; returns False when there is none, or not all of it."""
    try:
        tree = ET.parse(written)  # noqa: S314 - written by the pytest we ran
    except (OSError, ET.ParseError):
        return False
    for element in tree.iter():
        element.text = mask(element.text) if element.text else element.text
        for name in element.attrib.keys() - _NUMBERS:
            element.set(name, mask(element.attrib[name]))
    tree.write(kept, "utf-8", xml_declaration=True)
    return True


def read_result(junit: Path, *, exit_status: int, seconds: float, last_line: str) -> SpecResult:
    """Returns the result of a pytest run that ended by itself.

    Args:
        junit: Its JUnit file; it may be missing.
        exit_status: Its exit status.
        seconds: How long it took.
        last_line: The last line it printed, for when nothing else says what went wrong.
    """
    cases = tuple(_case(element) for element in _elements(junit))
    counts = Counter(case.outcome for case in cases)
    failures = tuple(
        SpecFailure(test=case.test, message=case.message)
        for case in cases
        if case.outcome in {"failed", "error"}
    )
    result = SpecResult(
        passed=counts["passed"],
        failed=counts["failed"],
        errors=counts["error"],
        skipped=counts["skipped"],
        seconds=seconds,
        failures=failures,
        cases=cases,
        broken=_broken(junit),
    )
    return replace(result, problem=_problem(result, exit_status, last_line))


def _elements(junit: Path) -> Iterator[ET.Element]:
    try:
        tree = ET.parse(junit)  # noqa: S314 - written by the pytest we ran
    except (OSError, ET.ParseError):
        return
    yield from tree.iter("testcase")


def _case(element: ET.Element) -> SpecCase:
    outcome, message = "passed", ""
    for tag, kind in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        found = element.find(tag)
        if found is not None:
            outcome, message = kind, _message(found)
            break
    seconds = float(element.get("time") or 0)
    return SpecCase(test=_test(element), outcome=outcome, seconds=seconds, message=message)


def _broken(junit: Path) -> str | None:
    """Returns why pytest could not collect a file, if there is one."""
    for element in _elements(junit):
        error = element.find("error")
        if error is not None and error.get("message") == _COLLECTION_FAILURE:
            return f"{_test(element)}: {_message(error)}"
    return None


def _test(case: ET.Element) -> str:
    """Returns the test's id without the host, which is the same for all."""
    name = re.sub(r"\[ssh://[^\]-]*-?", "[", case.get("name", "")).replace("[]", "")
    file = case.get("file")
    return f"{file}::{name}" if file else name


def _message(found: ET.Element) -> str:
    """Returns the assertion, or pytest's ``E`` lines where the message says less than they do."""
    message = (found.get("message") or "").strip()
    reasons = [line[1:].strip() for line in (found.text or "").splitlines() if line.startswith("E ")]
    if reasons and (not message or message == _COLLECTION_FAILURE):
        message = reasons[-1]
    message = " ".join(message.split())
    return message if len(message) <= _MESSAGE_LENGTH else f"{message[:_MESSAGE_LENGTH]}…"


def _problem(result: SpecResult, exit_status: int, last_line: str) -> str | None:
    bad = len(result.failures)
    if bad:
        total = bad + result.passed
        shown = "; ".join(f"{failure.test}: {failure.message}" for failure in result.failures[:_SHOWN])
        more = f"; and {bad - _SHOWN} more" if bad > _SHOWN else ""
        return f"{bad} of {total} tests failed: {shown}{more}"
    if exit_status == _NO_TESTS_COLLECTED:
        return "no test was collected"
    if exit_status != 0:
        return f"pytest ended with exit status {exit_status}: {last_line or 'it printed nothing'}"
    if result.passed == 0:
        return "every test was skipped, which proves nothing"
    return None
