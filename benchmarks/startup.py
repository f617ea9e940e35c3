"""``help``: what every command pays before it does anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from measure import AMIFACTORY, PYTHON, interleave, median_ratio
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench

HEAVY = ("boto3", "botocore", "docker", "hcl2", "moto", "pydantic", "pytest", "rich")
IMPORTED = """
import json, sys
from amifactory.cli.main import cli
cli(["--help"], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields the cost of ``--help`` next to that of importing click, and what it imports in vain."""
    rounds = bench.rounds(21)
    taken = interleave(
        rounds,
        lambda: bench.run(AMIFACTORY, "--help"),
        lambda: bench.run(PYTHON, "-c", "import click"),
    )
    yield Measurement(
        benchmark="help",
        what="amifactory --help / python -c 'import click'",
        value=median_ratio(taken),
        unit="x",
        limit=2,
        rounds=rounds,
    )
    modules = json.loads(bench.run(PYTHON, "-c", IMPORTED).output.splitlines()[-1])
    heavy = {module.partition(".")[0] for module in modules} & set(HEAVY)
    yield Measurement(
        benchmark="help",
        what="heavy packages imported" + (f": {', '.join(sorted(heavy))}" if heavy else ""),
        value=len(heavy),
        unit="packages",
        limit=0,
        rounds=1,
    )
