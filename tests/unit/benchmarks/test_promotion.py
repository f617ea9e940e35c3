"""What a fleet costs: what a promotion of fewer fleets costs is not counted in."""

from __future__ import annotations

import pytest
from fleet_account import Asked, Fleets
from fleet_status import CALLS
from measure import Taken
from promotion import each_more, fleet_seconds


def asked(calls: int, *, throttled: int = 0) -> Asked:
    faults = ["throttle"] * throttled + [None] * (calls - throttled)
    services = ["s3", "ec2"] * calls
    return Asked(
        taken=Taken(wall=1, cpu=1, output=""),
        calls=tuple(
            {"service": service, "fault": fault} for service, fault in zip(services, faults, strict=False)
        ),
    )


def test_what_all_promotions_make_is_no_fleets_call() -> None:
    assert each_more(asked(30 + 5 * 25), asked(30 + 5 * 50), 25) == 5


def test_start_up_is_no_fleets_time() -> None:
    assert fleet_seconds([1.5, 3.9, 8.5], (1, 25, 50)) == pytest.approx([0.1, 1 / 7])


def test_calls_are_told_apart_by_service_and_fault() -> None:
    one = asked(5, throttled=2)
    assert (one.of_service("s3"), one.of_service("s3", "ec2"), one.throttled) == (3, 5, 2)


def test_fleets_of_two_channels_have_different_names() -> None:
    first, second = (Fleets(channel=name, number=2) for name in ("one", "two"))
    assert first.names == ("one-000", "one-001")
    assert not set(first.names) & set(second.names)


def test_the_limit_of_a_status_is_two_calls_for_50_fleets_and_one_for_50_templates() -> None:
    assert CALLS == 4 * 2 + 4
