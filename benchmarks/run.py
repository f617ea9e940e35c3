"""Measures amifactory against its limits; ``make bench`` runs all of it.

::

    benchmarks/run.py                 # everything, half an hour
    benchmarks/run.py help noop       # some
    benchmarks/run.py --quick         # fewer rounds: less certain

Ends with 1 when something is over its limit or could not be measured. What is measured, and why:
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from measure import Bench, BenchmarkError
from report import Measurement, table

BENCHMARKS = {
    "help": "startup",
    "noop": "noop",
    "plan": "planning",
    "status": "fleet_status",
    "promotion": "promotion",
    "throttling": "throttling",
    "leaks": "leak_scan",
    "orchestration": "orchestration",
    "parallel": "parallel",
    "sandbox": "warm_sandbox",
    "verification": "verification",
}
"""Name to module, each with a function `measure`; cheap ones first."""


def main() -> int:
    """Runs the benchmarks asked for; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    measurements: list[Measurement] = []
    failed = False
    with tempfile.TemporaryDirectory(prefix="amifactory-bench-") as work:
        bench = Bench.make(Path(work), environment=os.environ, quick=options.quick)
        for name in options.names or BENCHMARKS:
            _say(f"{name} …")
            try:
                for measurement in import_module(BENCHMARKS[name]).measure(bench):
                    _say("  ".join(cell for cell in measurement.row[1:] if cell))
                    measurements.append(measurement)
            except BenchmarkError as error:
                _say(f"{name} could not be measured: {error}")
                failed = True
    print(table(measurements))
    return 1 if failed or not all(measurement.passed for measurement in measurements) else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
