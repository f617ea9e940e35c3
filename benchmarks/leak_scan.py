"""``leaks``: two gigabytes of a system's files, looked through for secrets on two cores."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from measure import PYTHON, BenchmarkError, interleave, median_ratio
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from measure import Bench, Taken

SIZE = 2_000_000_000
SOURCE = Path("/usr")
"""Whose files are copied: text and programs, small and large, in a system's own proportions."""
CORES = 2
LIMIT = 30.0

SCAN = """
import json, sys
from pathlib import Path
from amifactory.probes.leaks import main
from amifactory.probes.leaks.instance import booted_instance
given = json.loads(Path(sys.argv[1]).read_text())
print(json.dumps(main(given, booted_instance(Path(sys.argv[2]), None))))
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
"""Reads every file, on two cores, and does nothing with it."""
FORGET = """
import os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        opened = os.open(os.path.join(folder, name), os.O_RDONLY)
        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(opened)
"""
"""Takes the files' content out of memory; names, sizes and places stay known."""


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields how long it takes with the files on disk and in memory, and next to reading them."""
    root, given = bench.folder(), bench.folder() / "given.json"
    given.write_text(json.dumps({"values": secrets(), "allow": []}))
    number = fill(root)
    rounds = bench.rounds(3)
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:CORES])

    def python(code: str, *arguments: Path) -> Taken:
        return bench.run("taskset", "--cpu-list", cores, PYTHON, "-c", code, *arguments)

    def scan() -> Taken:
        taken = python(SCAN, given, root)
        found = json.loads(taken.output)
        if found["files"] != number or found["bytes"] < SIZE or found["not_searched"]:
            raise BenchmarkError(f"{number} files were to be scanned: {taken.output[:2000]}")
        return taken

    def from_disk(action: Callable[[], Taken]) -> Callable[[], Taken]:
        def run() -> Taken:
            bench.run(PYTHON, "-c", FORGET, root)
            return action()

        return run

    def read() -> Taken:
        return python(READ, root)

    for where, first, second in (("disk", from_disk(scan), from_disk(read)), ("memory", scan, read)):
        taken = interleave(rounds, first, second, warm_up=where == "memory")
        yield Measurement(
            benchmark="leaks",
            what=f"2 GB in {number:,} files from {where}, 3 secrets, {CORES} cores",
            value=min(scanned.wall for scanned, _ in taken),
            unit="s",
            limit=LIMIT,
            rounds=rounds,
        )
        yield Measurement(
            benchmark="leaks",
            what=f"the same / reading them from {where}",
            value=median_ratio(taken),
            unit="x",
            limit=None,
            rounds=rounds,
        )
    shutil.rmtree(root)


def fill(root: Path) -> int:
    """Copies a sample of a system's files, again and again until it is large enough; returns how many."""
    files = sorted(file for file in SOURCE.rglob("*") if file.is_file() and not file.is_symlink())
    random.Random(1).shuffle(files)  # noqa: S311  # the same each time
    size = number = 0
    while size < SIZE:
        copy = root / SOURCE.name / str(number)
        copy.mkdir(parents=True)
        for file in files:
            place = copy / file.relative_to(SOURCE)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
            number += 1
            size += place.stat().st_size
            if size >= SIZE:
                break
    os.sync()  # what is not on disk cannot be taken out of memory
    return number


def secrets() -> list[dict[str, str]]:
    """Returns what a build may have used: a kubeconfig with token and key, a registry's password, a token."""
    some = random.Random(2)  # noqa: S311  # nobody's secrets
    lines = (base64.b64encode(some.randbytes(48)).decode() for _ in range(25))
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END RSA PRIVATE KEY-----\n"
    users = {
        "client-key-data": base64.b64encode(key.encode()).decode(),
        "token": base64.urlsafe_b64encode(some.randbytes(700)).decode(),
    }
    return [
        {"name": "kubeconfig", "value": json.dumps({"apiVersion": "v1", "users": [{"user": users}]})},
        {"name": "registry", "value": json.dumps({"username": "ci", "password": some.randbytes(8).hex()})},
        {"name": "token", "value": some.randbytes(12).hex()},
    ]
