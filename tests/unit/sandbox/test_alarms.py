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
    alarms.set("a", 0.05, rung.set)
    alarms.set("b", 0.05, rung.set)
    alarms.cancel("a")
    alarms.cancel("a")
    alarms.close()
    assert not rung.wait(0.2)


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
