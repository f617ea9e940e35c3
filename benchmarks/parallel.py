"""``parallel``: a base and three children, three at a time."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

from factories import sandbox, write_factory, write_image
from measure import interleave
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench, Taken

BASE_SECONDS = 20.0
CHILDREN = {"quick": 10.0, "medium": 20.0, "slow": 30.0}
"""Child to the seconds its provisioner waits."""

LIMIT = 1.1


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields the time of all four images by that of the base and the slowest child.

    Against runs of one image alone it is the whole truth: three instances that slow each other down
    count against it. Against the seconds of the same run it is the scheduler's part.
    """
    root = write_factory(bench.folder())
    write_image(root, "base", seconds=BASE_SECONDS)
    for name, seconds in CHILDREN.items():
        write_image(root, name, parent="base", seconds=seconds)
    rounds = bench.rounds(3)

    def build(*arguments: str) -> Taken:
        return bench.amifactory(root, "--sandbox", "build", "--json", "--force", *arguments)

    with sandbox(bench, root):
        bench.amifactory(root, "--sandbox", "plan")  # so that byte code is there
        taken = interleave(
            rounds,
            lambda: build("--jobs", "3"),
            lambda: build("base"),
            lambda: build("slow"),
            warm_up=False,
        )
    for what, ratios in (
        ("4 images / base alone + slowest child alone", [_against_alone(*each) for each in taken]),
        ("4 images / base + slowest child in the same run", [_against_itself(all_) for all_, *_ in taken]),
    ):
        yield Measurement(
            benchmark="parallel", what=what, value=median(ratios), unit="x", limit=LIMIT, rounds=rounds
        )


def _against_alone(together: Taken, base: Taken, slow: Taken) -> float:
    """Returns the wall time by the seconds that base and slowest child report when built alone."""
    return together.wall / (_seconds(base)["base"] + _seconds(slow)["slow"])


def _against_itself(together: Taken) -> float:
    """Returns the wall time by what base and slowest child took in the same run."""
    seconds = _seconds(together)
    return together.wall / (seconds["base"] + max(seconds[name] for name in CHILDREN))


def _seconds(run: Taken) -> dict[str, float]:
    """Returns each image's seconds of building and verifying."""
    builds = json.loads(run.output)["builds"]
    return {build["image"]: build["seconds"]["build"] + build["seconds"]["verify"] for build in builds}
