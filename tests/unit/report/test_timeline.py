"""Bars that are where and as long as the steps were, and can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.report.axis import round_top, ticks
from amifactory.report.timeline import lanes

if TYPE_CHECKING:
    from tests.unit.report.conftest import Example


def test_steps_follow_each_other_along_the_axis(example: type[Example]) -> None:
    made = {"timeline": example.timeline(("waiting for instance", 20.0), ("provisioning with a.sh", 60.0))}
    (lane,) = lanes(made, {})
    assert (lane.title, lane.takes, lane.began) == ("Build", "80.0 s", "2026-03-01 09:00 UTC")
    assert [(bar.left, bar.width, bar.begins, bar.takes) for bar in lane.bars] == [
        (0, 25, "0:00", "20.0 s"),
        (25, 75, "0:20", "60.0 s"),
    ]


def test_waiting_is_told_from_working_and_scripts_go_by_their_name(example: type[Example]) -> None:
    made = {"timeline": example.timeline(("waiting for instance", 20.0), ("provisioning with a.sh", 60.0))}
    (lane,) = lanes(made, {})
    assert [(bar.name, bar.waits) for bar in lane.bars] == [("waiting for instance", True), ("a.sh", False)]


def test_a_verification_has_an_axis_of_its_own(example: type[Example]) -> None:
    build, verification = lanes(
        {"timeline": example.timeline(("creating AMI", 600.0))},
        {"timeline": example.timeline(("running the spec", 7.0))},
    )
    assert build.bars[0].width == verification.bars[0].width == 100
    assert [tick.label for tick in verification.ticks] == ["0 s", "2 s", "4 s", "6 s"]


@pytest.mark.parametrize("document", [{}, {"timeline": []}, {"timeline": None}])
def test_nothing_is_drawn_of_what_is_not_known(document: dict[str, object]) -> None:
    assert lanes(document, document) == ()


@given(st.lists(st.floats(min_value=0, max_value=20_000), min_size=1, max_size=30))
def test_every_bar_can_be_seen_and_none_leaves_the_axis(seconds: list[float]) -> None:
    begins = "2026-03-01T09:00:00+00:00"
    steps = [{"name": "step", "started_at": begins, "seconds": each} for each in seconds]
    for bar in lanes({"timeline": steps}, {})[0].bars:
        assert bar.width > 0
        assert bar.left >= 0
        assert bar.left + bar.width <= 100.01


@given(st.floats(min_value=0.01, max_value=200_000))
def test_an_axis_has_a_handful_of_marks_and_shows_the_highest(highest: float) -> None:
    top = round_top(highest)
    marks = [tick.at for tick in ticks(top)]
    assert top >= highest - 0.05
    assert marks[0] == 0
    assert marks == sorted(set(marks))
    assert marks[-1] <= 100
    assert 2 <= len(marks) <= 7
