"""``orchestration``: what amifactory adds to Packer and pytest themselves."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from factories import aws_of, sandbox, write_factory, write_image
from measure import PYTHON, ROOT, Taken, interleave, median_difference, median_ratio
from report import Measurement
from verification import phases

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from measure import Bench

PROVISION_SECONDS = 30.0
IMAGE = "waiting"


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields the time of a build next to ``packer build`` of the same directory and verifying by hand."""
    root = write_factory(bench.folder())
    write_image(root, IMAGE, seconds=PROVISION_SECONDS)
    rounds = bench.rounds(3)
    with sandbox(bench, root) as state:
        by_hand = _ByHand(bench=bench, root=root, environment=aws_of(state))
        taken = interleave(rounds, lambda: _build(bench, root), by_hand.build)
    without = [(replace(built, wall=built.wall - _gates(built)), bare) for built, bare in taken]
    figure = partial(Measurement, benchmark="orchestration", rounds=rounds)
    yield figure(
        what=f"build less its gates / packer + pytest by hand, {PROVISION_SECONDS:.0f} s provisioner",
        value=median_ratio(without),
        unit="x",
        limit=1.03,
    )
    yield figure(what="build / packer + pytest by hand", value=median_ratio(taken), unit="x", limit=None)
    yield figure(what="build - packer + pytest by hand", value=median_difference(taken), unit="s", limit=None)
    yield figure(
        what="gates: ready signal, leak scan after the spec",
        value=median(_gates(built) for built, _ in taken),
        unit="s",
        limit=None,
    )


def _build(bench: Bench, root: Path) -> Taken:
    """Times ``amifactory build``; its output is the report."""
    taken = bench.amifactory(root, "--sandbox", "build", IMAGE, "--force", "--json")
    (built,) = json.loads(taken.output)["builds"]
    return replace(taken, output=Path(built["report"]).read_text())


def _gates(built: Taken) -> float:
    """Returns the seconds a build spent on what Packer and pytest do not do."""
    spent = phases(built.output)
    return spent["waiting until ready"] + spent.get("looking for leaks", 0)


@dataclass(kw_only=True)
class _ByHand:
    """Builds and verifies what amifactory built last, without amifactory."""

    bench: Bench
    root: Path
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self._numbers = count(1)

    def build(self) -> Taken:
        """Runs Packer on the same build context, then the same specs; the two alone are timed."""
        run = max((self.root / ".amifactory/runs").iterdir())
        context = self.bench.folder() / "context"
        shutil.copytree(run / f"{IMAGE}-x86_64" / "context", context)
        variables = context / "build.auto.pkrvars.json"
        fields = json.loads(variables.read_text())
        variables.write_text(json.dumps({**fields, "ami_name": f"by-hand-{next(self._numbers)}"}))
        packer = self.bench.run("packer", "build", ".", cwd=context, environment=self.environment)
        ami_id = re.findall(r"ami-[0-9a-f]{17}", packer.output)[-1]
        verified = self.bench.run(
            *(PYTHON, ROOT / "benchmarks/bare_verify.py", ami_id),
            self.root / "images" / IMAGE / "spec",
            environment=self.environment,
        )
        return Taken(wall=packer.wall + verified.wall, cpu=packer.cpu + verified.cpu, output=verified.output)
