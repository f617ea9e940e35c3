"""Runs specs with pytest and testinfra against an instance, in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from amifactory.errors import AmifactoryError
from amifactory.spec.result import SpecResult, keep_masked, read_result
from amifactory.ssh import ALIAS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from amifactory.domain.cancellation import Cancellation

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 5.0
"""How long pytest may take to write its report after it was told to stop."""

_SOME_FAILED, _USAGE_ERROR = 1, 4
_OF_THE_BUILD = frozenset({0, _SOME_FAILED, 5})
"""All passed, some failed, none collected: the rest is pytest's or this machine's (pytest, "Exit codes")."""
_CONFTEST = "ImportError while loading conftest"
"""What pytest says first when it cannot load a ``conftest.py``, for whatever reason."""


class ConnectionLostError(AmifactoryError):
    """The connection to the instance broke while the spec ran; nothing is known of the build."""


def run_specs(
    folders: Sequence[Path],
    configuration: Path,
    *,
    log: Path,
    junit: Path,
    timeout: timedelta,
    environment: Mapping[str, str],
    facts: Mapping[str, object],
    on_line: Callable[[str], object],
    cancelled: Cancellation,
    mask: Callable[[str], str] = str,
    clock: Callable[[], float] = time.monotonic,
) -> SpecResult:
    """Runs every test in ``folders`` on an instance; a result with a ``problem`` means reject.

    Args:
        folders: ``…/<image>/spec``; test files in different folders may have the same name.
        configuration: The ssh_config that knows the instance.
        log: Takes everything pytest prints.
        junit: Takes pytest's JUnit XML.
        timeout: How long all tests together may take.
        environment: The environment to run in; ``PATH`` finds ssh.
        facts: What specs may know of the build; see `amifactory.spec.plugin`.
        on_line: Gets each line as it is printed, in a thread.
        cancelled: Stops the run.
        mask: Takes secrets out of all that is kept or shown.
        clock: Monotonic seconds.

    Raises:
        CancelledError: The run was told to stop; nothing is known of the build.
        ConnectionLostError: A test failed because ssh did, not the command it ran.
        AmifactoryError: pytest itself failed, or a spec cannot be loaded; nothing is known of the build.
    """
    junit.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="amifactory-spec-") as folder:
        work = Path(folder)
        (work / "facts.json").write_text(json.dumps(facts), "utf-8")
        (work / "pytest.ini").write_text("[pytest]\njunit_family = xunit1\n", "utf-8")
        with (
            log.open("w", encoding="utf-8") as log_file,
            _Process(
                _arguments(folders, work, configuration),
                directory=work,
                environment=_environment(environment, work),
                log=log_file,
                on_line=on_line,
                mask=mask,
            ) as process,
        ):
            began = clock()
            ended = process.wait(lambda: bool(cancelled.level) or clock() - began > timeout.total_seconds())
        seconds = clock() - began
        cancelled.check()
        _check_connection(work / "lost")
        reported = keep_masked(work / "junit.xml", junit, mask=mask)
    result = read_result(junit, exit_status=process.exit_status, seconds=seconds, last_line=process.last_line)
    if ended:
        _check_ended(result, process, log, reported=reported)
        return result
    return replace(result, problem=f"it did not end within {timeout.total_seconds():.0f} s (verify.timeout)")


def _check_connection(lost: Path) -> None:
    with suppress(FileNotFoundError):
        raise ConnectionLostError(
            f"the connection to the instance broke while the spec ran: {lost.read_text('utf-8').strip()}",
            hint="This says nothing of the build: run the command again.",
        )


def _check_ended(result: SpecResult, process: _Process, log: Path, *, reported: bool) -> None:
    """Raises what was wrong where pytest ended by itself, but not for what the tests found."""
    status, cannot_load = process.exit_status, result.broken
    if status == _USAGE_ERROR and process.first_line.startswith(_CONFTEST):
        cannot_load = f"{process.first_line} {process.last_line}"
    if cannot_load:
        raise AmifactoryError(
            f"the spec cannot be loaded, which says nothing of the build: {cannot_load}",
            hint=f"Run: amifactory validate. See also {log}",
        )
    unexplained = status == _SOME_FAILED and not result.failures
    if status not in _OF_THE_BUILD or unexplained or not reported:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        raise AmifactoryError(
            f"pytest itself failed, which says nothing of the build: it {how}: "
            f"{process.last_line or 'it printed nothing'}",
            hint=f"See {log}; too little memory or a full disk are usual reasons.",
        )


def _arguments(folders: Sequence[Path], work: Path, configuration: Path) -> list[str]:
    folders = [folder.resolve() for folder in folders]
    root = os.path.commonpath([folder.parent.parent for folder in folders]) if folders else str(work)
    return [
        *(sys.executable, "-m", "pytest", "-v", "--color=no", "--tb=short"),
        *("-c", str(work / "pytest.ini"), "--rootdir", root, "--confcutdir", root),
        *("--import-mode=importlib", "-p", "no:cacheprovider"),
        *("-p", "testinfra.plugin", "-p", "amifactory.spec.plugin"),
        *(f"--hosts=ssh://{ALIAS}?controlpersist=0", f"--ssh-config={configuration}"),
        f"--junitxml={work / 'junit.xml'}",
        *(str(folder) for folder in folders or [work]),
    ]


def _environment(given: Mapping[str, str], work: Path) -> dict[str, str]:
    """Returns the environment without what would make the result depend on this machine's pytest set-up."""
    return {
        **{name: value for name, value in given.items() if not name.startswith(("PYTEST_", "PYTHON"))},
        "AMIFACTORY_CONNECTION_LOST": str(work / "lost"),
        "AMIFACTORY_FACTS": str(work / "facts.json"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


class _Process:
    """pytest and what it starts, as one process group that is gone when the block is left."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        log: IO[str],
        on_line: Callable[[str], object],
        mask: Callable[[str], str],
    ) -> None:
        self.first_line = self.last_line = ""
        self._log = log
        self._log_problem: OSError | None = None
        self._on_line = on_line
        self._mask = mask
        self._process = subprocess.Popen(
            arguments,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="spec-output", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()

    @property
    def exit_status(self) -> int:
        """The exit status, negative for a signal."""
        return self._process.wait()

    def wait(self, is_over: Callable[[], bool]) -> bool:
        """Waits for the end; stops it when ``is_over`` says so, and then returns False."""
        while not self._ended_within(_POLL_SECONDS):
            if is_over():
                self._signal(signal.SIGINT)
                self._ended_within(_GRACE_SECONDS)
                return False
        return True

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as stream:
            for line in map(self._mask, stream):
                self._keep(line)
                if text := line.rstrip():
                    self.first_line = self.first_line or text
                    self.last_line = text
                    self._on_line(text)

    def _keep(self, line: str) -> None:
        """Writes a line to the log, until that fails; what pytest says is read on."""
        if self._log_problem is None:
            try:
                self._log.write(line)
                self._log.flush()
            except OSError as error:
                self._log_problem = error
