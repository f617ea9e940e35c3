"""One Packer process with all its children: start, interrupt, kill, wait.

Packer is several processes: a wrapper, the one that works, and one per plugin. The wrapper ignores
SIGINT and expects, as in a terminal, that the whole process group gets it; plugins ignore it and
live until Packer has cleaned up. So signals go to the group, which is Packer's own: Ctrl-C in the
terminal does not reach it by itself.

Output goes straight to a file. If amifactory is killed, no pipe breaks and Packer finishes its AMI.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError, MissingToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_POLL_SECONDS = 0.05


class PackerProcess:
    """A running Packer.

    Args:
        arguments: The program and its arguments.
        directory: Where it runs.
        output: The file that takes stdout and stderr; replaced.
        inherited: File descriptors it holds open too.

    Raises:
        MissingToolError: The program cannot be run.
        AmifactoryError: The output file cannot be written.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        directory: Path,
        output: Path,
        environment: Mapping[str, str],
        inherited: Sequence[int] = (),
    ) -> None:
        try:
            file = output.open("wb")
        except OSError as error:
            raise AmifactoryError(f"cannot write {output}: {error.strerror}") from error
        with file:
            try:
                self._process = subprocess.Popen(
                    arguments,
                    cwd=directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=inherited,
                )
            except OSError as error:
                raise MissingToolError(
                    f"{arguments[0]} cannot be run in {directory}: {error.strerror}",
                    hint="Run `amifactory doctor`.",
                ) from error
        self._ended = threading.Event()
        threading.Thread(target=self._await_end, name="packer-end", daemon=True).start()

    @property
    def exit_status(self) -> int | None:
        """Returns the exit status, negative for a signal; nothing while it runs."""
        return self._process.returncode if self._ended.is_set() else None

    def wait(self, seconds: float) -> bool:
        """Waits so long at most, and returns whether it has ended."""
        return self._ended.wait(seconds)

    def interrupt(self) -> None:
        """Tells Packer to stop and clean up."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Ends Packer and everything it started at once; also what is left of it after its end."""
        self._signal(signal.SIGKILL)

    def wait_for_group(self, seconds: float) -> bool:
        """Waits for all that the wrapper started, and returns whether it has ended.

        The wrapper itself never ends once its output could not be written, as when the disk is full.
        """
        for _ in range(math.ceil(seconds / _POLL_SECONDS)):
            if not self._is_at_work():
                return True
            time.sleep(_POLL_SECONDS)
        return not self._is_at_work()

    def _is_at_work(self) -> bool:
        """Returns whether there is a process of the group besides its leader, the wrapper."""
        return any(group == self._process.pid != process for process, group in _groups(Path("/proc")))

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _await_end(self) -> None:
        self._process.wait()
        self._ended.set()


def _groups(processes: Path) -> Iterator[tuple[int, int]]:
    """Yields each process and its group: fifth in its ``stat``, third after the name's bracket (proc(5))."""
    for file in processes.glob("[0-9]*/stat"):
        with suppress(OSError):
            yield int(file.parent.name), int(file.read_text().rpartition(")")[2].split()[2])
