"""``leaks``: two gigabytes of files looked through for secrets, on two cores."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from measure import PYTHON, BenchmarkError, interleave, median_ratio
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measure import Bench, Taken

SIZE = 2_000_000_000
SOURCE = Path("/usr")
"""Whose files are copied: text and programs, small and large, in a system's own proportions."""
LIMIT = 30.0
CORES = 2
PASSWORDS = 2

SCAN = """
import json, sys
from amifactory.probes.leaks import main, this_instance
given, root = json.loads(sys.argv[1]), sys.argv[2]
print(json.dumps({**main(given, this_instance(root)), "findings": []}))
"""
READ = """
import os, sys
files = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
child = os.fork()
for file in files[bool(child) :: 2]:
    with open(file, "rb", buffering=0) as opened:
        while opened.read(1 << 20):
            pass
if child:
    os.wait()
"""
"""Reads every file on two cores, and does nothing with it."""
FORGET = """
import os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        opened = os.open(os.path.join(folder, name), os.O_RDONLY)
        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(opened)
"""
"""Takes the files' content out of memory; which files there are stays known."""


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields how long it takes with the files on disk and in memory, and by what reading them takes."""
    root = bench.folder()
    number = fill(root)
    values = json.dumps({"values": secrets()})
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:CORES])
    rounds = bench.rounds(3)

    def scan() -> Taken:
        taken = bench.run("taskset", "--cpu-list", cores, PYTHON, "-c", SCAN, values, root)
        found = json.loads(taken.output)
        if found["files"] != number or found["bytes"] < SIZE or found["not_searched"]:
            raise BenchmarkError(f"{number} files were to be scanned, not: {taken.output}")
        return taken

    def read() -> Taken:
        return bench.run("taskset", "--cpu-list", cores, PYTHON, "-c", READ, root)

    def cold(action: Taken) -> Taken:
        return action

    warm = interleave(rounds, scan, read)
    cold_runs = []
    for _ in range(rounds):
        bench.run(PYTHON, "-c", FORGET, root)
        first = scan()
        bench.run(PYTHON, "-c", FORGET, root)
        cold_runs.append((first, read()))
    shutil.rmtree(root)
