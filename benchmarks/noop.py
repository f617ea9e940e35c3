"""``noop``: a second build with nothing to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from factories import sandbox, write_factory, write_image
from measure import PYTHON, BenchmarkError, interleave, median_difference
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from measure import Bench

CLIENT = "import boto3; boto3.client('ec2', region_name='eu-central-1')"
PATTERNS = ("debian-12-amd64-*", "debian-12-*")
"""Two names for one AMI: as two questions they count as two distinct source AMIs."""

PREPULL = ("alpine:3.20", "docker:27-cli", "node:22", "maven:3.9", "hashicorp/terraform:1.9")
"""As many as the four images of this repository have."""


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields the AWS calls of a build with nothing to do, and the time it takes over connecting to EC2."""
    root = _factory(bench.folder(), children=1 if bench.quick else 3)
    with sandbox(bench, root) as state:
        bench.amifactory(root, "--sandbox", "build", "--jobs", "3")
        for names, sources in ((("one",), 1), (("one", "one-1"), 1), ((), 2)):
            yield _calls(bench, root, state["endpoint"], names, sources)
        rounds = bench.rounds(15)
        taken = interleave(
            rounds,
            lambda: bench.amifactory(root, "--sandbox", "build"),
            lambda: bench.run(PYTHON, "-c", CLIENT),
            lambda: bench.amifactory(root, "--sandbox", "build", "plain"),
        )
    yield Measurement(
        benchmark="noop",
        what=f"build - EC2 client, {len(PREPULL)} digests to resolve",
        value=median_difference(taken),
        unit="s",
        limit=0.7,
        rounds=rounds,
    )
    yield Measurement(
        benchmark="noop",
        what="build - EC2 client, no digests",
        value=median_difference([(plain, client) for _, client, plain in taken]),
        unit="s",
        limit=0.7,
        rounds=rounds,
    )


def _factory(root: Path, *, children: int) -> Path:
    write_factory(root)
    write_image(root, "one", pattern=PATTERNS[0], prepull=PREPULL)
    write_image(root, "plain", pattern=PATTERNS[1])
    for number in range(children):
        write_image(root, f"one-{number + 1}", parent="one")
        write_image(root, f"plain-{number + 1}", parent="plain")
    return root


def _calls(bench: Bench, root: Path, endpoint: str, names: tuple[str, ...], sources: int) -> Measurement:
    with urlopen(Request(f"{endpoint}/amifactory/calls", method="DELETE")):  # noqa: S310 - the sandbox's
        pass
    document = json.loads(bench.amifactory(root, "--sandbox", "build", "--json", *names).output)
    with urlopen(f"{endpoint}/amifactory/calls") as answer:  # noqa: S310
        calls = json.load(answer)
    results = {build["action"] for build in document["builds"]}
    if results != {"reused"}:
        raise BenchmarkError(f"there was something to do: {results}")
    images = len(document["builds"])
    return Measurement(
        benchmark="noop",
        what=f"AWS calls for {images} image{'s' * (images > 1)}, {sources} source AMI{'s' * (sources > 1)}",
        value=len(calls),
        unit="calls",
        limit=1 + sources,
        rounds=1,
    )
