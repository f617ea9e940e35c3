"""What a running sandbox tells the commands that use it: a small file in the factory's working directory."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 1
"""Raised whenever a sandbox started by older code cannot serve newer code."""


@dataclass(frozen=True, kw_only=True)
class SandboxState:
    """Where a running sandbox is.

    Attributes:
        endpoint: AWS, for this machine; ``instance_endpoint`` is the same for instances.
        registry: The container registry, for this machine; ``instance_registry`` is it for instances.
        instance_profile: What an instance needs to have credentials of its own; they may do everything.
        stand_ins: References the registry was asked to hold, those it cannot hold included.
        stand_in_secrets: Ids of secrets likewise. What became of one since is nobody's concern.
    """

    id: str
    pid: int
    endpoint: str
    instance_endpoint: str
    network: str
    subnet: str
    registry: str
    instance_registry: str
    region: str
    state_bucket: str
    access_key_id: str
    secret_access_key: str
    source_ami_id: str
    instance_profile: str
    stand_ins: tuple[str, ...] = ()
    stand_in_secrets: tuple[str, ...] = ()
    version: int = VERSION


@dataclass(frozen=True, kw_only=True)
class StateFolder:
    """The sandbox's files below a factory: state, log, lock, the resolver file of its instances."""

    root: Path

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.root.resolve() / ".amifactory" / "sandbox"

    @property
    def state_file(self) -> Path:
        """Exists while the sandbox runs."""
        return self.path / "state.json"

    @property
    def log_file(self) -> Path:
        """What the daemon writes; kept after the sandbox is down."""
        return self.path / "server.log"

    @property
    def resolver_file(self) -> Path:
        """Every instance's ``/etc/resolv.conf``."""
        return self.path / "resolv.conf"

    def read(self) -> SandboxState | None:
        """Returns the state, or None when there is none, or one that this version cannot use."""
        try:
            data = json.loads(self.state_file.read_text())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return None
        if not isinstance(data, dict) or data.get("version") != VERSION:
            return None
        if set(data) != {field.name for field in fields(SandboxState)}:
            return None
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return SandboxState(**{**data, **lists})

    def write(self, state: SandboxState) -> None:
        """Replaces the state in one step."""
        self.path.mkdir(parents=True, exist_ok=True)
        new = self.state_file.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(asdict(state), indent=2) + "\n")
        new.replace(self.state_file)

    def forget(self) -> None:
        """Removes everything but the log and the lock."""
        for file in (self.state_file, self.resolver_file):
            file.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the sandbox for one command that starts, changes or ends it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
