"""What the page says, as values: each section is made from the facts, or is None where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from amifactory.domain.levers import Lever
from amifactory.domain.model import Verdict
from amifactory.report import words
from amifactory.report.changes import changes
from amifactory.report.cold_start import cold_start_section, median_start, slowest
from amifactory.report.inventory_lists import inventory_lists
from amifactory.report.spec_results import spec_results
from amifactory.report.timeline import lanes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from amifactory.domain.cold_start import ColdStart
    from amifactory.report.changes import Changes
    from amifactory.report.cold_start import ColdStartSection
    from amifactory.report.facts import Facts
    from amifactory.report.inventory_lists import InventoryList
    from amifactory.report.spec_results import SpecResults
    from amifactory.report.timeline import Lane

GATES = {
    "boot": "a fresh instance starts and answers over SSH",
    "ready": "it says that it is ready for its first job",
    "prepull": "container images are there by digest and run without a registry",
    "spec": "it has what its specs promise",
    "leaks": "no secret, key or credential was left in it",
    "cold-start": "it starts within its limits",
}
"""Every gate, in the order in which an instance meets them, and what passing it means."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number worth knowing at once."""

    name: str
    value: str
    note: str = ""
    is_bad: bool = False


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """A gate and how it ended: ``passed``, ``failed`` or ``not reached``."""

    name: str
    meaning: str
    state: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An AMI of the lineage; ``verdict`` is empty for a source AMI."""

    name: str
    ami_id: str
    verdict: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """What the leak scan found: pairs of kind and file."""

    searched: str
    findings: tuple[tuple[str, str], ...]
    allowed: tuple[tuple[str, str], ...]
    not_searched: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything on the page. ``sentence`` is the verdict in words."""

    title: str
    image: str
    architecture: str
    ami_id: str
    factory: str
    region: str
    verdict: str
    sentence: str
    warnings: tuple[str, ...]
    figures: tuple[Figure, ...]
    gates: tuple[GateRow, ...]
    identity: tuple[tuple[str, str], ...]
    lineage: tuple[Stage, ...]
    lanes: tuple[Lane, ...]
    cold_start: ColdStartSection | None
    levers: tuple[Lever, ...]
    spec: SpecResults | None
    leaks: Leaks | None
    changes: Changes | None
    not_compared: str | None
    inventory: tuple[InventoryList, ...]
    places: tuple[tuple[str, str], ...]
    written: str

    @property
    def contents(self) -> tuple[tuple[str, str], ...]:
        """Returns id and title of the sections that there are."""
        sections: tuple[tuple[str, str, object], ...] = (
            ("gates", "Gates", self.gates),
            ("identity", "Identity and lineage", self.lineage),
            ("timeline", "Timeline", self.lanes),
            ("cold-start", "Cold start", self.cold_start),
            ("spec", "Spec", self.spec),
            ("leaks", "Leaks", self.leaks),
            ("changes", "Changes", self.changes or self.not_compared),
            ("inventory", "Inventory", self.inventory),
        )
        return tuple((name, title) for name, title, content in sections if content)


def make_page(facts: Facts) -> Page:
    """Returns the page of a build."""
    build, report = facts.build, facts.report
    gates = tuple(_gates(report))
    return Page(
        title=f"{build.target} {build.verdict}",
        image=build.target.image,
        architecture=build.target.architecture.value,
        ami_id=build.ami_id,
        factory=facts.factory,
        region=build.region,
        verdict=build.verdict.value,
        sentence=_sentence(facts, gates),
        warnings=tuple(_warnings(facts)),
        figures=tuple(_figures(facts)),
        gates=gates,
        identity=tuple(_identity(facts)),
        lineage=tuple(_lineage(facts)),
        lanes=lanes(facts.made, report),
        cold_start=cold_start_section(facts),
        levers=tuple(Lever(**lever) for lever in report.get("levers") or ()),
        spec=spec_results(report),
        leaks=_leaks(report.get("leaks")),
        changes=changes(facts.comparison) if facts.comparison else None,
        not_compared=facts.not_compared,
        inventory=inventory_lists(facts.inventory) if facts.inventory else (),
        places=facts.places,
        written=words.moment(facts.now),
    )


def _gates(report: Mapping[str, Any]) -> Iterator[GateRow]:
    judged = {gate["gate"]: gate for gate in report.get("gates") or ()}
    if not judged:
        return
    for name in [*GATES, *(other for other in judged if other not in GATES)]:
        gate = judged.get(name)
        state = "not reached" if gate is None else "passed" if gate["passed"] else "failed"
        yield GateRow(
            name=name,
            meaning=GATES.get(name, ""),
            state=state,
            problem=(gate or {}).get("problem") or "",
        )


