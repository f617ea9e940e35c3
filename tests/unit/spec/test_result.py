"""What pytest's JUnit file and exit status say of a build."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from amifactory.spec.result import SpecCase, SpecResult, keep_masked, read_result

if TYPE_CHECKING:
    from pathlib import Path

CASE = '<testcase classname="c" name="{name}" file="node/spec/test_node.py" time="0.1">{inner}</testcase>'
GOOD = CASE.format(name="test_good[ssh://instance]", inner="")
BAD = CASE.format(
    name="test_bad[ssh://instance-npm]",
    inner='<failure message="AssertionError: no npm&#10;assert 1">E  x</failure>',
)
SKIPPED = CASE.format(name="test_skipped[ssh://instance]", inner='<skipped message="left out"/>')
BROKEN = CASE.format(
    name="node.spec.test_node",
    inner='<error message="collection failure">E   ModuleNotFoundError: No module named "x"</error>',
)


def result(tmp_path: Path, *cases: str, exit_status: int = 0) -> SpecResult:
    junit = tmp_path / "junit.xml"
    junit.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return read_result(junit, exit_status=exit_status, seconds=1.5, last_line="the last line")


def test_all_passed(tmp_path: Path) -> None:
    found = result(tmp_path, GOOD, GOOD, SKIPPED)
    assert (found.passed, found.skipped, found.seconds, found.failures) == (2, 1, 1.5, ())
    assert (found.problem, found.broken) == (None, None)
    assert found.cases[0] == SpecCase(
        test="node/spec/test_node.py::test_good", outcome="passed", seconds=0.1, message=""
    )
    assert (found.cases[2].outcome, found.cases[2].message) == ("skipped", "left out")


def test_a_failure_names_test_and_reason(tmp_path: Path) -> None:
    found = result(tmp_path, GOOD, BAD, exit_status=1)
    assert (found.passed, found.failed, found.errors) == (1, 1, 0)
    assert found.failures[0].test == "node/spec/test_node.py::test_bad[npm]"
    assert found.failures[0].message == "AssertionError: no npm assert 1"
    assert found.problem == (
        "1 of 2 tests failed: node/spec/test_node.py::test_bad[npm]: AssertionError: no npm assert 1"
    )


def test_a_collection_error_says_what_could_not_be_imported(tmp_path: Path) -> None:
    found = result(tmp_path, BROKEN, exit_status=2)
    assert found.errors == 1
    assert found.problem is not None
    assert 'No module named "x"' in found.problem
    assert found.broken is not None
    assert "node/spec/test_node.py" in found.broken


def test_many_failures_are_counted_not_listed(tmp_path: Path) -> None:
    found = result(tmp_path, *[BAD] * 10, exit_status=1)
    assert found.problem is not None
    assert found.problem.startswith("10 of 10 tests failed: ")
    assert found.problem.endswith("; and 7 more")
    assert len(found.failures) == 10


@pytest.mark.parametrize(
    ("cases", "exit_status", "problem"),
    [
        ([], 5, "no test was collected"),
        ([SKIPPED], 0, "every test was skipped, which proves nothing"),
        ([], 4, "pytest ended with exit status 4: the last line"),
        ([GOOD], 3, "pytest ended with exit status 3: the last line"),
        ([GOOD], -9, "pytest ended with exit status -9: the last line"),
    ],
)
def test_what_else_is_no_proof(tmp_path: Path, cases: list[str], exit_status: int, problem: str) -> None:
    assert result(tmp_path, *cases, exit_status=exit_status).problem == problem


@pytest.mark.parametrize("text", [None, "", "<testsuite><testcase", "nonsense"])
def test_a_missing_or_broken_file_never_verifies(tmp_path: Path, text: str | None) -> None:
    junit = tmp_path / "junit.xml"
    if text is not None:
        junit.write_text(text)
    for status in (0, 1, 5):
        assert read_result(junit, exit_status=status, seconds=0, last_line="").problem


def test_long_messages_are_cut(tmp_path: Path) -> None:
    inner = f'<failure message="{"x" * 5000}"/>'
    found = result(tmp_path, CASE.format(name="t", inner=inner), exit_status=1)
    assert len(found.failures[0].message) == 301


def test_the_report_is_json(tmp_path: Path) -> None:
    fields = json.loads(json.dumps(result(tmp_path, BAD, exit_status=1).as_json()))
    assert fields["failures"][0]["test"] == "node/spec/test_node.py::test_bad[npm]"


def test_what_is_kept_of_the_file_is_masked_and_reads_the_same(tmp_path: Path) -> None:
    written, kept = tmp_path / "written.xml", tmp_path / "kept.xml"
    inner = (
        '<failure message="got &lt;failure&gt;">E  &lt;failure&gt;</failure><system-out>failure</system-out>'
    )
    text = f"<testsuites><testsuite>{CASE.format(name='t', inner=inner)}</testsuite></testsuites>"
    written.write_text(text)
    assert keep_masked(written, kept, mask=lambda text: text.replace("failure", "•").replace("0.1", "•"))
    found = read_result(kept, exit_status=1, seconds=0, last_line="")
    assert (found.failures[0].message, found.cases[0].seconds) == ("got <•>", 0.1)
    assert kept.read_text("utf-8").count("•") == 3


@pytest.mark.parametrize("text", [None, "", "<testsuite><testcase"])
def test_a_file_that_is_not_whole_is_not_kept(tmp_path: Path, text: str | None) -> None:
    written, kept = tmp_path / "written.xml", tmp_path / "kept.xml"
    if text is not None:
        written.write_text(text)
    assert not keep_masked(written, kept, mask=str)
    assert not kept.exists()
