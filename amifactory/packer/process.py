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
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError, MissingToolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_POLL_SECONDS = 0.05


class PackerProcess:
    """A running Packer.

    Args:
        arguments: The program and its arguments.
        directory: Where it runs.
        output: The file that takes stdout and stderr; replaced.

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
        """Waits for all that Packer started too, and returns whether everything has ended."""
        for _ in range(math.ceil(seconds / _POLL_SECONDS)):
            if not self._is_group_alive():
                return True
            time.sleep(_POLL_SECONDS)
        return not self._is_group_alive()

    def _is_group_alive(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _await_end(self) -> None:
        self._process.wait()
        self._ended.set()