def _sentence(facts: Facts, gates: Iterable[GateRow]) -> str:
    report = facts.report
    if not report:
        return "Not verified yet: nothing is known of how it works."
    on = f" on a fresh {report['instance_type']}" if report.get("instance_type") else ""
    if facts.build.verdict is Verdict.VERIFIED:
        passed = sum(gate.state == "passed" for gate in gates)
        return f"It passed {words.counted(passed, 'gate') if passed else 'its spec'}{on}."
    failed = [gate.name for gate in gates if gate.state == "failed"]
    return f"Failed: {', '.join(failed)}{on}." if failed else str(report.get("problem") or "")


def _warnings(facts: Facts) -> Iterator[str]:
    if names := facts.build.carries_secret:
        yield f"This AMI carries {words.counted(len(names), 'secret')}: {', '.join(names)}. Do not share it."
    if facts.build.offline:
        yield "Built offline, of distribution packages only: not for production."
    for left_out in facts.made.get("left_out") or ():
        yield f"Left out: {left_out}"


def _figures(facts: Facts) -> Iterator[Figure]:
    report = facts.report
    if times := median_start(report):
        yield from _time_figures(times, facts)
    if tests := report.get("tests"):
        bad = tests["failed"] + tests["errors"]
        note = f"{tests['skipped']} skipped" if tests["skipped"] else "tests passed"
        yield Figure(
            name="spec", value=f"{tests['passed']} / {tests['passed'] + bad}", note=note, is_bad=bad > 0
        )
    if leaks := report.get("leaks"):
        found = len(leaks["findings"])
        yield Figure(name="leaks", value=str(found), note=f"in {leaks['files']:,} files", is_bad=found > 0)
    if report.get("disk_used_bytes") is not None:
        yield Figure(name="disk used", value=words.size(report["disk_used_bytes"]))
    if facts.made.get("seconds"):
        yield Figure(name="build", value=words.seconds(facts.made["seconds"]), note="Packer")
    if report.get("seconds"):
        yield Figure(name="verification", value=words.seconds(report["seconds"]), note="boot to verdict")


def _time_figures(times: ColdStart, facts: Facts) -> Iterator[Figure]:
    waited = times.waited_for_account
    after = f"and {words.seconds(waited)} of waiting for the account" if waited else "after launch"
    found = (
        ("ready", times.own_ready, facts.budget.ready_within, after),
        ("slowest first run", slowest(times), facts.budget.first_run_within, "docker run"),
    )
    for name, taken, limit, otherwise in found:
        if taken is not None:
            note = f"limit {words.limit(limit)}" if limit is not None else otherwise
            is_bad = limit is not None and taken > limit
            yield Figure(name=name, value=words.seconds(taken), note=note, is_bad=is_bad)


def _identity(facts: Facts) -> Iterator[tuple[str, str]]:
    build, made = facts.build, facts.made
    yield "AMI name", build.name
    yield "Fingerprint", build.fingerprint
    yield "Built", words.moment(build.created_at)
    if made.get("packer_version"):
        yield "By", f"Packer {made['packer_version']}"
    if made.get("reasons"):
        yield "Because", "; ".join(made["reasons"])
    if facts.report.get("verified_at"):
        yield "Last verified", words.moment(datetime.fromisoformat(facts.report["verified_at"]))
    tools = (facts.recipe.variables.get("tools") if facts.recipe else None) or {}
    if isinstance(tools, dict) and tools:
        yield (
            "Tools asked for",
            ", ".join(f"{name} {str(version).partition('+')[0]}" for name, version in tools.items()),
        )


def _lineage(facts: Facts) -> Iterator[Stage]:
    for ancestor in facts.ancestors:
        above = ancestor.build
        yield Stage(
            name=ancestor.name or "an AMI that is gone",
            ami_id=ancestor.ami_id,
            verdict=above.verdict.value if above else "",
            note=f"built {above.created_at:%Y-%m-%d}" if above else "source AMI" if ancestor.name else "",
        )
    build = facts.build
    yield Stage(
        name=build.target.image,
        ami_id=build.ami_id,
        verdict=build.verdict.value,
        note=f"built {build.created_at:%Y-%m-%d}",
    )


def _leaks(leaks: Mapping[str, Any] | None) -> Leaks | None:
    if leaks is None:
        return None
    unreadable = (
        f", {words.counted(leaks['unreadable'], 'unreadable file')}" if leaks.get("unreadable") else ""
    )
    searched = (
        f"{words.counted(leaks['files'], 'file')}, {words.size(leaks['bytes'])}"
        f" in {words.seconds(leaks['seconds'])}{unreadable}"
    )
    return Leaks(
        searched=searched,
        findings=_pairs(leaks["findings"]),
        allowed=_pairs(leaks.get("allowed") or ()),
        not_searched=(*leaks.get("not_searched", ()), *leaks.get("unread", ())),
    )


def _pairs(findings: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((finding["kind"], finding["file"]) for finding in findings)
