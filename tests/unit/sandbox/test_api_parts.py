"""Parts of the API side on their own: background work, filter patterns, pages, address ranges, hooks."""

from __future__ import annotations

import fnmatch
import threading
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.sandbox.ec2_network import region_range
from amifactory.sandbox.ec2_work import Work
from amifactory.sandbox.images_query import page, pattern
from amifactory.sandbox.imds import walk
from amifactory.sandbox.moto_install import missing_hooks

plain = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=12)


@given(text=plain)
def test_a_pattern_with_everything_escaped_matches_itself_only(text: str) -> None:
    escaped = "".join(f"\\{character}" if character in r"*?\\" else character for character in text)
    assert pattern(escaped).fullmatch(text)
    assert not pattern(escaped).fullmatch(f"{text}x")


@given(text=plain, wild=st.text("ab*?", max_size=8))
def test_stars_and_question_marks_match_as_in_a_shell(text: str, wild: str) -> None:
    assert bool(pattern(wild).fullmatch(text)) == fnmatch.fnmatchcase(text, wild)


@given(names=st.sets(st.text("abcdef0123456789", min_size=3, max_size=6)), size=st.integers(1, 5))
def test_pages_have_everything_once_in_order(names: set[str], size: int) -> None:
    everything: list[Any] = [SimpleNamespace(id=name) for name in sorted(names)]
    seen: list[str] = []
    token: str | None = None
    while True:
        shown, token = page(everything, size=size, token=token)
        seen += [item.id for item in shown]
        if token is None:
            break
        assert len(shown) == size
    assert seen == sorted(names)


def test_a_page_goes_on_where_it_stopped_though_something_went_meanwhile() -> None:
    everything: list[Any] = [SimpleNamespace(id=name) for name in "abcdef"]
    _, token = page(everything, size=2, token=None)
    rest, _ = page([item for item in everything if item.id not in "bc"], size=2, token=token)
    assert [item.id for item in rest] == ["d", "e"]


def test_work_of_one_key_is_in_order_and_of_two_at_once() -> None:
    work, gate = Work(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        gate.wait(5)
        done.append("slow")

    def other() -> None:
        done.append("other")
        gate.set()

    work.submit("one", slow)
    work.submit("one", lambda: done.append("after"))
    work.submit("two", other)
    work.wait(5)
    assert done == ["other", "slow", "after"]


def test_work_goes_on_after_a_job_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    done: list[str] = []

    def failing() -> None:
        raise ValueError("on purpose")

    work.submit("one", failing)
    work.submit("one", lambda: done.append("after"))
    work.wait(5)
    assert done == ["after"]
    assert "background work for one failed" in caplog.text


def test_the_regions_of_a_sandbox_have_ranges_that_do_not_meet() -> None:
    world: Any = SimpleNamespace(
        driver=SimpleNamespace(subnet=IPv4Network("172.31.16.0/20")),
        settings=SimpleNamespace(region="eu-central-1"),
        networks={},
    )
    names = ["eu-central-1", *(f"region-{number}" for number in range(8))]
    ranges = [region_range(world, "123456789012", name) for name in names]
    assert ranges[0].prefixlen == 21
    assert all(block.subnet_of(world.driver.subnet) for block in ranges)
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
    assert [region_range(world, "123456789012", name) for name in names] == ranges
    with pytest.raises(Exception, match="room for 9 Regions"):
        region_range(world, "123456789012", "one-too-many")


def test_metadata_is_found_by_path() -> None:
    tree = {"public-keys": {"0=me": None, "0": {"openssh-key": "ssh-ed25519 A"}}, "ami-id": "ami-1"}
    assert walk(tree, []) == "ami-id\npublic-keys/"
    assert walk(tree, ["public-keys"]) == "0=me"
    assert walk(tree, ["public-keys", "0"]) == "openssh-key"
    assert walk(tree, ["ami-id", "further"]) is None
    assert walk(tree, ["public-keys", "0=me"]) is None


def test_this_moto_has_every_hook_the_sandbox_builds_on() -> None:
    """All of it is private API: a new moto must not pass unnoticed."""
    assert missing_hooks() == []


def test_a_hook_that_is_gone_is_named() -> None:
    assert missing_hooks({"moto.ec2.models": ["EC2Backend.run_instances", "EC2Backend.gone"]}) == [
        "moto.ec2.models.EC2Backend.gone"
    ]
