"""Compares two builds by what their last verifications found: ``amifactory diff``."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from amifactory.domain.comparison import BuildFacts, compare
from amifactory.domain.model import Verdict
from amifactory.errors import AmifactoryError
from amifactory.operations.find_build import builds_before, find_build, is_newest
from amifactory.operations.records import REPORT, SBOM, recipes_below
from amifactory.sbom import from_cyclonedx

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from amifactory.config.models import Configuration
    from amifactory.domain.comparison import Comparison
    from amifactory.domain.model import Architecture, Build
    from amifactory.operations.records import Records

_NO_INVENTORY = {
    Verdict.CANDIDATE: "it has not been verified yet",
    Verdict.VERIFIED: "it was verified by a version that took none",
    Verdict.REJECTED: "it was rejected before one was taken",
}


def compare_builds(
    configuration: Configuration,
    builds: Collection[Build],
    records: Records,
    wanted: Sequence[str],
    *,
    architecture: Architecture | None = None,
) -> Comparison:
    """Compares two builds, or one with the latest before it that has an inventory.

    Args:
        configuration: The factory.
        builds: Every build of it.
        records: What is kept about them.
        wanted: One or two: AMI ids, or images for their newest builds. Of two, the earlier one first.
        architecture: Which one, for an image that is built for several.

    Raises:
        UsageError: There is no such build.
        AmifactoryError: There is none to compare it with, or a build has no inventory.
        AwsError: A call was refused.
    """
    found = [find_build(configuration, builds, text, architecture=architecture) for text in wanted]
    after = found[-1]
    later = _inventory(after, builds, records)
    if len(found) > 1:
        before, earlier = found[0], _inventory(found[0], builds, records)
    else:
        before, earlier = _before(after, builds, records)
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="facts") as pool:
        facts = pool.map(_facts, (before, after), (earlier, later), (records, records))
        return compare(*facts)


def _before(build: Build, builds: Collection[Build], records: Records) -> tuple[Build, bytes]:
    """Returns the latest build before one that has an inventory, and that."""
    history = builds_before(builds, build)
    for earlier in history:
        if sbom := records.report(earlier.ami_id, SBOM):
            return earlier, sbom
    if history:
        raise AmifactoryError(f"no build of {build.target} before {build.ami_id} has an inventory")
    raise AmifactoryError(
        f"there is no build of {build.target} before {build.ami_id} to compare it with",
        hint="Two builds can be named, too: amifactory diff BUILD BUILD",
    )


def _inventory(build: Build, builds: Collection[Build], records: Records) -> bytes:
    sbom = records.report(build.ami_id, SBOM)
    if sbom is not None:
        return sbom
    if is_newest(builds, build):
        hint = f"Run: amifactory verify {build.target.image}"
    else:
        hint = "Only an image's newest build can be verified again; compare another: amifactory images"
    raise AmifactoryError(f"{build.ami_id} has no inventory: {_NO_INVENTORY[build.verdict]}", hint=hint)


def _facts(build: Build, sbom: bytes, records: Records) -> BuildFacts:
    report = json.loads(records.report(build.ami_id, REPORT) or b"{}")
    tests = report.get("tests") or {}
    recipe = records.recipe(build.fingerprint)
    return BuildFacts(
        build=build,
        inventory=from_cyclonedx(sbom),
        recipes=tuple(recipes_below(recipe, records.recipe)) if recipe else (),
        tests={case["test"]: case["outcome"] for case in tests.get("cases") or ()},
        cold_start=dict(_cold_start((report.get("cold_start") or {}).get("median") or {})),
        disk_used=report.get("disk_used_bytes"),
        instance_type=report.get("instance_type"),
    )


def _cold_start(median: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    for part in ("ssh", "docker", "ready"):
        yield part, median.get(part)
    for reference, seconds in sorted((median.get("first_run") or {}).items()):
        yield f"first run {reference}", seconds
