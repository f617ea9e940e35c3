"""Phases one after the other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from amifactory.operations.timeline import Timeline

BEGINNING = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.seconds)

    def clock(self) -> float:
        return 1000 + self.seconds


def test_each_phase_ends_where_the_next_begins() -> None:
    time = Time()
    timeline = Timeline(time.now, time.clock)
    for name in ("booting", "booting", "waiting", "looking"):
        timeline.begin(name)
        time.seconds += 2
    timeline.end()
    timeline.end()
    assert timeline.as_json() == [
        {"name": "booting", "started_at": "2026-01-15T12:00:00+00:00", "seconds": 4.0},
        {"name": "waiting", "started_at": "2026-01-15T12:00:04+00:00", "seconds": 2.0},
        {"name": "looking", "started_at": "2026-01-15T12:00:06+00:00", "seconds": 2.0},
    ]


def test_what_has_not_ended_is_not_told() -> None:
    time = Time()
    timeline = Timeline(time.now, time.clock)
    timeline.begin("booting")
    assert timeline.as_json() == []
