"""What a build is compared with, and what its spec is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from amifactory.domain.model import AmiId, Architecture, Build, Fingerprint, Recipe, Target, Verdict
from amifactory.operations.examination import Subject, spec_facts
from amifactory.operations.verify import previous_start

NODE = Target(image="node", architecture=Architecture.X86_64)
OTHER = Target(image="java", architecture=Architecture.X86_64)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SUBJECT = Subject(
    target=NODE,
    ami_id=AmiId("ami-now"),
    parent=AmiId("ami-parent"),
    recipe=Recipe(architecture=Architecture.X86_64, files={}, variables={}, prepull={}, parent="ami-parent"),
    facts={},
    directory=Path("/nowhere"),
)


@dataclass
class Kept:
    """Reports by AMI."""

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def report(self, ami_id: str, name: str) -> bytes | None:
        assert name == "report.json"
        return json.dumps(self.reports[ami_id]).encode() if ami_id in self.reports else None

    def recipe(self, fingerprint: Fingerprint) -> Recipe | None:
        raise AssertionError(fingerprint)


def build(ami_id: str, *, hours: int, verdict: Verdict = Verdict.VERIFIED, target: Target = NODE) -> Build:
    return Build(
        target=target,
        ami_id=AmiId(ami_id),
        name=ami_id,
        region="eu-central-1",
        fingerprint=Fingerprint("cd" * 32),
        parent=AmiId("ami-parent"),
        verdict=verdict,
        created_at=NOW - timedelta(hours=hours),
    )


def report(ready: float, instance_type: str = "t3.large") -> dict[str, Any]:
    median = {"ssh": 1.0, "docker": 2.0, "ready": ready, "first_run": {}}
    return {"verdict": "verified", "instance_type": instance_type, "cold_start": {"median": median}}


def compared_with(*builds: Build, **reports: dict[str, Any]) -> str | None:
    kept = Kept({name.replace("_", "-"): said for name, said in reports.items()})
    found = previous_start(SUBJECT, builds, kept, instance_type="t3.large")
    return found.ami_id if found else None


def test_the_newest_other_verified_build_of_the_target_is_compared_with() -> None:
    everything = (
        build("ami-now", hours=0),
        build("ami-rejected", hours=1, verdict=Verdict.REJECTED),
        build("ami-java", hours=1, target=OTHER),
        build("ami-before", hours=2),
        build("ami-older", hours=3),
    )
    names = ("ami_now", "ami_rejected", "ami_java", "ami_before", "ami_older")
    assert compared_with(*everything, **{name: report(5.0) for name in names}) == "ami-before"


def test_another_instance_type_says_nothing() -> None:
    builds = (build("ami-before", hours=2), build("ami-older", hours=3))
    reports = {"ami_before": report(5.0, "c7a.large"), "ami_older": report(5.0)}
    assert compared_with(*builds, **reports) is None


def test_a_build_before_without_numbers_is_no_comparison() -> None:
    before = build("ami-before", hours=2)
    assert compared_with(before) is None
    assert compared_with(before, ami_before={**report(5.0), "cold_start": None}) is None


def test_a_report_that_the_tag_contradicts_is_not_believed() -> None:
    """Its verification ended before the verdict was tagged."""
    before = build("ami-before", hours=2)
    assert compared_with(before, ami_before={**report(5.0), "verdict": "rejected"}) is None


def recipe(parent: str, tools: dict[str, str], prepull: dict[str, str]) -> Recipe:
    return Recipe(
        architecture=Architecture.X86_64,
        files={},
        variables={"tools": tools, "offline": True},
        prepull=prepull,
        parent=parent,
    )


def test_specs_know_tools_and_images_of_ancestors_and_no_source_ami_is_asked_for() -> None:
    base = recipe("ami-0123", {"jq": "1.6", "node": "20"}, {"alpine:3.20": "sha256:1"})
    child = recipe(base.fingerprint, {"node": "22"}, {"node:22": "sha256:2"})
    known = {base.fingerprint: base}
    facts = spec_facts(NODE, child, lambda fingerprint: known[fingerprint])
    assert facts["tools"] == {"jq": "1.6", "node": "22"}
    assert facts["prepull"] == {"alpine:3.20": "sha256:1", "node:22": "sha256:2"}
    assert (facts["image"], facts["offline"]) == ("node", True)
