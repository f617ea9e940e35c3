"""The machine that a hook works on: its programs, its files, its clock, its log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Ended = subprocess.CompletedProcess[str]
    Run = Callable[[Sequence[str], "Mapping[str, str] | None"], Ended]

PROGRAM_SECONDS = 30
NOT_FOUND, TOO_LONG = 127, 124
"""What a shell and timeout(1) say of such programs."""


def run_program(
    command: Sequence[str], environment: Mapping[str, str] | None, *, seconds: float = PROGRAM_SECONDS
) -> Ended:
    """Returns what a program did; one that is missing or takes too long fails like any other."""
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, NOT_FOUND, "", f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        why = f"{command[0]} did not end within {seconds:g} s"
        return subprocess.CompletedProcess(command, TOO_LONG, "", why)


def replace_file(file: Path, text: str) -> None:
    """Writes a file of root's own, which anybody may read, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(file)


def write_line(text: str) -> None:
    """Writes to stderr, which is the journal."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@dataclass(frozen=True)
class Host:
    """What a hook needs of the machine; tests give it another.

    Attributes:
        run: Runs a program, with this environment or its own; a program's failure is a return code.
        kill: Sends a process a signal.
        now: Returns seconds since the epoch.
        say: Writes a line to the journal.
        root: Where the file system begins.
    """

    run: Run = run_program
    kill: Callable[[int, int], None] = os.kill
    now: Callable[[], float] = time.time
    say: Callable[[str], None] = write_line
    root: Path = Path("/")
