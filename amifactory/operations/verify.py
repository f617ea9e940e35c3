"""Proves a build: its specs, and its ancestors', on a fresh instance; then the verdict tag."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from amifactory.aws.instances import InstanceSettings
from amifactory.aws.machine_images import verdict_tags
from amifactory.domain.cancellation import CancellationLevel
from amifactory.domain.model import Verdict
from amifactory.errors import AwsError, ExitCode
from amifactory.operations.outcome import Result
from amifactory.operations.plan import root_source, spec_folders
from amifactory.spec.digest import spec_digest
from amifactory.spec.run import SpecResult, SshHost, run_specs
from amifactory.spec.ssh import SshTimeoutError, wait_for_ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from amifactory.aws.instances import RunningInstance
    from amifactory.config.models import Image
    from amifactory.domain.cancellation import Cancellation
    from amifactory.domain.model import AmiId, Fingerprint, Recipe, Target
    from amifactory.operations.outcome import Outcome, Progress
    from amifactory.operations.workshop import Workshop

RUNNING_WITHIN = timedelta(minutes=10)
"""How long EC2 may take from RunInstances to ``running``; botocore's own waiter allows as much."""
SPARE = timedelta(minutes=10)
"""How much longer than all its steps a verification instance lives when nobody ends it."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is to be proven.

    Attributes:
        recipe: What the build was made from; tells the specs what to expect.
        directory: Where logs and keys of this verification are put; exists.
        verdict: What was said of it before.
    """

    target: Target
    ami_id: AmiId
    recipe: Recipe
    directory: Path
    verdict: Verdict = Verdict.CANDIDATE


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a fresh instance said of a build.

    Attributes:
        problem: Why it was rejected; None when it was verified.
        report: The JSON report; ``junit.xml`` lies beside it when a spec ran.
    """

    verdict: Verdict
    problem: str | None
    seconds: float
    report: Path
    log: Path


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Boots a fresh instance from a build, runs the specs on it, and tags the verdict.

    Attributes:
        run: Id of the run; names and tags what it starts.
        ancestors: Finds the recipe of an ancestor by fingerprint.
        progress: Told of each step.
        cancelled: Ends a verification early when requested.
    """

    workshop: Workshop
    run: str
    ancestors: Callable[[Fingerprint], Recipe | None]
    progress: Progress
    cancelled: Cancellation

    def verify(self, subject: Subject) -> Verification:
        """Returns what a fresh instance said; the verdict tag and the reports say the same.

        Raises:
            AwsError: A call was refused or the instance did not start; the verdict stays as it was.
            CancelledError: The run was told to stop.
        """
        self.cancelled.check()
        began = self.workshop.clock()
        spec = spec_digest(spec_folders(self.workshop.configuration, self._image(subject)))
        result, problem = self._prove(subject)
        verdict = Verdict.REJECTED if problem else Verdict.VERIFIED
        seconds = self.workshop.clock() - began
        report = self._report(
            subject,
            {
                "verdict": verdict.value,
                "problem": problem,
                "seconds": round(seconds, 1),
                "tests": result.as_json() if result else None,
            },
        )
        self.workshop.machine_images.tag(subject.ami_id, verdict_tags(verdict, spec))
        return Verification(
            verdict=verdict,
            problem=problem,
            seconds=seconds,
            report=report,
            log=subject.directory / "spec.log",
        )

    def close(self) -> None:
        """Removes what all verifications shared; waits for AWS, unless told twice to stop."""
        self.workshop.instances.close(hurry=lambda: self.cancelled.level > CancellationLevel.ORDERLY)

    def _prove(self, subject: Subject) -> tuple[SpecResult | None, str | None]:
        """Returns what the specs said, and why the build is rejected if it is."""
        target, image = subject.target, self._image(subject)
        self.progress.step(target, "booting a fresh instance")
        name = f"amifactory-{self.run}-{target.image}-{target.architecture}"
        with (
            self.workshop.instances.fresh(
                subject.ami_id,
                self._settings(subject),
                name=name,
                timeout=RUNNING_WITHIN,
                check=self.cancelled.check,
            ) as instance,
            self._ssh(subject, instance) as host,
        ):
            self.progress.step(target, "waiting for SSH")
            try:
                wait_for_ssh(
                    host,
                    timeout=image.verify.boot_timeout,
                    clock=self.workshop.clock,
                    pause=self.workshop.pause,
                    cancelled=self.cancelled,
                )
            except SshTimeoutError as error:
                if subject.verdict is Verdict.VERIFIED:
                    raise  # it worked before, so the way to it is more likely broken than the build
                console = self._console(instance)
                (subject.directory / "spec.log").write_text(f"{error}\n\nconsole:\n{console}")
                return None, str(error)
            self.progress.step(target, "running the spec")
            result = run_specs(
                spec_folders(self.workshop.configuration, image),
                host,
                log=subject.directory / "spec.log",
                junit=subject.directory / "junit.xml",
                timeout=image.verify.timeout,
                environment=self.workshop.environment,
                facts=spec_facts(target, subject.recipe, self.ancestors),
                on_line=lambda line: self.progress.output(target, line),
                cancelled=self.cancelled,
            )
        return result, result.problem

    def _console(self, instance: RunningInstance) -> str:
        try:
            return self.workshop.instances.console_output(instance.instance_id)
        except AwsError as error:
            return error.message

    def _image(self, subject: Subject) -> Image:
        return self.workshop.configuration.images[subject.target.image]

    def _settings(self, subject: Subject) -> InstanceSettings:
        build, verify = self.workshop.configuration.factory.build, self._image(subject).verify
        return InstanceSettings(
            instance_type=self._image(subject).verify_instance_type_for(subject.target.architecture),
            subnet_id=build.subnet_id,
            security_group_ids=tuple(build.security_group_ids),
            instance_profile=build.instance_profile,
            public_ip=build.associate_public_ip or build.ssh_interface == "public_ip",
            by_public_ip=build.ssh_interface == "public_ip",
            lifetime=RUNNING_WITHIN + verify.boot_timeout + verify.timeout + SPARE,
            tags=run_tags(self.workshop.factory, subject.target, self.run, purpose="verify"),
        )

    @contextmanager
    def _ssh(self, subject: Subject, instance: RunningInstance) -> Iterator[SshHost]:
        """Keeps the one-time key in a file only its owner can read, for as long as the block runs."""
        key = subject.directory / "ssh-key"
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        key.write_text(instance.private_key)
        user = root_source(self.workshop.configuration, self._image(subject)).ssh_username
        try:
            yield SshHost(address=instance.address, user=user, key_file=key)
        finally:
            key.unlink(missing_ok=True)

    def _report(self, subject: Subject, findings: Mapping[str, object]) -> Path:
        """Writes the reports where people and later commands look: beside the factory and in its bucket."""
        folder = self.workshop.work / "reports" / subject.ami_id
        folder.mkdir(parents=True, exist_ok=True)
        report, junit = folder / "report.json", folder / "junit.xml"
        fields = {
            "image": subject.target.image,
            "architecture": subject.target.architecture.value,
            "ami_id": subject.ami_id,
            "fingerprint": subject.recipe.fingerprint,
            "verified_at": self.workshop.now().isoformat(),
            **findings,
        }
        report.write_text(json.dumps(fields, indent=2) + "\n")
        self.workshop.bucket.put_report(subject.ami_id, report)
        ran = subject.directory / "junit.xml"
        if ran.exists():
            shutil.copyfile(ran, junit)
            self.workshop.bucket.put_report(subject.ami_id, junit)
        else:  # an earlier verification's would speak of another run
            junit.unlink(missing_ok=True)
            self.workshop.bucket.delete_report(subject.ami_id, junit)
        return report


