"""Applies a build plan: Packer for each stale image, then its spec on a fresh instance, in parallel."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from amifactory.aws.machine_images import ami_name, identity_tags
from amifactory.domain.model import Verdict
from amifactory.domain.staleness import Action
from amifactory.errors import AmifactoryError, ExitCode
from amifactory.operations.checks import check_recipes
from amifactory.operations.examination import Subject, run_tags, spec_facts
from amifactory.operations.lineage import baked_secrets, hooks_folder, shared_folder
from amifactory.operations.lock import target_lock
from amifactory.operations.outcome import Outcome, Result, failed, unexpected
from amifactory.operations.records import BUILD
from amifactory.operations.schedule import run_graph
from amifactory.operations.secrets import check_secrets, secret_warnings
from amifactory.operations.timeline import Timeline
from amifactory.operations.verify import Verifier, judged
from amifactory.packer.context import PLUGINS, assemble, context_files
from amifactory.packer.environment import packer_environment
from amifactory.packer.machine_readable import Ui, UiKind
from amifactory.packer.plugins import install_plugins
from amifactory.packer.run import run_packer
from amifactory.packer.steps import Step as PackerStep
from amifactory.packer.version import find_packer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from amifactory.domain.cancellation import Cancellation
    from amifactory.domain.model import AmiId, Fingerprint, Recipe, Target
    from amifactory.domain.staleness import BuildPlan, Step
    from amifactory.operations.outcome import Progress
    from amifactory.operations.workshop import Workshop
    from amifactory.packer.machine_readable import Event
    from amifactory.packer.run import PackerResult
    from amifactory.packer.version import Packer


def apply_builds(
    workshop: Workshop,
    plan: BuildPlan,
    *,
    run: str,
    jobs: int,
    progress: Progress,
    cancelled: Cancellation,
) -> tuple[Outcome, ...]:
    """Does what a plan says; a failing image stops its descendants, not its siblings.

    Args:
        workshop: The factory, its account and this machine.
        plan: From `plan_images`.
        run: Id of this run; names its directory and tags what it starts.
        jobs: How many images are worked on at once.
        progress: Told of each step, from several threads.
        cancelled: Stops Packer and the specs when requested, and starts nothing more.

    Returns:
        One outcome for each step, in the plan's order.

    Raises:
        MissingToolError: Packer is needed and is not there.
        AwsError: The state bucket or a secret is missing.
        ConfigError: A template, script or spec of an image to build is wrong.
    """
    packer = _prepare(workshop, plan)
    progress.planned(plan)
    steps = {step.target: step for step in plan.steps}
    builder = _Builder(
        verifier=Verifier(
            workshop=workshop,
            run=run,
            progress=progress,
            cancelled=cancelled,
            builds=plan.builds,
        ),
        packer=packer,
        planned_at=plan.made_at,
        recipes={step.wanted.fingerprint: step.wanted.recipe for step in plan.steps},
    )
    try:
        outcomes = run_graph(
            {target: step.wanted.parent for target, step in steps.items()},
            lambda target, parent: builder.run_step(steps[target], parent),
            jobs=jobs,
        )
    finally:
        builder.verifier.close()
    return tuple(outcomes[target] for target in steps)


def _prepare(workshop: Workshop, plan: BuildPlan) -> Packer | None:
    """Checks what can be checked before anything starts; returns Packer if it is needed."""
    if not plan.stale:
        return None
    workshop.bucket.check()
    check_secrets(workshop, {step.target.image for step in plan.stale})
    to_build = {step.target.image for step in plan.stale if step.action is Action.BUILD}
    if to_build:
        check_recipes(workshop, to_build)
        for warning in secret_warnings(workshop.configuration, to_build):
            workshop.warn(f"Warning: {warning}")
        return find_packer(packer_environment(workshop.environment, aws={}))
    return None


@dataclass(frozen=True, kw_only=True)
class _Builder:
    verifier: Verifier
    packer: Packer | None
    planned_at: datetime
    recipes: Mapping[Fingerprint, Recipe]

    @property
    def workshop(self) -> Workshop:
        return self.verifier.workshop

    @property
    def run(self) -> str:
        return self.verifier.run

    @property
    def progress(self) -> Progress:
        return self.verifier.progress

    @property
    def cancelled(self) -> Cancellation:
        return self.verifier.cancelled

    def run_step(self, step: Step, parent: Outcome | None) -> Outcome:
        """Runs one step to its end; whatever goes wrong is in the outcome."""
        base = Outcome(
            target=step.target,
            result=Result.SKIPPED,
            fingerprint=step.wanted.fingerprint,
            region=self.workshop.session.region,
            reasons=step.reasons,
            parent=parent.ami_id if parent else step.wanted.source.ami_id if step.wanted.source else None,
        )
        if parent and not parent.usable:
            outcome = replace(base, error=f"its parent {parent.target.image} {parent.result}")
        elif step.action is Action.REUSE:
            outcome = _reused(step, base)
        elif self.cancelled.level:
            outcome = replace(base, error="interrupted", exit_code=ExitCode.INTERRUPTED)
        else:
            outcome = self._make(step, base)
        self.progress.finished(outcome)
        return outcome

    def _make(self, step: Step, outcome: Outcome) -> Outcome:
        directory = self.workshop.run_directory(self.run, step.target)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with target_lock(self.workshop.work, step.target) as lock:
                step = self._up_to_date(step, outcome.parent)
                if step.action is Action.REUSE:
                    return _reused(step, outcome)
                if step.build:
                    outcome = self._adopt(step, outcome)
                else:
                    outcome = self._build(step, outcome, directory, lock)
                return self._verify(step, outcome, directory)
        except (AmifactoryError, OSError) as error:
            return self._failed(outcome, error, directory)
        except Exception as error:  # noqa: BLE001 - a bug met by one image must not lose the others' results
            return self._failed(outcome, unexpected(error, directory / "build.log"), directory)

    def _failed(self, outcome: Outcome, error: AmifactoryError | OSError, directory: Path) -> Outcome:
        return failed(outcome, error, directory=directory, interrupted=bool(self.cancelled.level))

    def _up_to_date(self, step: Step, parent: AmiId | None) -> Step:
        """Returns the step, or what is left of it if another run has made the same since the plan."""
        if step.build:
            return step
        for build in self.workshop.machine_images.builds(self.workshop.factory):
            same = build.target == step.target and build.made_from(step.wanted.fingerprint)
            if same and build.parent == parent and build.created_at >= self.planned_at:
                if build.verdict is Verdict.VERIFIED and build.spec == step.wanted.spec:
                    return replace(step, action=Action.REUSE, build=build)
                if build.verdict is not Verdict.REJECTED:
                    return replace(step, action=Action.VERIFY, build=build)
        return step

    def _adopt(self, step: Step, outcome: Outcome) -> Outcome:
        """Takes over a build that a killed run left, or whose specs have changed since."""
        build = step.build
        assert build is not None  # noqa: S101 - a step that adopts names what
        if not build.tagged:
            self.workshop.machine_images.tag(build.ami_id, self._identity(step, build.parent))
        if not build.available:
            self.progress.step(step.target, "waiting for the AMI")
            self.workshop.machine_images.wait_available(
                build.ami_id,
                timeout=self.workshop.configuration.factory.build.timeout,
                clock=self.workshop.clock,
                pause=self.workshop.pause,
                check=self.cancelled.check,
                interval=self.workshop.polling_seconds,
            )
        return replace(outcome, result=Result.ADOPTED, ami_id=build.ami_id, parent=build.parent)

    def _build(self, step: Step, outcome: Outcome, directory: Path, lock: int) -> Outcome:
        timeline = Timeline(self.workshop.now, self.workshop.clock)
        made = self._packer(step, outcome.parent, directory, lock, timeline)
        timeline.end()
        left_out = tuple(f"{left.tool}: {left.why}" for left in made.left_out)
        self._report(
            made.ami_id,
            {
                "schema": 1,
                "built_at": self.workshop.now().isoformat(),
                "packer_version": str(self.packer.version) if self.packer else None,
                "seconds": round(made.seconds, 1),
                "timeline": timeline.as_json(),
                "left_out": left_out,
                "reasons": step.reasons,
            },
        )
        return replace(
            outcome,
            result=Result.BUILT,
            ami_id=made.ami_id,
            build_seconds=made.seconds,
            log=directory / "build.log",
            left_out=left_out,
        )

    def _report(self, ami_id: AmiId, document: dict[str, object]) -> None:
        file = self.workshop.report_directory(ami_id) / BUILD
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document, indent=2) + "\n")
        self.workshop.bucket.put_report(ami_id, file)

    def _packer(
        self, step: Step, parent: AmiId | None, directory: Path, lock: int, timeline: Timeline
    ) -> PackerResult:
        assert self.packer is not None  # noqa: S101 - prepared, since the plan builds
        assert parent is not None  # noqa: S101 - a build has a parent's outcome or a source AMI
        workshop, target = self.workshop, step.target
        self.progress.step(target, "assembling")
        workshop.bucket.put_recipe(step.wanted.recipe)
        configuration = workshop.configuration
        image = configuration.images[target.image]
        assemble(
            context_files(image.folder, shared_folder(configuration), hooks_folder(configuration)),
            directory / "context",
            recipe_variables={
                **step.wanted.recipe.variables,
                "architecture": target.architecture.value,
                "prepull": dict(step.wanted.recipe.prepull),
            },
            build_variables=self._build_variables(step, parent),
            packer_version=self.packer.version,
            hashes=step.wanted.recipe.files,
        )
        environment = packer_environment(
            workshop.environment, aws=workshop.session.environment(workshop.environment)
        )
        install_plugins(
            self.packer, directory / "context" / PLUGINS, cache=workshop.cache, environment=environment
        )
        return run_packer(
            self.packer.binary,
            directory / "context",
            raw_log=directory / "packer.raw",
            log=directory / "build.log",
            environment=environment,
            timeout=configuration.factory.build.timeout.total_seconds(),
            on_event=partial(self._tell, target, timeline),
            cancellation=self.cancelled,
            clock=workshop.clock,
            inherited=(lock,),
        )

    def _tell(self, target: Target, timeline: Timeline, event: Event) -> None:
        if isinstance(event, PackerStep):
            timeline.begin(event.name)
            self.progress.step(target, event.name)
        elif isinstance(event, Ui) and event.kind is not UiKind.SAY:
            self.progress.output(target, event.text)

    def _build_variables(self, step: Step, parent: AmiId) -> dict[str, object]:
        """Returns the Packer variables that decide where and how, but not what is built."""
        workshop, target = self.workshop, step.target
        build = workshop.configuration.factory.build
        image = workshop.configuration.images[target.image]
        return {
            "region": workshop.session.region,
            "ec2_endpoint": workshop.session.endpoint_url or "",
            "source_ami": parent,
            "root_device": step.wanted.root_device,
            "ami_name": ami_name(
                factory=workshop.factory,
                target=target,
                fingerprint=step.wanted.fingerprint,
                now=workshop.now(),
            ),
            "instance_type": image.instance_type_for(target.architecture),
            "instance_profile": build.instance_profile or "",
            "subnet_id": build.subnet_id or "",
            "security_group_ids": list(build.security_group_ids),
            "associate_public_ip": build.associate_public_ip,
            "ssh_interface": build.ssh_interface or "",
            "ssh_timeout": f"{build.ssh_timeout.total_seconds():.0f}s",
            "polling_seconds": workshop.polling_seconds,
            "tags": self._identity(step, parent),
            "run_tags": run_tags(workshop.factory, target, self.run, purpose="build"),
        }

    def _identity(self, step: Step, parent: AmiId) -> dict[str, str]:
        configuration = self.workshop.configuration
        return identity_tags(
            factory=self.workshop.factory,
            target=step.target,
            fingerprint=step.wanted.fingerprint,
            parent=parent,
            offline=bool(step.wanted.recipe.variables["offline"]),
            carries_secret=baked_secrets(configuration, configuration.images[step.target.image]),
            run=self.run,
        )

    def _verify(self, step: Step, outcome: Outcome, directory: Path) -> Outcome:
        assert outcome.ami_id is not None  # noqa: S101 - built or adopted
        assert outcome.parent is not None  # noqa: S101 - so it was made on something
        subject = Subject(
            target=step.target,
            ami_id=outcome.ami_id,
            parent=outcome.parent,
            recipe=step.wanted.recipe,
            facts=spec_facts(step.target, step.wanted.recipe, self.recipes.__getitem__),
            directory=directory,
            verdict=step.build.verdict if step.build else Verdict.CANDIDATE,
        )
        return judged(outcome, self.verifier.verify(subject))


def _reused(step: Step, outcome: Outcome) -> Outcome:
    assert step.build is not None  # noqa: S101 - a step that reuses names what
    return replace(outcome, result=Result.REUSED, ami_id=step.build.ami_id, parent=step.build.parent)
