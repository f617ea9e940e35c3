"""Durations and addresses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amifactory.config import grammar
from amifactory.domain.staleness import short_duration


@given(st.integers(1, 3650 * 86400))
def test_durations_survive_writing_and_reading(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert grammar.parse_duration(short_duration(duration)) == duration


@given(st.integers(1, 3650), st.sampled_from("smhd"))
def test_durations_mean_what_they_say(number: int, unit: str) -> None:
    words = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    assert grammar.parse_duration(f"{number}{unit}") == timedelta(**{words[unit]: number})


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()))
def test_anything_else_is_refused_with_a_sentence(value: object) -> None:
    assume(not (isinstance(value, str) and value[:-1].isdigit() and value[-1:] in "smhd"))
    with pytest.raises(ValueError, match="duration"):
        grammar.parse_duration(value)


@pytest.mark.parametrize(
    "text", ["0s", "0d", "3651d", "999999999d", "-5m", "5", "5 m", "5M", "1h30m", "٣m", "²s"]
)
def test_durations_that_make_no_sense(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        grammar.parse_duration(text)


@pytest.mark.parametrize(
    "text", ["https://mirror.example.com", "http://10.0.0.1:5000/path/to", "https://x/~a%20b"]
)
def test_web_addresses(text: str) -> None:
    assert grammar.url(text) == text
    assert grammar.url(f"{text}/") == text


@pytest.mark.parametrize(
    "text", ["mirror", "ftp://x", "https://", "https://user:secret@x", "https://x y", "https://x?q"]
)
def test_bad_web_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="not a web address"):
        grammar.url(text)


@pytest.mark.parametrize("text", ["https://r.example.com", "r.example.com/team", "", "-r", "r.example.com:"])
def test_bad_registry_hosts(text: str) -> None:
    with pytest.raises(ValueError, match="not a registry's host name"):
        grammar.registry_host(text)


@pytest.mark.parametrize("text", ["a", "node", "base-docker", "java-21", "a" * 32])
def test_names(text: str) -> None:
    assert grammar.name(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 33, "a b", "é"])
def test_bad_names(text: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        grammar.name(text)