def judged(outcome: Outcome, proof: Verification) -> Outcome:
    """Returns the outcome with what its verification found."""
    outcome = replace(
        outcome, verify_seconds=proof.seconds, report=proof.report, log=outcome.log or proof.log
    )
    if proof.verdict is Verdict.VERIFIED:
        return outcome
    return replace(
        outcome, result=Result.REJECTED, error=proof.problem, log=proof.log, exit_code=ExitCode.REJECTED
    )


def spec_facts(
    target: Target, recipe: Recipe, ancestors: Callable[[Fingerprint], Recipe | None]
) -> Mapping[str, object]:
    """Returns what specs may know of a build: tools and pre-pulled images, ancestors' included."""
    tools: dict[str, object] = {}
    prepull: dict[str, str] = {}
    current: Recipe | None = recipe
    while current:
        own = current.variables.get("tools")
        tools = {**(own if isinstance(own, dict) else {}), **tools}
        prepull = {**current.prepull, **prepull}
        current = ancestors(current.parent)  # type: ignore[arg-type]  # a source AMI id has no recipe
    return {
        "image": target.image,
        "architecture": target.architecture.value,
        "offline": recipe.variables["offline"],
        "tools": tools,
        "prepull": prepull,
    }


def run_tags(factory: str, target: Target, run: str, *, purpose: str) -> dict[str, str]:
    """Returns the tags of everything a run starts, so that leftovers can be told and removed."""
    return {
        "Name": f"amifactory {purpose} {target}",
        "amifactory:factory": factory,
        "amifactory:image": target.image,
        "amifactory:run": run,
        "amifactory:purpose": purpose,
    }
