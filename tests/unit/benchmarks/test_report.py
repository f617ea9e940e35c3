"""The table of `make bench`: what is over its limit has to show, and fail the run."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "benchmarks"
REPORT = runpy.run_path(str(FOLDER / "report.py"))


def measurement(**changes: Any) -> Any:
    fields = {"benchmark": "noop", "what": "calls", "value": 2.0, "unit": "calls", "limit": 2.0, "rounds": 1}
    return REPORT["Measurement"](**{**fields, **changes})


@pytest.mark.parametrize(
    ("value", "limit", "passed"),
    [(2.0, 2.0, True), (2.01, 2.0, False), (1.0, 0.0, False), (0.0, 0.0, True), (99.0, None, True)],
)
def test_a_value_passes_up_to_its_limit(value: float, limit: float | None, passed: bool) -> None:
    assert measurement(value=value, limit=limit).passed is passed


def test_the_table_says_what_is_over() -> None:
    lines = REPORT["table"]([measurement(), measurement(value=3.0), measurement(limit=None)]).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["pass", "OVER", "1"]


def test_the_table_shows_the_share_of_the_limit() -> None:
    assert measurement(value=1.5, unit="x", limit=2.0).row == (
        *("noop", "calls", "<= 2.000 x", "1.500 x", "0.75", "1", "pass"),
    )


def test_columns_start_where_their_headers_do() -> None:
    header, first, second = REPORT["table"]([measurement(), measurement(what="much longer")]).splitlines()
    assert {line.index("<=") for line in (first, second)} == {header.index("LIMIT")}
