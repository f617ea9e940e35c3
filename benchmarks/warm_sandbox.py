"""``sandbox``: starting a sandbox when its source AMI was made before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factories import copy_own_factory
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields the time of ``sandbox up`` in fresh copies of this repository's factory."""
    rounds = bench.rounds(5)
    taken = [_up(bench) for _ in range(rounds + 1)][1:]
    yield Measurement(
        benchmark="sandbox",
        what="sandbox up, source AMI in the cache",
        value=min(taken),
        unit="s",
        limit=5,
        rounds=rounds,
    )


def _up(bench: Bench) -> float:
    root = copy_own_factory(bench.folder())
    try:
        return bench.amifactory(root, "sandbox", "up").wall
    finally:
        bench.amifactory(root, "sandbox", "down")
