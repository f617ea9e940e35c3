"""Gathers all that is kept about a build: ``amifactory report``."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from amifactory.domain.cold_start import Budget
from amifactory.errors import AmifactoryError, AwsError
from amifactory.operations.compare import compare_builds
from amifactory.operations.find_build import builds_before, find_build
from amifactory.operations.records import BUILD, REPORT, SBOM
from amifactory.report.facts import Ancestor, Earlier, Facts
from amifactory.sbom import from_cyclonedx

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from amifactory.config.models import Configuration
    from amifactory.domain.comparison import Comparison
    from amifactory.domain.model import AmiId, Architecture, Build
    from amifactory.operations.records import Records
    from amifactory.operations.workshop import Workshop

HISTORY = 20
"""How many earlier builds are charted: a call each, and more would be no line but a carpet."""


def gather_facts(workshop: Workshop, wanted: str, *, architecture: Architecture | None = None) -> Facts:
    """Returns what is known of a build.

    Args:
        workshop: The factory, its account and this machine.
        wanted: AMI id, or an image for its newest build.
        architecture: Which one, for an image that is built for several.

    Raises:
        UsageError: There is no such build.
        AwsError: A call was refused.
    """
    configuration, records = workshop.configuration, workshop.bucket
    builds = workshop.machine_images.builds(workshop.factory)
    build = find_build(configuration, builds, wanted, architecture=architecture)
    history = builds_before(builds, build)[:HISTORY]
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="facts") as pool:
        ancestors = pool.submit(find_ancestors, build, builds, workshop.machine_images.name)
        comparison = pool.submit(_compared, configuration, builds, records, build)
        recipe = pool.submit(records.recipe, build.fingerprint)
        made = pool.submit(_document, records, build, BUILD)
        sbom = pool.submit(records.report, build.ami_id, SBOM)
        report = pool.submit(_document, records, build, REPORT)
        earlier = list(pool.map(partial(_document, records, name=REPORT), history))
    inventory = sbom.result()
    compared, not_compared = comparison.result()
    image = configuration.images.get(build.target.image)  # None for one that the factory has no more
    return Facts(
        factory=workshop.factory,
        build=build,
        ancestors=ancestors.result(),
        report=report.result(),
        made=made.result(),
        recipe=recipe.result(),
        earlier=tuple(
            Earlier(build=one, report=said) for one, said in zip(history, earlier, strict=True) if said
        )[::-1],
        inventory=from_cyclonedx(inventory) if inventory else None,
        comparison=compared,
        not_compared=not_compared,
        budget=image.verify.budget if image else Budget(),
        places=tuple(_places(workshop, build)),
        now=workshop.now(),
    )


def find_ancestors(
    build: Build, builds: Collection[Build], name_of: Callable[[AmiId], str | None]
) -> tuple[Ancestor, ...]:
    """Returns what a build stands on, the source AMI first; ``name_of`` knows AMIs that are no builds."""
    by_id = {one.ami_id: one for one in builds}
    found: list[Ancestor] = []
    parent = build.parent
    while above := by_id.get(parent):
        found.append(Ancestor(ami_id=parent, name=above.target.image, build=above))
        parent = above.parent
    found.append(Ancestor(ami_id=parent, name=name_of(parent)))
    return tuple(reversed(found))


def _document(records: Records, build: Build, name: str) -> dict[str, Any]:
    """Returns a JSON document about a build; empty when there is none."""
    text = records.report(build.ami_id, name)
    document: dict[str, Any] = json.loads(text) if text else {}
    return document


def _compared(
    configuration: Configuration, builds: Sequence[Build], records: Records, build: Build
) -> tuple[Comparison | None, str | None]:
    """Returns what changed since the build before, or why that cannot be said."""
    try:
        return compare_builds(configuration, builds, records, [build.ami_id]), None
    except AwsError:
        raise
    except AmifactoryError as error:
        return None, error.message


def _places(workshop: Workshop, build: Build) -> Iterator[tuple[str, str]]:
    """Yields what more there is and where: in the state bucket, and on this machine if it made the build."""
    yield "Reports", f"s3://{workshop.configuration.factory.state_bucket}/reports/{build.ami_id}/"
    here: list[tuple[str, Path]] = [("Reports here", workshop.report_directory(build.ami_id))]
    if build.run:
        run = workshop.run_directory(build.run, build.target)
        here += [
            ("Log of the build", run / "build.log"),
            ("Log of its spec", run / "spec.log"),
            ("Build context", run / "context"),
        ]
    for what, path in here:
        if path.exists():
            yield what, str(path)
