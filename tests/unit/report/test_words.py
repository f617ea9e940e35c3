"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from amifactory.report import words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (9.44, "9.4 s"),
        (99.94, "99.9 s"),
        (99.96, "1 min 40 s"),
        (252, "4 min 12 s"),
        (3599.6, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_a_length_of_time(value: float | None, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (999, "999 B"), (1000, "1.0 kB"), (4_123_000_000, "4.1 GB"), (2e15, "2000.0 TB")],
)
def test_a_number_of_bytes(value: float | None, said: str) -> None:
    assert words.size(value) == said


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (44.25, 40.0, "+4.2 s, +11 %"),
        (40.0, 44.0, "-4.0 s, -9 %"),
        (40.02, 40.0, "same"),
        (3.0, 0.0, "+3.0 s"),
        (None, 40.0, "-"),
        (40.0, None, "-"),
    ],
)
def test_a_change(now: float | None, before: float | None, said: str) -> None:
    assert words.change(now, before) == said


def test_a_limit_is_written_as_its_owner_wrote_it() -> None:
    assert [words.limit(60.0), words.limit(2.5), words.limit(None)] == ["60 s", "2.5 s", "-"]


def test_a_moment_says_its_zone() -> None:
    assert words.moment(datetime(2026, 3, 1, 9, 5, tzinfo=UTC)) == "2026-03-01 09:05 UTC"


def test_things_are_counted() -> None:
    assert words.counted(0, "file") == "no files"
    assert words.counted(1, "file") == "1 file"
    assert words.counted(61204, "file") == "61,204 files"
