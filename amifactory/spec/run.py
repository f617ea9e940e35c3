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
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from amifactory.errors import AmifactoryError
from amifactory.spec.result import SpecResult, read_result
from amifactory.ssh import ALIAS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from amifactory.domain.cancellation import Cancellation

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 5.0
"""How long pytest may take to write its report after it was told to stop."""

PYTEST_INTERNAL_ERROR = 3
"""pytest's documentation, "Exit codes"."""


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
        clock: Monotonic seconds.

    Raises:
        CancelledError: The run was told to stop; nothing is known of the build.
        AmifactoryError: pytest itself failed, or a spec cannot be loaded; nothing is known of the build.
    """
    junit.unlink(missing_ok=True)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amifactory-spec-")))
        (work / "facts.json").write_text(json.dumps(facts), "utf-8")
        (work / "pytest.ini").write_text("[pytest]\njunit_family = xunit1\n", "utf-8")
        process = stack.enter_context(
            _Process(
                _arguments(folders, work, configuration, junit),
                directory=work,
                environment=_environment(environment, work),
                log=stack.enter_context(log.open("w", encoding="utf-8")),
                on_line=on_line,
            )
        )
        began = clock()
        ended = process.wait(lambda: bool(cancelled.level) or clock() - began > timeout.total_seconds())
    cancelled.check()
    if ended and process.exit_status == PYTEST_INTERNAL_ERROR:
        raise AmifactoryError(
            f"pytest itself failed, which says nothing of the build: {process.last_line}",
            hint=f"See {log}; a full disk is a usual reason.",
        )
    result = read_result(
        junit, exit_status=process.exit_status, seconds=clock() - began, last_line=process.last_line
    )
    if ended and result.broken:
        raise AmifactoryError(
            f"the spec cannot be loaded, which says nothing of the build: {result.broken}",
            hint=f"Run: amifactory validate. See also {log}",
        )
    if ended:
        return result
    return replace(result, problem=f"it did not end within {timeout.total_seconds():.0f} s (verify.timeout)")


def _arguments(folders: Sequence[Path], work: Path, configuration: Path, junit: Path) -> list[str]:
    folders = [folder.resolve() for folder in folders]
    root = os.path.commonpath([folder.parent.parent for folder in folders]) if folders else str(work)
    return [
        *(sys.executable, "-m", "pytest", "-v", "--color=no", "--tb=short"),
        *("-c", str(work / "pytest.ini"), "--rootdir", root, "--confcutdir", root),
        *("--import-mode=importlib", "-p", "no:cacheprovider"),
        *("-p", "testinfra.plugin", "-p", "amifactory.spec.plugin"),
        *(f"--hosts=ssh://{ALIAS}?controlpersist=0", f"--ssh-config={configuration}"),
        f"--junitxml={junit.absolute()}",
        *(str(folder) for folder in folders or [work]),
    ]


def _environment(given: Mapping[str, str], work: Path) -> dict[str, str]:
    """Returns the environment without what would make the result depend on this machine's pytest set-up."""
    return {
        **{name: value for name, value in given.items() if not name.startswith(("PYTEST_", "PYTHON"))},
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
    ) -> None:
        self.last_line = ""
        self._log = log
        self._log_problem: OSError | None = None
        self._on_line = on_line
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
            for line in stream:
                self._keep(line)
                if text := line.rstrip():
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
