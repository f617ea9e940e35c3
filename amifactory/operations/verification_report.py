"""The documents that a verification leaves: ``report.json``, and the inventory as an SBOM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.domain.cold_start import median_of, p95_of
from amifactory.operations.examination import Examination
from amifactory.sbom import BuildIdentity, to_cyclonedx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from amifactory.domain.cold_start import EarlierStart
    from amifactory.domain.levers import Lever
    from amifactory.operations.examination import NotBooted, Start, Subject
    from amifactory.operations.gates import GateResult
    from amifactory.operations.timeline import Timeline


def make_report(
    subject: Subject,
    found: Examination | NotBooted,
    *,
    gates: Sequence[GateResult],
    levers: Sequence[Lever],
    previous: EarlierStart | None,
    timeline: Timeline,
    fields: Mapping[str, object],
) -> dict[str, Any]:
    """Returns ``report.json``.

    Args:
        subject: The build.
        found: What fresh instances showed of it.
        gates: What each gate said.
        levers: What would make it start faster.
        previous: The build it was compared with.
        timeline: What happened when.
        fields: Region, instance type, time and verdict.
    """
    return {
        "schema": 1,
        "image": subject.target.image,
        "architecture": subject.target.architecture.value,
        "ami_id": subject.ami_id,
        "parent": subject.parent,
        "fingerprint": subject.recipe.fingerprint,
        **fields,
        "gates": [gate.as_json() for gate in gates],
        "previous": previous.ami_id if previous else None,
        "levers": [lever.as_json() for lever in levers],
        "timeline": timeline.as_json(),
        **_found(found),
    }


def make_sbom(
    subject: Subject, found: Examination | NotBooted, *, region: str, verified_at: datetime
) -> str | None:
    """Returns the inventory as CycloneDX; None when there is none."""
    if not isinstance(found, Examination):
        return None
    identity = BuildIdentity(
        target=subject.target,
        ami_id=subject.ami_id,
        parent=subject.parent,
        fingerprint=subject.recipe.fingerprint,
        region=region,
        verified_at=verified_at,
    )
    return to_cyclonedx(found.inventory, identity)


def _found(found: Examination | NotBooted) -> dict[str, Any]:
    if not isinstance(found, Examination):
        return dict.fromkeys(("cold_start", "leaks", "cut_off", "disk_used_bytes", "tests"))
    looked_at = found.starts[0]
    return {
        "cold_start": _cold_start(found.starts),
        "leaks": found.leaks,
        "cut_off": list(looked_at.cut_off),
        "disk_used_bytes": looked_at.disk_used,
        "tests": found.spec.as_json(),
    }


def _cold_start(starts: Sequence[Start]) -> dict[str, Any]:
    samples = [start.cold_start for start in starts]
    statistics = {"median": median_of(samples), "p95": p95_of(samples)}
    return {
        "samples": [sample.as_json() for sample in samples],
        **{name: value.as_json() if value else None for name, value in statistics.items()},
    }
