"""Versions are ordered as dpkg and rpm order them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.versions import deb_key, rpm_key

DEBIAN = (
    "1.0~~",
    "1.0~~a",
    "1.0~",
    "1.0~rc1-1",
    "1.0",
    "1.0-0.1",
    "1.0-1~bpo12+1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u2",
    "1.0-1+deb12u10",
    "1.0a",
    "1.0+dfsg-1",
    "1.0.1",
    "1.9",
    "1.10-1",
    "1.10-a-1",
    "2022a",
    "20220404git9ecf45e-2",
    "1:0.1",
    "2:0",
)
"""In order; deb-version(7) gives ``~~ ~~a ~ (end) a``."""
RPM = (
    "1.0~rc1-1",
    "1.0~rc2-1",
    "1.0-1",
    "1.0^20260101-1",
    "1.0a-1",
    "1.0.a-2",
    "1.0.1-1.amzn2023.0.1",
    "1.0.1-1.amzn2023.0.2",
    "1.0.1-10.amzn2023",
    "1.9-1",
    "1.10-1",
    "1:0.1-1",
)
"""In order; rpm-version(7) and rpm's own tests, rpmvercmp.at."""

VERSIONS = st.from_regex(r"\A([01]:)?[0-9][0-9a-b.+~^]{0,5}(-[0-9a-b.~]{1,3})?\Z")


@pytest.mark.parametrize(("older", "newer"), list(pairwise(DEBIAN)))
def test_debian_versions_in_order(older: str, newer: str) -> None:
    assert deb_key(older) < deb_key(newer)


@pytest.mark.parametrize(("older", "newer"), list(pairwise(RPM)))
def test_rpm_versions_in_order(older: str, newer: str) -> None:
    assert rpm_key(older) < rpm_key(newer)


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1.0-0"), ("0:1.0-1", "1.0-1"), ("1.00", "1.0"), ("1.", "1.0")]
)
def test_debian_versions_that_are_the_same(one: str, other: str) -> None:
    assert deb_key(one) == deb_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1_0"), ("0:1.0-1", "1.0-1"), ("1.00", "1.0"), ("1.0.", "1.0")]
)
def test_rpm_versions_that_are_the_same(one: str, other: str) -> None:
    assert rpm_key(one) == rpm_key(other)


@given(VERSIONS, VERSIONS)
def test_any_two_versions_can_be_compared(one: str, other: str) -> None:
    for key in (deb_key, rpm_key):
        assert (key(one) < key(other)) + (key(one) == key(other)) + (key(one) > key(other)) == 1
