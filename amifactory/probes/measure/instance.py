"""The instance that is measured: its programs, files, network and clocks."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_SECONDS = 60.0
"""How long a program may take that has nothing to wait for."""
LOOK_UP_SECONDS = 3.0
"""How long one name may take to resolve, and one connection to a registry that ought to be cut off."""

NOT_FOUND = 127
"""What a shell says of a program that is not there (POSIX), and Docker of one that an image does not have."""
CANNOT_EXECUTE = 126
OTHER_ARCHITECTURE = "does not match the detected host platform"
"""Docker's warning that an image is for another architecture; what comes after it says so less clearly."""
_ADVICE = ("See 'docker ", "Run 'docker ")
"""How the last line of what Docker's command says begins, which helps nobody."""


class Ended(NamedTuple):
    """How a program ended; ``status`` is None when it took too long and was killed."""

    status: int | None
    output: str
    errors: str

    @property
    def why(self) -> str:
        """Returns the line that says what went wrong."""
        if self.status is None:
            return "it took too long"
        said = [line.strip() for line in self.errors.splitlines() if line.strip()]
        said = [line for line in said if not line.startswith(_ADVICE)] or [f"exit status {self.status}"]
        return next((line for line in said if OTHER_ARCHITECTURE in line), said[-1])


class Clocks(NamedTuple):
    """The instance's clocks at one moment, in seconds: since 1970, and two since the kernel started."""

    realtime: float
    monotonic: float
    boottime: float


class Instance:
    """The machine that this runs on; a test's has made-up programs and files."""

    def run(self, arguments: Sequence[str], *, seconds: float, errors_to_stderr: bool = False) -> Ended:
        """Runs a program to its end, with nothing on its stdin."""
        path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        try:
            ended = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if errors_to_stderr else subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
                env={**os.environ, "PATH": path, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            return Ended(None, "", "")
        except FileNotFoundError as error:
            return Ended(NOT_FOUND, "", f"{arguments[0]}: {error.strerror}")
        except OSError as error:
            return Ended(CANNOT_EXECUTE, "", f"{arguments[0]}: {error.strerror}")
        return Ended(ended.returncode, ended.stdout, ended.stderr or "")

    def read(self, path: str) -> str:
        """Returns the text of a file."""
        return Path(path).read_text(encoding="utf-8", errors="replace")

    def read_or(self, path: str, otherwise: str) -> str:
        """Returns the text of a file, or this where there is none."""
        try:
            return self.read(path)
        except FileNotFoundError:
            return otherwise

    def append(self, path: str, text: str) -> None:
        """Adds to a file, which stays the same file: it may be a mount."""
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)

    def connects(self, host: str, port: int) -> bool:
        """Returns whether somebody takes a TCP connection there."""
        try:
            socket.create_connection((host, port), timeout=LOOK_UP_SECONDS).close()
        except OSError:
            return False
        return True

    def pause(self, seconds: float) -> None:
        """Lets time pass."""
        time.sleep(seconds)

    def clocks(self) -> Clocks:
        """Returns all clocks, read at once."""
        return Clocks(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))

    def used_bytes(self, mounted: str) -> int:
        """Returns how much of a file system is in use."""
        found = os.statvfs(mounted)
        return (found.f_blocks - found.f_bfree) * found.f_frsize
