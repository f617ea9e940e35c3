"""Verifies builds that exist once more: ``amifactory verify``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from amifactory.domain.staleness import newest
from amifactory.errors import AmifactoryError, UsageError
from amifactory.operations.checks import check_recipes
from amifactory.operations.examination import Subject, spec_facts
from amifactory.operations.lock import target_lock
from amifactory.operations.outcome import Outcome, Result, failed, unexpected
from amifactory.operations.plan import with_ancestors
from amifactory.operations.schedule import run_graph
from amifactory.operations.secrets import check_secrets
from amifactory.operations.verify import Verifier, judged

if TYPE_CHECKING:
    from collections.abc import Collection

    from amifactory.domain.cancellation import Cancellation
    from amifactory.domain.model import Build, Fingerprint, Recipe
    from amifactory.operations.outcome import Progress
    from amifactory.operations.workshop import Workshop


def verify_newest(
    workshop: Workshop,
    names: Collection[str],
    *,
    run: str,
    jobs: int,
    repeat: int,
    progress: Progress,
    cancelled: Cancellation,
) -> tuple[Outcome, ...]:
    """Proves each named image's newest build on fresh instances; no names means all.

    Args:
        workshop: The factory, its account and this machine.
        names: Images asked for.
        run: Id of this run; names its directory and tags what it starts.
        jobs: How many builds are worked on at once.
        repeat: How many fresh instances of each are started, one after the other, to measure how.
        progress: Told of each step, from several threads.
        cancelled: Ends the verifications when requested.

    Raises:
        UsageError: A name is not an image, or an image has no build.
        ConfigError: A spec is wrong.
        AwsError: The builds could not be listed.
    """
    known = with_ancestors(workshop.configuration, names)
    check_recipes(workshop, names or known)
    check_secrets(workshop, names or known)
    builds = workshop.machine_images.builds(workshop.factory)
    last = newest(build for build in builds if build.available and build.tagged)
    chosen = {target: build for target, build in last.items() if target.image in (names or known)}
    if missing := sorted(set(names) - {target.image for target in chosen}):
        raise UsageError(f"no build of {', '.join(missing)} yet", hint=f"Run: amifactory build {missing[0]}")

    verifier = Verifier(
        workshop=workshop,
        run=run,
        progress=progress,
        cancelled=cancelled,
        repeat=repeat,
        builds=builds,
    )
    try:
        outcomes = run_graph(
            dict.fromkeys(chosen), lambda target, _: _again(verifier, chosen[target]), jobs=jobs
        )
    finally:
        verifier.close()
    return tuple(outcomes[target] for target in sorted(chosen))


def _again(verifier: Verifier, build: Build) -> Outcome:
    directory = verifier.workshop.run_directory(verifier.run, build.target)
    outcome = Outcome(
        target=build.target,
        result=Result.VERIFIED,
        fingerprint=build.fingerprint,
        region=build.region,
        ami_id=build.ami_id,
        parent=build.parent,
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        recipe = _recipe(verifier.workshop, build, build.fingerprint)
        subject = Subject(
            target=build.target,
            ami_id=build.ami_id,
            parent=build.parent,
            recipe=recipe,
            facts=spec_facts(build.target, recipe, partial(_recipe, verifier.workshop, build)),
            directory=directory,
            verdict=build.verdict,
        )
        with target_lock(verifier.workshop.work, build.target):
            outcome = judged(outcome, verifier.verify(subject))
    except (AmifactoryError, OSError) as error:
        outcome = failed(outcome, error, directory=directory, interrupted=bool(verifier.cancelled.level))
    except Exception as error:  # noqa: BLE001 - a bug met by one image must not lose the others' results
        problem = unexpected(error, directory / "spec.log")
        outcome = failed(outcome, problem, directory=directory, interrupted=False)
    verifier.progress.finished(outcome)
    return outcome


def _recipe(workshop: Workshop, build: Build, fingerprint: Fingerprint) -> Recipe:
    """Returns the recipe of a build or of one of its ancestors."""
    recipe = workshop.bucket.recipe(fingerprint)
    if recipe is None:
        what = "the recipe" if fingerprint == build.fingerprint else "the recipe of an ancestor"
        raise AmifactoryError(
            f"{what} of {build.ami_id} is not in the state bucket (any more)",
            hint=f"Run: amifactory build {build.target.image} --force",
        )
    return recipe
