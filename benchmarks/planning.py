"""``plan``: a thousand images."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from factories import write_tree
from measure import BenchmarkError, interleave
from replay import SOURCE_AMI, Replay, describe_images, image_item, replaying
from report import Measurement

from amifactory.aws.machine_images import ami_name, identity_tags, verdict_tags
from amifactory.config.load import load
from amifactory.domain.model import AmiId, Architecture, SourceAmi, Verdict
from amifactory.operations.plan import wanted_builds, with_ancestors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from measure import Bench, Taken

    from amifactory.domain.staleness import Wanted

IMAGES = 1000
SIZES = (IMAGES // 4, IMAGES // 2, IMAGES)
LINEAR = 1.2
"""What four times the images may cost at most, in parts of four times the time."""

SOURCE = SourceAmi(ami_id=AmiId(SOURCE_AMI), name="debian-12-amd64-20260101-1", root_device="/dev/xvda")


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields how long planning a thousand images takes, and how that grows with their number."""
    roots = {size: write_tree(bench.folder(), size) for size in (1, *SIZES)}
    wanted = {size: _wanted(root) for size, root in roots.items()}
    with ExitStack() as stack:

        def plan(size: int, replay: Replay, *, expect: str) -> Callable[[], Taken]:
            served = stack.enter_context(replaying(replay))
            return lambda: _plan(bench, roots[size], served, expect)

        last = wanted[IMAGES]
        yield from _warm(
            bench,
            {
                "all up to date": plan(IMAGES, _built(last), expect="Nothing to do."),
                "none built yet": plan(IMAGES, _built([]), expect=f"{IMAGES} of {IMAGES} to do."),
                "every recipe changed": plan(IMAGES, _changed(last), expect=f"{IMAGES} of {IMAGES} to do."),
            },
        )
        yield _cold(bench, roots[IMAGES], plan(IMAGES, _built(last), expect="Nothing to do."))
        yield from _growth(
            bench, [plan(size, _built(wanted[size]), expect="Nothing to do.") for size in (1, *SIZES)]
        )


def _warm(bench: Bench, cases: dict[str, Callable[[], Taken]]) -> Iterator[Measurement]:
    """Measures runs with a configuration cache; the least counts, as in `_growth`."""
    rounds = bench.rounds(7)
    taken = interleave(rounds, *cases.values())
    for at, name in enumerate(cases):
        yield Measurement(
            benchmark="plan",
            what=f"{IMAGES} images, {name}",
            value=min(each[at].wall for each in taken),
            unit="s",
            limit=2,
            rounds=rounds,
        )


def _cold(bench: Bench, root: Path, plan: Callable[[], Taken]) -> Measurement:
    """Measures the first run of a checkout: every file is parsed, none is in the cache."""
    rounds = bench.rounds(3)
    taken = []
    for _ in range(rounds):
        shutil.rmtree(root / ".amifactory")
        taken.append(plan().wall)
    return Measurement(
        benchmark="plan",
        what=f"{IMAGES} images, first run of a checkout",
        value=min(taken),
        unit="s",
        limit=None,
        rounds=rounds,
    )


def _growth(bench: Bench, plans: Sequence[Callable[[], Taken]]) -> Iterator[Measurement]:
    """Compares what the images cost by themselves: a factory of one image is taken off.

    The least of the rounds counts, as other processes only ever add to it.
    """
    rounds = bench.rounds(9)
    taken = interleave(rounds, *plans)
    start, *costs = (min(each[at].cpu for each in taken) for at in range(len(plans)))
    quarter, half, whole = (cost - start for cost in costs)
    for size, cost, limit in ((IMAGES // 2, half, None), (IMAGES, whole, LINEAR * 4)):
        yield Measurement(
            benchmark="plan",
            what=f"{size} images / {IMAGES // 4} images, processor time (linear: {size * 4 // IMAGES})",
            value=cost / quarter,
            unit="x",
            limit=limit,
            rounds=rounds,
        )
    yield Measurement(
        benchmark="plan",
        what="processor time for each image",
        value=whole / IMAGES * 1e6,
        unit="us",
        limit=None,
        rounds=rounds,
    )


def _plan(bench: Bench, root: Path, replay: Replay, expect: str) -> Taken:
    taken = bench.amifactory(root, "plan", environment=replay.environment)
    said = taken.output.splitlines()[-1]
    if said != expect:
        raise BenchmarkError(f"plan ends with {said!r}, not {expect!r}")
    return taken


def _wanted(root: Path) -> tuple[Wanted, ...]:
    configuration = load(root)
    images = [configuration.images[name] for name in with_ancestors(configuration, ())]
    sources = {(image.name, Architecture.X86_64): SOURCE for image in images if image.source}
    return wanted_builds(configuration, images, sources, {})


def _built(wanted: Sequence[Wanted]) -> Replay:
    """Returns an AWS where these builds exist, verified."""
    now = datetime.now(tz=UTC)
    numbers = {want.target: number for number, want in enumerate(wanted)}
    items = []
    for want, number in zip(wanted, numbers.values(), strict=True):
        tags = identity_tags(
            factory="bench",
            target=want.target,
            fingerprint=want.fingerprint,
            parent=_ami_id(numbers[want.parent]) if want.parent else SOURCE.ami_id,
            offline=False,
            carries_secret=(),
            run="20260101T000000Z-000000",
        )
        items.append(
            image_item(
                number=number,
                ami_id=_ami_id(number),
                name=ami_name(factory="bench", target=want.target, fingerprint=want.fingerprint, now=now),
                created=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                tags={**tags, **verdict_tags(Verdict.VERIFIED, want.spec)},
            )
        )
    source = image_item(
        number=len(items),
        ami_id=SOURCE.ami_id,
        name=SOURCE.name,
        created="2026-01-01T00:00:00.000Z",
        tags={},
        owner="136693071363",
    )
    return Replay(builds=describe_images(items), sources=describe_images([source]))


def _changed(wanted: Sequence[Wanted]) -> Replay:
    """Returns an AWS where each image was built from an earlier recipe, which its bucket has."""
    earlier = []
    for want in wanted:
        recipe = replace(want.recipe, files={**want.recipe.files, "shared/earlier": "0" * 64})
        earlier.append(replace(want, recipe=recipe, fingerprint=recipe.fingerprint))
    replay = _built(earlier)
    replay.objects = {
        f"recipes/{want.fingerprint}.json": want.recipe.canonical_json().encode() for want in earlier
    }
    return replay


def _ami_id(number: int) -> AmiId:
    return AmiId(f"ami-{number:017x}")
