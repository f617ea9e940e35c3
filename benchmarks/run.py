"""Measures amifactory against its limits; ``make bench`` runs all of it.

::

    benchmarks/run.py                 # everything, a quarter of an hour
    benchmarks/run.py help noop       # some
    benchmarks/run.py --quick         # fewer rounds, shorter waits: less certain

Ends with 1 when something is over its limit. What is measured and why: docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from measure import Bench
from report import Measurement, table

BENCHMARKS = {
    "help": "startup",
    "noop": "noop",
    "plan": "planning",
    "orchestration": "orchestration",
    "parallel": "parallel",
    "sandbox": "warm_sandbox",
}
"""Name to module, each with a function `measure`; cheap ones first."""


def main() -> int:
    """Runs the benchmarks asked for; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter waits")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    measurements: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="amifactory-bench-") as work:
        bench = Bench.make(Path(work), environment=os.environ, quick=options.quick)
        for name in options.names or BENCHMARKS:
            print(f"{name} …", file=sys.stderr, flush=True)
            for measurement in import_module(BENCHMARKS[name]).measure(bench):
                print("  ".join(cell for cell in measurement.row[1:] if cell), file=sys.stderr, flush=True)
                measurements.append(measurement)
    print(table(measurements))
    return 0 if all(measurement.passed for measurement in measurements) else 1


if __name__ == "__main__":
    sys.exit(main())
