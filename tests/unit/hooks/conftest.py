"""An instance made of a folder, a clock that moves when something sleeps, and an account behind ``aws``."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fetch_secrets
import pytest
import yaml  # type: ignore[import-untyped]
from aws_program import AwsProgram
from host import run_program
from instance_metadata import MetadataError
from secrets_manager import SecretsManager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
  - {name: ci, cluster: {server: "https://ci.example.com"}}
contexts:
  - {name: ci, context: {cluster: ci, user: ci}}
users:
  - {name: ci, user: {token: correct-horse-battery}}
"""
ME = f"{pwd.getpwuid(os.geteuid()).pw_name}:{grp.getgrgid(os.getegid()).gr_name}"


@dataclass
class Clock:
    """Time that passes by sleeping."""

    time: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@dataclass
class Account:
    """What ``aws secretsmanager`` says; notes how it was asked.

    Attributes:
        trouble: Given the time, returns the error code or the last line of an error, if there is one now.
        missing: There is no such program.
        takes: Seconds for each of the next answers; those after them take none.
    """

    clock: Clock
    versions: dict[str, tuple[str, str | bytes]] = field(default_factory=dict)
    trouble: Callable[[float], str | None] = lambda _: None
    missing: bool = False
    takes: list[float] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)

    def put(self, secret_id: str, value: str | bytes, *, version: str = "version-1") -> None:
        self.versions[secret_id] = (version, value)

    @property
    def asked(self) -> list[str]:
        """The operations, in order."""
        return [command[2] for command in self.commands]

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        self.commands.append(list(command))
        self.environments.append(dict(environment or {}))
        if self.missing:
            return run_program(["no-such-program"], environment)
        trouble = self.trouble(self.clock.time)
        self.clock.time += self.takes.pop(0) if self.takes else 0.0
        secret_id = next(part for part in command if part.startswith("--secret-id=")).partition("=")[2]
        if trouble is None and secret_id not in self.versions:
            trouble = "ResourceNotFoundException"
        if trouble is not None:
            said = trouble if " " in trouble else service_error(trouble)
            return subprocess.CompletedProcess(command, 254, "", f"\n{said}\n")
        answer = self._answer(command[2], secret_id)
        return subprocess.CompletedProcess(command, 0, json.dumps(answer), "")

    def _answer(self, operation: str, secret_id: str) -> dict[str, Any]:
        version, value = self.versions[secret_id]
        if operation == "describe-secret":
            return {
                "Name": secret_id,
                "VersionIdsToStages": {"old": ["AWSPREVIOUS"], version: ["AWSCURRENT"]},
            }
        if isinstance(value, bytes):
            return {"Name": secret_id, "VersionId": version, "SecretBinary": base64.b64encode(value).decode()}
        return {"Name": secret_id, "VersionId": version, "SecretString": value}


def service_error(code: str) -> str:
    """Returns how the ``aws`` program words an error of the service."""
    operation = "GetSecretValue operation (reached max retries: 0)"
    return f"An error occurred ({code}) when calling the {operation}: so it is"


@dataclass
class World:
    """An instance with one secret to fetch, ``ci/kubeconfig``, unless more are listed."""

    folder: Path
    account: Account
    clock: Clock
    metadata: dict[str, str | MetadataError | None]
    lines: list[str] = field(default_factory=list)
    yaml: Any = yaml

    @property
    def file(self) -> Path:
        return self.folder / "home/.kube/config"

    def entry(self, **changes: str) -> dict[str, str]:
        return {
            "name": "kubeconfig",
            "id": "ci/kubeconfig",
            "path": str(self.file),
            "owner": ME,
            "mode": "0600",
            "when": "boot",
            "format": "kubeconfig",
            **changes,
        }

    def list_secrets(self, *entries: Mapping[str, str]) -> None:
        (self.folder / "secrets.json").write_text(json.dumps(entries))

    def run(self, *arguments: str) -> int:
        """Runs the program; returns its exit status."""
        if not (self.folder / "secrets.json").exists():
            self.list_secrets(self.entry())
        return fetch_secrets.main(arguments, self._instance(), listed=self.folder / "secrets.json")

    def state(self, name: str = "kubeconfig") -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / f"run/secrets/{name}.json").read_text())
        return state

    def forget_boot(self) -> None:
        """What a reboot does to /run."""
        for file in (self.folder / "run/secrets").iterdir():
            file.unlink()

    def forget_all(self) -> None:
        """Empties the disk."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def _instance(self) -> fetch_secrets.Instance:
        environ = {"PATH": "/bin", "AWS_PROFILE": "mine"}
        return fetch_secrets.Instance(
            secrets_manager=SecretsManager(
                AwsProgram(run=self.account.run, environ=environ, metadata=self._metadata)
            ),
            metadata=self._metadata,
            clock=self.clock,
            now=lambda: 1.8e9 + self.clock.time,
            sleep=self.clock.sleep,
            random=lambda: 0.0,
            log=self.lines.append,
            yaml=self.yaml,
            state=self.folder / "run/secrets",
        )

    def _metadata(self, path: str) -> str | None:
        found = self.metadata.get(path)
        if isinstance(found, MetadataError):
            raise found
        return found


@pytest.fixture(scope="session")
def make_world() -> Callable[[Path], World]:
    """Makes an instance with a role, in a Region."""

    def make(folder: Path) -> World:
        clock = Clock()
        return World(
            folder=folder,
            account=Account(clock),
            clock=clock,
            metadata={"meta-data/placement/region": "eu-central-1"},
        )

    return make


@pytest.fixture(scope="session")
def one_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of all examples of a property."""
    return tmp_path_factory.mktemp("instance")


@pytest.fixture
def world(make_world: Callable[[Path], World], tmp_path: Path) -> World:
    """Returns an instance in whose account the secret is a kubeconfig."""
    world = make_world(tmp_path)
    world.account.put("ci/kubeconfig", KUBECONFIG)
    return world


@pytest.fixture
def kubeconfig() -> str:
    """Returns a kubeconfig."""
    return KUBECONFIG
