"""Two builds are found, read and compared; where that cannot be, the next step is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from amifactory.domain.inventory import Inventory, OperatingSystem
from amifactory.domain.model import AmiId, Architecture, Build, Fingerprint, Recipe, Target, Verdict
from amifactory.errors import AmifactoryError
from amifactory.operations.compare import compare_builds
from amifactory.sbom import BuildIdentity, to_cyclonedx

if TYPE_CHECKING:
    from amifactory.config.models import Configuration
    from amifactory.domain.comparison import Comparison

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
INVENTORY = Inventory(os=OperatingSystem(id="debian", version="12", name="Debian 12"), kernel="6.1")
BASE = Recipe(
    architecture=Architecture.X86_64,
    files={"install.sh": "1"},
    variables={"image_name": "base"},
    prepull={},
    parent="ami-source",
)
LEFT = replace(BASE, variables={"image_name": "left"}, parent=BASE.fingerprint)


@dataclass
class Records:
    """What a test says is kept."""

    reports: dict[tuple[str, str], str] = field(default_factory=dict)
    recipes: dict[Fingerprint, Recipe] = field(default_factory=dict)

    def report(self, ami_id: str, name: str) -> bytes | None:
        text = self.reports.get((ami_id, name))
        return text.encode() if text is not None else None

    def recipe(self, fingerprint: Fingerprint) -> Recipe | None:
        return self.recipes.get(fingerprint)

    def keep(self, build: Build, inventory: Inventory, **report: object) -> None:
        identity = BuildIdentity(
            target=build.target,
            ami_id=build.ami_id,
            parent=build.parent,
            fingerprint=build.fingerprint,
            region=build.region,
            verified_at=NOW,
        )
        self.reports[build.ami_id, "sbom.cdx.json"] = to_cyclonedx(inventory, identity)
        self.reports[build.ami_id, "report.json"] = json.dumps(report)


@pytest.fixture
def records() -> Records:
    return Records(recipes={recipe.fingerprint: recipe for recipe in (BASE, LEFT)})


def build(ami_id: str, *, days_ago: int = 0, recipe: Recipe = LEFT, image: str = "left") -> Build:
    return Build(
        target=Target(image=image, architecture=Architecture.X86_64),
        ami_id=AmiId(ami_id),
        name=ami_id,
        region="eu-central-1",
        fingerprint=recipe.fingerprint,
        parent=AmiId("ami-base"),
        verdict=Verdict.VERIFIED,
        created_at=NOW - timedelta(days=days_ago),
    )


OLDER, OLD, NEW = build("ami-older", days_ago=2), build("ami-old", days_ago=1), build("ami-new")
BUILDS = (OLD, NEW, OLDER)


def compared(configuration: Configuration, records: Records, *wanted: str) -> Comparison:
    return compare_builds(configuration, BUILDS, records, wanted)


def sides(comparison: Comparison) -> tuple[str, str]:
    return comparison.before.build.ami_id, comparison.after.build.ami_id


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (("left",), ("ami-old", "ami-new")),
        (("ami-old",), ("ami-older", "ami-old")),
        (("ami-older", "left"), ("ami-older", "ami-new")),
        (("ami-new", "ami-old"), ("ami-new", "ami-old")),
    ],
)
def test_one_build_is_compared_with_the_one_before_and_two_in_their_order(
    configuration: Configuration, records: Records, wanted: tuple[str, ...], expected: tuple[str, str]
) -> None:
    for one in BUILDS:
        records.keep(one, INVENTORY)
    assert sides(compared(configuration, records, *wanted)) == expected


def test_build_before_that_has_no_inventory_is_passed_over(
    configuration: Configuration, records: Records
) -> None:
    for one in (OLDER, NEW):
        records.keep(one, INVENTORY)
    assert sides(compared(configuration, records, "left")) == ("ami-older", "ami-new")


def test_facts_come_from_sbom_report_and_recipes(configuration: Configuration, records: Records) -> None:
    records.keep(
        NEW,
        replace(INVENTORY, units=("docker.service",)),
        disk_used_bytes=4_000_000,
        instance_type="t3.large",
        tests={"cases": [{"test": "a", "outcome": "passed", "seconds": 0.1, "message": ""}]},
        cold_start={
            "median": {"ssh": 1.0, "docker": None, "ready": 2.0, "first_run": {"b:1": 4.0, "a:1": 3.0}}
        },
    )
    records.keep(OLD, INVENTORY)
    found = compared(configuration, records, "left")
    after = found.after
    assert after.inventory.units == ("docker.service",)
    assert after.recipes == (LEFT, BASE)
    assert after.tests == {"a": "passed"}
    assert list(after.cold_start.items()) == [
        ("ssh", 1.0),
        ("docker", None),
        ("ready", 2.0),
        ("first run a:1", 3.0),
        ("first run b:1", 4.0),
    ]
    assert (after.disk_used, after.instance_type) == (4_000_000, "t3.large")
    assert [change.name for change in found.units] == ["docker.service"]


def test_recipes_are_followed_as_far_as_they_are_kept(configuration: Configuration, records: Records) -> None:
    records.recipes.pop(BASE.fingerprint)
    for one in (OLD, NEW):
        records.keep(one, INVENTORY)
    assert compared(configuration, records, "left").after.recipes == (LEFT,)


def test_report_of_an_earlier_version_leaves_out_what_it_has_not(
    configuration: Configuration, records: Records
) -> None:
    records.keep(OLD, INVENTORY, tests={"passed": 3}, cold_start=None)
    records.keep(NEW, INVENTORY, tests=None)
    found = compared(configuration, records, "left")
    assert (found.before.tests, found.before.disk_used, found.after.instance_type) == ({}, None, None)
    assert not found.is_different


@pytest.mark.parametrize(
    ("newest", "wanted", "said"),
    [
        (
            replace(NEW, verdict=Verdict.CANDIDATE),
            "left",
            ("ami-new has no inventory: it has not been verified yet", "Run: amifactory verify left"),
        ),
        (
            NEW,
            "left",
            (
                "ami-new has no inventory: it was verified by a version that took none",
                "Run: amifactory verify left",
            ),
        ),
        (
            replace(NEW, verdict=Verdict.REJECTED),
            "left",
            ("ami-new has no inventory: it was rejected before one was taken", "Run: amifactory verify left"),
        ),
        (
            NEW,
            "ami-old",
            (
                "ami-old has no inventory: it was verified by a version that took none",
                "Only an image's newest build can be verified again; compare another: amifactory images",
            ),
        ),
    ],
)
def test_build_without_an_inventory_says_why_and_what_to_do(
    configuration: Configuration, records: Records, newest: Build, wanted: str, said: tuple[str, str]
) -> None:
    records.keep(OLDER, INVENTORY)
    with pytest.raises(AmifactoryError) as raised:
        compare_builds(configuration, (OLDER, OLD, newest), records, [wanted])
    assert (raised.value.message, raised.value.hint) == said


def test_first_build_has_nothing_to_be_compared_with(configuration: Configuration, records: Records) -> None:
    records.keep(OLDER, INVENTORY)
    with pytest.raises(AmifactoryError, match="there is no build of left/x86_64 before ami-older"):
        compared(configuration, records, "ami-older")


def test_first_build_with_an_inventory_has_nothing_to_be_compared_with(
    configuration: Configuration, records: Records
) -> None:
    records.keep(NEW, INVENTORY)
    with pytest.raises(AmifactoryError, match="no build of left/x86_64 before ami-new has an inventory"):
        compared(configuration, records, "left")
