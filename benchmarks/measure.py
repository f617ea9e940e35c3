"""Times commands: interleaved, so that a busy machine slows both sides of a ratio alike."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
AMIFACTORY = str(Path(sys.executable).with_name("amifactory"))


class BenchmarkError(Exception):
    """Nothing can be measured: a command failed, or did not do what was to be timed."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a command took, in seconds.

    Attributes:
        cpu: User and system time of it and the children it waited for.
    """

    wall: float
    cpu: float
    output: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """How commands are run: one environment for all of them, and how often.

    Attributes:
        environment: Without ``PYTHON*`` and ``AWS_*``; byte code is cached in a folder of its own, so
            that it counts whether a package was compiled when it was installed.
        quick: Measure less often.
    """

    environment: Mapping[str, str]
    work: Path
    quick: bool

    @classmethod
    def make(cls, work: Path, *, environment: Mapping[str, str], quick: bool) -> Bench:
        """Returns a bench that keeps its files in ``work``."""
        kept = {
            name: value
            for name, value in environment.items()
            if not name.startswith(("PYTHON", "AWS_", "AMIFACTORY_"))
        }
        return cls(
            environment={**kept, "PYTHONPYCACHEPREFIX": str(work / "bytecode")}, work=work, quick=quick
        )

    def rounds(self, number: int) -> int:
        """Returns how many rounds to measure, given how many are wanted when time is no matter."""
        return max(1, number // 3) if self.quick else number

    def folder(self) -> Path:
        """Returns a new empty folder."""
        return Path(tempfile.mkdtemp(dir=self.work))

    def run(
        self, *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Taken:
        """Runs a command to its end.

        Raises:
            BenchmarkError: It failed; with the end of what it printed.
        """
        with tempfile.TemporaryFile("w+", dir=self.work) as output, tempfile.TemporaryFile("w+") as errors:
            began = time.perf_counter()
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd or self.work,
                env={**self.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            errors.seek(0)
            text, complaint = output.read(), errors.read()
        if process.returncode:
            line = " ".join(str(part) for part in command)
            raise BenchmarkError(f"{line}: status {process.returncode}\n{text[-2000:]}\n{complaint[-2000:]}")
        return Taken(wall=wall, cpu=usage.ru_utime + usage.ru_stime, output=text)

    def amifactory(self, root: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Taken:
        """Runs amifactory on the factory in ``root``."""
        return self.run(AMIFACTORY, "-C", root, *arguments, environment=environment)


def interleave(rounds: int, *actions: Callable[[], Taken], warm_up: bool = True) -> list[tuple[Taken, ...]]:
    """Returns what each action took in each round (A B A B …), after a round that does not count."""
    if warm_up:
        for action in actions:
            action()
    return [tuple(action() for action in actions) for _ in range(rounds)]


def median_ratio(pairs: Sequence[tuple[Taken, ...]]) -> float:
    """Returns the median over the rounds of the first action's wall time by the second's."""
    return median(first.wall / second.wall for first, second, *_ in pairs)


def median_difference(pairs: Sequence[tuple[Taken, ...]]) -> float:
    """Returns the median over the rounds of the first action's wall time less the second's."""
    return median(first.wall - second.wall for first, second, *_ in pairs)
