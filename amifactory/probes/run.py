"""Runs a probe on an instance, as root: modules and input go in, one JSON document comes out."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from amifactory.errors import AmifactoryError
from amifactory.ssh import ALIAS, CONNECTION_LOST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

    from amifactory.domain.cancellation import Cancellation

_POLL_SECONDS = 0.1
_SHOWN = 200
_NOT_FOUND = 127
"""The shell's exit status for a program that is not there (POSIX, "Exit Status for Commands")."""
_PACKAGE = "amifactory.probes"


class ProbeError(AmifactoryError):
    """A probe did not come to its end; nothing is known of the build."""


def run_probe(
    name: str,
    given: Mapping[str, object],
    *,
    configuration: Path,
    environment: Mapping[str, str],
    timeout: timedelta,
    cancelled: Cancellation,
    clock: Callable[[], float],
) -> dict[str, Any]:
    """Returns what a probe found.

    Args:
        name: Of the module or package beside this one; its ``main`` takes the input and returns the output.
        given: Its input. Neither it nor the modules are in an argument list or a file on the instance.
        configuration: The ssh_config that knows the instance.
        environment: The environment ssh runs in.
        timeout: How long it may take.
        cancelled: Ends it when the run is told to stop.
        clock: Monotonic seconds.

    Raises:
        ProbeError: It failed, took too long, or the connection broke.
        CancelledError: The run was told to stop.
    """
    bootstrap = (files(_PACKAGE) / "bootstrap.py").read_text()
    sent = json.dumps({"sources": _sources(name), "probe": f"{_PACKAGE}.{name}", "given": given}).encode()
    command = shlex.join(["sudo", "--non-interactive", "python3", "-I", "-c", bootstrap])
    process = subprocess.Popen(
        ["ssh", "-F", str(configuration), ALIAS, command],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = clock() + timeout.total_seconds()
    with process:
        try:
            output, errors = _communicate(process, sent, lambda: cancelled.level or clock() > deadline)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    cancelled.check()
    if output is None:
        raise ProbeError(f'probe "{name}" did not end within {timeout.total_seconds():.0f} s')
    if process.returncode:
        raise ProbeError(_reason(name, process.returncode, errors.decode(errors="replace")))
    try:
        found: dict[str, Any] = json.loads(output)
    except ValueError:
        said = output.decode(errors="replace").strip()[:_SHOWN]
        raise ProbeError(f'probe "{name}" was not heard; instead the instance said: {said}') from None
    return found


def _sources(name: str) -> dict[str, str]:
    """Returns the source of each module a probe is made of, and of the packages it is in."""
    above = {"amifactory": "", _PACKAGE: ""}
    here = files(_PACKAGE)
    if not (here / name).is_dir():
        return {**above, f"{_PACKAGE}.{name}": (here / f"{name}.py").read_text()}
    own = {file.name[: -len(".py")]: file for file in (here / name).iterdir() if file.name.endswith(".py")}
    modules = {
        f"{_PACKAGE}.{name}" if stem == "__init__" else f"{_PACKAGE}.{name}.{stem}": file.read_text()
        for stem, file in own.items()
    }
    return {**above, **modules}


def _communicate(
    process: subprocess.Popen[bytes], sent: bytes, is_over: Callable[[], object]
) -> tuple[bytes | None, bytes]:
    """Returns what a process wrote; None for its output when it had to be given up."""
    unsent: bytes | None = sent
    while not is_over():
        try:
            return process.communicate(unsent, timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            unsent = None  # subprocess goes on sending what it was given
    return None, b""


def _reason(name: str, status: int, errors: str) -> str:
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    if status == CONNECTION_LOST:
        return f'the connection to the instance broke during probe "{name}": {last}'
    if status == _NOT_FOUND:
        return f'probe "{name}" needs python3 and sudo on the instance: {last}'
    return f'probe "{name}" failed: {last}'
