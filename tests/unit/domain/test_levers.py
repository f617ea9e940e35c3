"""Which lever helps a slow start on AWS, and what is known of its price."""

from __future__ import annotations

import pytest

from amifactory.domain.cold_start import Budget, ColdStart, EarlierStart
from amifactory.domain.levers import Lever, levers_for
from amifactory.domain.model import AmiId

BUDGET = Budget(ready_within=60.0, first_run_within=20.0, regression=0.2)
QUICK = ColdStart(ssh=20.0, docker=25.0, ready=40.0, first_run={"node:22": 4.0, "maven:3": 6.0})
SLOW_BOOT = ColdStart(ssh=20.0, docker=25.0, ready=83.0, first_run={"node:22": 4.0, "maven:3": 6.0})
SLOW_RUNS = ColdStart(ssh=20.0, docker=25.0, ready=40.0, first_run={"node:22": 31.0, "maven:3": 25.0})
GIB = 1024**3


def by_name(levers: tuple[Lever, ...]) -> dict[str, Lever]:
    return {lever.name: lever for lever in levers}


def test_what_is_quick_enough_needs_no_lever() -> None:
    assert levers_for(QUICK, BUDGET, region="us-east-1") == ()
    assert levers_for(SLOW_BOOT, Budget(), region="us-east-1") == ()


def test_a_slow_boot_is_helped_by_a_warmer_volume_and_not_by_fewer_images() -> None:
    levers = by_name(levers_for(SLOW_BOOT, BUDGET, region="us-east-1"))
    assert list(levers) == ["VolumeInitializationRate", "fast snapshot restore"]
    assert all(lever.helps.endswith(": the ready signal") for lever in levers.values())


def test_a_slow_first_run_names_each_image_and_the_one_that_costs_most() -> None:
    levers = by_name(levers_for(SLOW_RUNS, BUDGET, region="eu-central-1"))
    assert levers["fast snapshot restore"].helps.endswith(": first run of maven:3, first run of node:22")
    assert levers["a smaller pre-pull list"].helps == "node:22 costs most: 31.0 s"


def test_with_sizes_known_the_largest_of_the_late_images_costs_most() -> None:
    sizes = {"maven:3": int(1.5 * GIB), "node:22": GIB, "quick:1": 9 * GIB}
    levers = by_name(levers_for(SLOW_RUNS, BUDGET, region="eu-central-1", sizes=sizes))
    assert levers["a smaller pre-pull list"].helps == "maven:3 costs most: 25.0 s, 1.5 GiB"


def test_what_only_became_slower_than_before_is_slow_too() -> None:
    previous = EarlierStart(ami_id=AmiId("ami-before"), cold_start=QUICK)
    slower = ColdStart(ssh=20.0, docker=25.0, ready=50.0, first_run=QUICK.first_run)
    assert levers_for(slower, BUDGET, region="us-east-1") == ()
    assert levers_for(slower, BUDGET, region="us-east-1", previous=previous)


@pytest.mark.parametrize(("region", "price"), [("us-east-1", 0.75), ("eu-central-1", None)])
def test_a_price_is_stated_only_where_it_is_documented(region: str, price: float | None) -> None:
    levers = by_name(levers_for(SLOW_RUNS, BUDGET, region=region))
    assert levers["fast snapshot restore"].price_per_hour == price
    assert levers["VolumeInitializationRate"].price_per_hour is None
    assert f"what {region} charges is unknown" in levers["VolumeInitializationRate"].note
    assert levers["a smaller pre-pull list"].price_per_hour == 0.0


def test_a_lever_goes_into_a_report() -> None:
    (first, *_) = levers_for(SLOW_BOOT, BUDGET, region="us-east-1")
    assert first.as_json() == {
        "name": "VolumeInitializationRate",
        "helps": first.helps,
        "price_per_hour": None,
        "note": first.note,
    }
