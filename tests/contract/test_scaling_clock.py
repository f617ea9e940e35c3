"""The sandbox's own time, which its admin address tells and changes."""

from __future__ import annotations

import urllib.error
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_clock_jumps_ahead(clock: Callable[..., dict[str, Any]], admin: Callable[..., Any]) -> None:
    before = clock()["now"]
    assert before + 3600 <= clock(3600)["now"] < before + 3660
    assert admin("GET", "clock")["now"] >= before + 3600


def test_the_clock_runs_faster(admin: Callable[..., Any]) -> None:
    try:
        assert admin("POST", "clock", {"speed": 60})["speed"] == 60
    finally:
        assert admin("POST", "clock", {"speed": 1})["speed"] == 1


@pytest.mark.parametrize("wrong", [{}, {"speed": 0}, {"advance": -1}, {"back": 1}, [], {"speed": "fast"}])
def test_what_a_clock_does_not_do(admin: Callable[..., Any], wrong: object) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        admin("POST", "clock", wrong)
    with refused.value:
        assert refused.value.code == 400
