"""Running a probe, against a stand-in for ssh."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.cancellation import Cancellation, CancelledError
from amifactory.probes.run import ProbeError, run_probe

if TYPE_CHECKING:
    from collections.abc import Callable

INSTANCE = """#!/bin/sh
# Runs the command here, in a shell, as sshd would there; the first three arguments are ssh's own.
printf '%s\\n' "$@" >{folder}/arguments
shift 3
exec sh -c "$*"
"""
SUDO = """#!/bin/sh
shift
exec "$@"
"""


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Makes an environment whose ssh is the given script."""

    def make(ssh: str) -> dict[str, str]:
        for name, text in {"ssh": ssh, "sudo": SUDO}.items():
            (tmp_path / name).write_text(text.replace("{folder}", str(tmp_path)))
            (tmp_path / name).chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return make


def run(environment: dict[str, str], given: dict[str, object] | None = None, **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "configuration": Path("/nowhere/config"),
        "timeout": timedelta(seconds=30),
        "cancelled": Cancellation(),
        "clock": time.monotonic,
        **more,
    }
    return run_probe("inventory", given or {}, environment=environment, **settings)


def test_the_probe_runs_there_and_answers(programs: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    found = run(programs(INSTANCE), {"canary": "hunter2-canary"})
    assert found["kernel"] == os.uname().release
    arguments = (tmp_path / "arguments").read_text()
    assert "sudo --non-interactive python3" in arguments
    assert "hunter2-canary" not in arguments
    assert "dpkg-query" not in arguments


def test_a_broken_connection_is_told(programs: Callable[..., dict[str, str]]) -> None:
    environment = programs("#!/bin/sh\ncat >/dev/null\necho 'Connection reset by peer' >&2\nexit 255\n")
    with pytest.raises(ProbeError, match=r"connection to the instance broke.*Connection reset by peer"):
        run(environment)


def test_an_instance_without_python_is_told(programs: Callable[..., dict[str, str]]) -> None:
    environment = programs("#!/bin/sh\ncat >/dev/null\necho 'python3: command not found' >&2\nexit 127\n")
    with pytest.raises(ProbeError, match=r"needs python3 and sudo"):
        run(environment)


def test_a_probe_that_fails_says_its_last_line(programs: Callable[..., dict[str, str]]) -> None:
    environment = programs("#!/bin/sh\ncat >/dev/null\nprintf 'Traceback\\nKeyError: 1\\n' >&2\nexit 1\n")
    with pytest.raises(ProbeError, match=r'probe "inventory" failed: KeyError: 1$'):
        run(environment)


def test_an_answer_that_is_none_is_told(programs: Callable[..., dict[str, str]]) -> None:
    """A login script that prints, as some distributions' do, must not look like a result."""
    environment = programs("#!/bin/sh\ncat >/dev/null\necho 'Welcome!'\n")
    with pytest.raises(ProbeError, match="Welcome!"):
        run(environment)


def test_a_probe_that_hangs_is_given_up(programs: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    environment = programs("#!/bin/sh\necho $$ >{folder}/pid\nexec sleep 300\n")
    ticks = iter([0] * 5 + [1000] * 1000)
    with pytest.raises(ProbeError, match="did not end within 30 s"):
        run(environment, clock=lambda: float(next(ticks)))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_cancelled_probe_says_nothing(programs: Callable[..., dict[str, str]]) -> None:
    cancelled = Cancellation()
    cancelled.request()
    with pytest.raises(CancelledError):
        run(programs("#!/bin/sh\nexec sleep 300\n"), cancelled=cancelled)


def test_what_is_sent_is_the_program_and_the_input(
    programs: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    run(programs("#!/bin/sh\ncat >{folder}/sent\necho '{}'\n"), {"values": ["é"]})
    sent = json.loads((tmp_path / "sent").read_text())
    assert sent["given"] == {"values": ["é"]}
    assert set(sent["sources"]) == {"amifactory", "amifactory.probes", "amifactory.probes.inventory"}
    assert "def main" in sent["sources"]["amifactory.probes.inventory"]
