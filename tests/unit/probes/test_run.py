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
        "name": "inventory",
        "configuration": Path("/nowhere/config"),
        "timeout": timedelta(seconds=30),
        "cancelled": Cancellation(),
        "clock": time.monotonic,
        **more,
    }
    return run_probe(given=given or {}, environment=environment, **settings)


def test_the_probe_runs_there_and_answers(programs: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    found = run(programs(INSTANCE), {"canary": "hunter2-canary"})
    assert found["kernel"] == os.uname().release
    arguments = (tmp_path / "arguments").read_text()
    assert "sudo --non-interactive python3" in arguments
    assert "hunter2-canary" not in arguments
    assert "dpkg-query" not in arguments


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "echo 'Connection reset by peer' >&2; exit 255",
            r"connection to the instance broke.*: Connection reset by peer$",
        ),
        ("echo 'python3: command not found' >&2; exit 127", "needs python3 and sudo"),
        ("printf 'Traceback\\nKeyError: 1\\n' >&2; exit 1", r'probe "inventory" failed: KeyError: 1$'),
        ("echo 'Welcome!'", "instead the instance said: Welcome!$"),
    ],
    ids=["broken connection", "no Python", "failing probe", "login script that prints"],
)
def test_what_kept_a_probe_from_answering_is_told(
    programs: Callable[..., dict[str, str]], said: str, told: str
) -> None:
    with pytest.raises(ProbeError, match=told):
        run(programs(f"#!/bin/sh\ncat >/dev/null\n{said}\n"))


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


def test_a_probe_that_is_a_package_goes_with_all_its_modules(
    programs: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    environment = programs("#!/bin/sh\ncat >{folder}/sent\necho '{}'\n")
    run(environment, name="measure")
    sources = json.loads((tmp_path / "sent").read_text())["sources"]
    assert "def main" in sources["amifactory.probes.measure"]
    assert "def wait_until_ready" in sources["amifactory.probes.measure.readiness"]
