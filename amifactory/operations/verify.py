"""Proves a build on fresh instances; then the reports, and the verdict tag."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from amifactory.aws.machine_images import verdict_tags
from amifactory.domain.cancellation import CancellationLevel
from amifactory.domain.cold_start import Budget, ColdStart, EarlierStart, median_of, p95_of
from amifactory.domain.levers import Lever, levers_for
from amifactory.domain.model import Verdict
from amifactory.errors import ExitCode
from amifactory.operations.examination import Examination, Examiner, Subject
from amifactory.operations.gates import judge_examination
from amifactory.operations.outcome import Result
from amifactory.operations.plan import spec_folders
from amifactory.operations.timeline import Timeline
from amifactory.sbom import BuildIdentity, to_cyclonedx
from amifactory.spec.digest import spec_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from amifactory.config.models import Image
    from amifactory.domain.cancellation import Cancellation
    from amifactory.domain.model import Fingerprint, Recipe
    from amifactory.operations.outcome import Outcome, Progress
    from amifactory.operations.workshop import Workshop

REPORT, SBOM, JUNIT = "report.json", "sbom.cdx.json", "junit.xml"


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
        ancestors: Finds the recipe of an ancestor by fingerprint.
        progress: Told of each step.
        cancelled: Ends a verification early when requested.
        repeat: How many fresh instances are started, to measure how.
    """

    workshop: Workshop
    run: str
    ancestors: Callable[[Fingerprint], Recipe | None]
    progress: Progress
    cancelled: Cancellation
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
        spec = spec_digest(spec_folders(self.workshop.configuration, self._image(subject)))
        found = self._examiner.examine(subject, repeat=self.repeat, timeline=timeline)
        timeline.begin("reporting")
        previous = self._previous(subject)
        median = median_of([start.cold_start for start in found.starts])
        gates = judge_examination(found, budget=self._budget(subject), median=median, previous=previous)
        failed = [f"{gate.name}: {gate.problem}" for gate in gates if gate.problem]
        verdict = Verdict.REJECTED if failed else Verdict.VERIFIED
        problem = "\n".join(failed) or None
        timeline.end()
        seconds = self.workshop.clock() - began
        levers = self._levers(subject, found, median, previous)
        verified_at = self.workshop.now()
        document = {
            **self._identity(subject),
            "verified_at": verified_at.isoformat(),
            "verdict": verdict.value,
            "problem": problem,
            "seconds": round(seconds, 1),
            "gates": [gate.as_json() for gate in gates],
            "cold_start": self._cold_start(found, median),
            "previous": previous.ami_id if previous else None,
            "levers": [lever.as_json() for lever in levers],
            "leaks": found.leaks,
            "disk_used_bytes": found.starts[0].disk_used if found.starts else None,
            "tests": found.spec.as_json() if found.spec else None,
            "timeline": timeline.as_json(),
        }
        sbom = to_cyclonedx(found.inventory, self._named(subject, verified_at)) if found.inventory else None
        report = self._write_reports(subject, {REPORT: json.dumps(document, indent=2) + "\n", SBOM: sbom})
        self.workshop.machine_images.tag(subject.ami_id, verdict_tags(verdict, spec))
        return Verification(
            verdict=verdict,
            problem=problem,
            seconds=seconds,
            cold_start=median,
            levers=levers,
            report=report,
            log=subject.directory / "spec.log",
        )

    def close(self) -> None:
        """Removes what all verifications shared; waits for AWS, unless told twice to stop."""
        self.workshop.instances.close(hurry=lambda: self.cancelled.level > CancellationLevel.ORDERLY)

    @property
    def _examiner(self) -> Examiner:
        return Examiner(
            workshop=self.workshop,
            run=self.run,
            ancestors=self.ancestors,
            progress=self.progress,
            cancelled=self.cancelled,
        )

    def _image(self, subject: Subject) -> Image:
        return self.workshop.configuration.images[subject.target.image]

    def _instance_type(self, subject: Subject) -> str:
        return self._image(subject).verify_instance_type_for(subject.target.architecture)

    def _budget(self, subject: Subject) -> Budget:
        verify = self._image(subject).verify
        return Budget(
            ready_within=verify.ready_within.total_seconds() if verify.ready_within else None,
            first_run_within=verify.first_run_within.total_seconds() if verify.first_run_within else None,
            regression=verify.regression,
        )

    def _previous(self, subject: Subject) -> EarlierStart | None:
        """Returns how the newest other verified build of the image started on the same instance type."""
        builds = self.workshop.machine_images.builds(self.workshop.factory)
        verified = [
            build
            for build in builds
            if build.target == subject.target
            and build.ami_id != subject.ami_id
            and build.verdict is Verdict.VERIFIED
        ]
        for build in sorted(verified, key=lambda build: build.created_at, reverse=True)[:1]:
            text = self.workshop.bucket.report(build.ami_id, REPORT)
            report = json.loads(text) if text else {}
            if report.get("cold_start") and report.get("instance_type") == self._instance_type(subject):
                median = ColdStart.from_json(report["cold_start"]["median"])
                return EarlierStart(ami_id=build.ami_id, cold_start=median)
        return None

    def _identity(self, subject: Subject) -> dict[str, object]:
        return {
            "schema": 1,
            "image": subject.target.image,
            "architecture": subject.target.architecture.value,
            "ami_id": subject.ami_id,
            "parent": subject.parent,
            "fingerprint": subject.recipe.fingerprint,
            "region": self.workshop.session.region,
            "instance_type": self._instance_type(subject),
        }

    def _cold_start(self, found: Examination, median: ColdStart | None) -> dict[str, Any] | None:
        samples = [start.cold_start for start in found.starts]
        p95 = p95_of(samples)
        if median is None or p95 is None:
            return None
        return {
            "samples": [sample.as_json() for sample in samples],
            "median": median.as_json(),
            "p95": p95.as_json(),
        }

    def _levers(
        self, subject: Subject, found: Examination, median: ColdStart | None, previous: EarlierStart | None
    ) -> tuple[Lever, ...]:
        """Returns what would make it start faster, where that is AWS's to sell."""
        if median is None or self.workshop.session.endpoint_url:
            return ()
        images = found.inventory.container_images if found.inventory else ()
        return levers_for(
            median,
            self._budget(subject),
            region=self.workshop.session.region,
            previous=previous,
            sizes={image.reference: image.size for image in images},
        )

    def _named(self, subject: Subject, verified_at: datetime) -> BuildIdentity:
        return BuildIdentity(
            target=subject.target,
            ami_id=subject.ami_id,
            parent=subject.parent,
            fingerprint=subject.recipe.fingerprint,
            region=self.workshop.session.region,
            verified_at=verified_at,
        )

    def _write_reports(self, subject: Subject, texts: Mapping[str, str | None]) -> Path:
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
        return folder / REPORT


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
