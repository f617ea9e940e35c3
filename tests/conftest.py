"""The machine that tests need, and the command line as they run it: a process, like a person's."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import RawIOBase
    from signal import Signals

TESTS = Path(__file__).parent
NEED_A_MACHINE = (TESTS / "sandbox", TESTS / "end_to_end")
SKIP = "AMIFACTORY_SKIP_SANDBOX"
AMIFACTORY = Path(sys.executable).with_name("amifactory")
PATIENCE = 60.0

settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=100, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fails, with the reason, what needs Docker and Packer where they are missing."""
    if not any(item.path.is_relative_to(folder) for folder in NEED_A_MACHINE):
        return
    if os.environ.get(SKIP) == "1":
        pytest.skip(f"{SKIP}=1")
    if problem := machine_problem():
        pytest.fail(f"{problem} (make setup installs and starts it; {SKIP}=1 skips this test)", pytrace=False)


@cache
def machine_problem() -> str | None:
    """Returns what keeps this machine from running a sandbox and Packer."""
    missing = [name for name in ("packer", "docker", "docker-registry") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    return f"Docker does not answer: {asked.stderr.strip()}" if asked.returncode else None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    def expect(self, code: int) -> Self:
        """Returns itself if it ended with that code."""
        assert self.code == code, f"exit code {self.code}, not {code}\n{self.stdout}\n{self.stderr}"
        return self

    @property
    def json(self) -> Any:
        """Returns the one document on stdout."""
        return json.loads(self.stdout)

    @property
    def builds(self) -> dict[str, Any]:
        """Returns the builds of a document by image."""
        return {build["image"]: build for build in self.json["builds"]}

    @property
    def steps(self) -> dict[str, Any]:
        """Returns the steps of a plan by image."""
        return {step["image"]: step for step in self.json["steps"]}


class Running:
    """A command at work, whose stderr can be waited on."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            arguments,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self.end()

    def wait_for(self, text: str) -> None:
        """Waits until a line of stderr has the text."""
        with self._news:
            seen = self._news.wait_for(lambda: self._has(text) or not self._reader.is_alive(), PATIENCE)
            assert seen, f"no {text!r} within {PATIENCE} s: {self._lines}"
            assert self._has(text), f"ended without {text!r}: {self._lines}"

    def send(self, number: Signals) -> None:
        """Sends the process, and it alone, a signal."""
        self._process.send_signal(number)

    def end(self) -> Ended:
        """Waits for the end."""
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            stdout = stream.read()
        code = self._process.wait(PATIENCE)
        seconds = time.monotonic() - self._began
        self._reader.join()
        return Ended(code=code, stdout=stdout, stderr="".join(self._lines), seconds=seconds)

    def _has(self, text: str) -> bool:
        return any(text in line for line in self._lines)

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()


@dataclass(frozen=True, kw_only=True)
class Cli:
    """``amifactory`` in a factory.

    Attributes:
        environment: All of it; `plain_environment` unless a test says otherwise.
    """

    root: Path
    sandbox: bool = True
    environment: Mapping[str, str] = field(default_factory=lambda: plain_environment(os.environ))

    def run(self, *arguments: str, **environment: str) -> Ended:
        """Runs a command to its end, with more environment variables if given."""
        began = time.monotonic()
        ended = subprocess.run(
            self.command(*arguments),
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
            check=False,
        )
        seconds = time.monotonic() - began
        return Ended(code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr, seconds=seconds)

    def start(self, *arguments: str, **environment: str) -> Running:
        """Starts a command."""
        return Running(self.command(*arguments), {**self.environment, **environment})

    def run_on_terminal(self, *arguments: str, **environment: str) -> str:
        """Runs a command on a terminal and returns all that it wrote there."""
        master, terminal = pty.openpty()
        process = subprocess.Popen(
            self.command(*arguments),
            env={**self.environment, "TERM": "xterm-256color", **environment},
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        with process, os.fdopen(master, "rb", buffering=0) as screen:
            written = b"".join(iter(lambda: read_terminal(screen), b""))
        return written.decode()

    def command(self, *arguments: str) -> list[str]:
        """Returns the whole command line."""
        before = ["--sandbox"] if self.sandbox else []
        return [str(AMIFACTORY), "-C", str(self.root), *before, *arguments]


def read_terminal(screen: RawIOBase) -> bytes:
    """Returns what a terminal got; nothing once the last program has left it, which Linux calls EIO."""
    try:
        return screen.read(4096) or b""
    except OSError:
        return b""


def plain_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without what would change what amifactory does or how it looks."""
    unwanted = ("AWS_", "AMIFACTORY_", "PACKER_", "PYTEST_", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "TERM")
    return {name: value for name, value in given.items() if not name.startswith(unwanted)}


@pytest.fixture(scope="session")
def make_cli() -> type[Cli]:
    """Returns the class: test files cannot import each other."""
    return Cli
