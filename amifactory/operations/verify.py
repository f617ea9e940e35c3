"""Proves a build on fresh instances; then the reports, and the verdict tag."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amifactory.aws.machine_images import verdict_tags
from amifactory.domain.cancellation import CancellationLevel
from amifactory.domain.cold_start import ColdStart, EarlierStart, median_of
from amifactory.domain.levers import Lever, levers_for
from amifactory.domain.model import Verdict
from amifactory.domain.staleness import newest_first
from amifactory.errors import ExitCode
from amifactory.operations.examination import Examination
from amifactory.operations.examiner import Examiner
from amifactory.operations.gates import judge_examination
from amifactory.operations.lineage import spec_folders
from amifactory.operations.outcome import Result
from amifactory.operations.records import JUNIT, REPORT, SBOM
from amifactory.operations.timeline import Timeline
from amifactory.operations.verification_report import make_report, make_sbom
from amifactory.spec.digest import verification_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from amifactory.domain.cancellation import Cancellation
    from amifactory.domain.cold_start import Budget
    from amifactory.domain.model import Build
    from amifactory.operations.examination import NotBooted, Subject
    from amifactory.operations.outcome import Outcome, Progress
    from amifactory.operations.records import Records
    from amifactory.operations.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What fresh instances said of a build.

    Attributes:
        problem: Why it was rejected; None when it was verified.
        cold_start: The median of what was measured, if anything was.
        levers: What would make it start faster, if that is too slow.
        report: ``report.json``; ``junit.xml`` and ``sbom.cdx.json`` lie beside it, if it could be looked at.
    """

    verdict: Verdict
    problem: str | None
    seconds: float
    cold_start: ColdStart | None
    levers: tuple[Lever, ...]
    report: Path
    log: Path


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Boots fresh instances from a build, judges what they show, and tags the verdict.

    Attributes:
        run: Id of the run; names and tags what it starts.
        progress: Told of each step.
        cancelled: Ends a verification early when requested.
        builds: Every build of the factory; how the one before started is compared with.
        repeat: How many fresh instances are started, to measure how.
    """

    workshop: Workshop
    run: str
    progress: Progress
    cancelled: Cancellation
    builds: Sequence[Build]
    repeat: int = 1

    def verify(self, subject: Subject) -> Verification:
        """Returns what fresh instances said; the verdict tag and the reports say the same.

        Raises:
            AmifactoryError: Nothing could be found out of the build: a call was refused, the instance did not
                start, a spec cannot be loaded, a secret cannot be read. The verdict stays as it was.
            CancelledError: The run was told to stop.
        """
        self.cancelled.check()
        began = self.workshop.clock()
        timeline = Timeline(self.workshop.now, self.workshop.clock)
        image = self.workshop.configuration.images[subject.target.image]
        spec = verification_digest(
            spec_folders(self.workshop.configuration, image),
            budget=image.verify.budget,
            allow_leaks=image.verify.allow_leaks,
        )
        previous = previous_start(
            subject,
            self.builds,
            self.workshop.bucket,
            instance_type=image.verify_instance_type_for(subject.target.architecture),
        )
        self.workshop.machine_images.require_imdsv2(subject.ami_id)
        found = self._examiner.examine(subject, repeat=self.repeat, timeline=timeline)
        timeline.begin("reporting")
        starts = [start.cold_start for start in found.starts] if isinstance(found, Examination) else []
        median, budget = median_of(starts), image.verify.budget
        gates = judge_examination(found, budget=budget, median=median, previous=previous)
        failed = [f"{gate.name}: {gate.problem}" for gate in gates if gate.problem]
        verdict = Verdict.REJECTED if failed else Verdict.VERIFIED
        problem = "\n".join(failed) or None
        levers = self._levers(found, median, budget, previous)
        verified_at, seconds = self.workshop.now(), self.workshop.clock() - began
        timeline.end()
        report = make_report(
            subject,
            found,
            gates=gates,
            levers=levers,
            previous=previous,
            timeline=timeline,
            fields={
                "region": self.workshop.session.region,
                "instance_type": image.verify_instance_type_for(subject.target.architecture),
                "verified_at": verified_at.isoformat(),
                "verdict": verdict.value,
                "problem": problem,
                "seconds": round(seconds, 1),
            },
        )
        sbom = make_sbom(subject, found, region=self.workshop.session.region, verified_at=verified_at)
        written = self._write(subject, {REPORT: json.dumps(report, indent=2) + "\n", SBOM: sbom})
        self.workshop.machine_images.tag(subject.ami_id, verdict_tags(verdict, spec))
        return Verification(
            verdict=verdict,
            problem=problem,
            seconds=seconds,
            cold_start=median,
            levers=levers,
            report=written / REPORT,
            log=subject.directory / "spec.log",
        )

    def close(self) -> None:
        """Removes what all verifications shared; waits for AWS, unless told twice to stop."""
        self.workshop.instances.close(hurry=lambda: self.cancelled.level > CancellationLevel.ORDERLY)

    @property
    def _examiner(self) -> Examiner:
        return Examiner(
            workshop=self.workshop, run=self.run, progress=self.progress, cancelled=self.cancelled
        )

    def _levers(
        self,
        found: Examination | NotBooted,
        median: ColdStart | None,
        budget: Budget,
        previous: EarlierStart | None,
    ) -> tuple[Lever, ...]:
        """Returns what would make it start faster, where that is AWS's to sell."""
        if median is None or not isinstance(found, Examination) or self.workshop.session.endpoint_url:
            return ()
        sizes = {image.reference: image.size for image in found.inventory.container_images}
        region = self.workshop.session.region
        return levers_for(median, budget, region=region, previous=previous, sizes=sizes)

    def _write(self, subject: Subject, texts: Mapping[str, str | None]) -> Path:
        """Writes the reports where people and later commands look: beside the factory and in its bucket."""
        folder = self.workshop.report_directory(subject.ami_id)
        folder.mkdir(parents=True, exist_ok=True)
        junit = subject.directory / JUNIT
        for name, text in {**texts, JUNIT: junit.read_text("utf-8") if junit.exists() else None}.items():
            if text is None:  # an earlier verification's would speak of another run
                (folder / name).unlink(missing_ok=True)
                self.workshop.bucket.delete_report(subject.ami_id, folder / name)
            else:
                (folder / name).write_text(text, "utf-8")
                self.workshop.bucket.put_report(subject.ami_id, folder / name)
        return folder


