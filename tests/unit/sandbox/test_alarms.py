"""Alarms: one for each key, replaced, cancelled, and none after the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from amifactory.sandbox.alarms import Alarms

if TYPE_CHECKING:
    import pytest

LONG = 600.0


def test_it_rings_once_and_is_gone() -> None:
    alarms, rung = Alarms(), threading.Event()
    alarms.set("a", 0.01, rung.set)
    assert rung.wait(5)
    assert alarms.left("a") is None


def test_a_later_one_replaces_it() -> None:
    alarms, rung = Alarms(), threading.Event()
    first: list[str] = []
    alarms.set("a", 0.05, lambda: first.append("rung"))
    alarms.set("a", 0.1, rung.set)
    assert rung.wait(5)
    assert first == []


def test_none_rings_when_cancelled_or_closed() -> None:
    alarms, rung = Alarms(), threading.Event()
    for key in ("cancelled", "closed"):
        alarms.set(key, LONG, rung.set)
    names = {"alarm-cancelled", "alarm-closed"}
    timers = [thread for thread in threading.enumerate() if thread.name in names]
    alarms.cancel("cancelled")
    alarms.cancel("cancelled")
    alarms.close()
    for timer in timers:
        timer.join(5)
    assert [timer.is_alive() for timer in timers] == [False, False]
    assert not rung.is_set()


def test_ringing_now() -> None:
    alarms, rung = Alarms(), threading.Event()
    alarms.set("a", LONG, rung.set)
    left = alarms.left("a")
    assert left is not None
    assert LONG - 5 < left <= LONG
    alarms.ring("a")
    assert rung.is_set()
    assert alarms.left("a") is None


def test_one_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    alarms = Alarms()
    alarms.set("a", LONG, lambda: 1 // 0)  # type: ignore[arg-type]
    alarms.ring("a")
    assert "alarm a failed" in caplog.text