def previous_start(
    subject: Subject, builds: Iterable[Build], records: Records, *, instance_type: str
) -> EarlierStart | None:
    """Returns how the newest other verified build of the image started.

    Args:
        subject: The build to compare with it.
        builds: Every build of the factory.
        records: Where their reports are.
        instance_type: What it was started as; on another type it says nothing, and None is returned.
    """
    for build in newest_first(builds).get(subject.target, ()):
        if build.ami_id == subject.ami_id or build.verdict is not Verdict.VERIFIED:
            continue
        report = json.loads(records.report(build.ami_id, REPORT) or "{}")
        is_alike = report.get("instance_type") == instance_type and report.get("verdict") == build.verdict
        if is_alike and report.get("cold_start"):
            median = ColdStart.from_json(report["cold_start"]["median"])
            return EarlierStart(ami_id=build.ami_id, cold_start=median)
        return None
    return None


def judged(outcome: Outcome, proof: Verification) -> Outcome:
    """Returns the outcome with what its verification found."""
    outcome = replace(
        outcome,
        verify_seconds=proof.seconds,
        cold_start=proof.cold_start,
        levers=proof.levers,
        report=proof.report,
        log=outcome.log or proof.log,
    )
    if proof.verdict is Verdict.VERIFIED:
        return outcome
    return replace(
        outcome, result=Result.REJECTED, error=proof.problem, log=proof.log, exit_code=ExitCode.REJECTED
    )
