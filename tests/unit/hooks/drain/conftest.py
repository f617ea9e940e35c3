"""A machine to drain, that only exists in memory and in a folder, and the service on it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aws_program import AwsProgram
from drain import POLL_SECONDS, Drain, Settings
from host import Host
from instance_metadata import MetadataError
from scaling_group import ScalingGroup
from workers import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

START = 1_800_000_000.0
NO_ACTION = "An error occurred (ValidationError): No active Lifecycle Action found with instance ID i-1"
CONFIG_TEXT = '[[runners]]\n  token = "glrt-secret"\n\n[[runners]]\n  token = "glrt-other"\n'


@dataclass
class Machine:
    """An instance: gitlab-runner's process (0: none), what systemd and Docker say, and AWS around it."""

    root: Path
    now: float = START
    metadata: dict[str, str] = field(
        default_factory=lambda: {
            "meta-data/instance-id": "i-1",
            "meta-data/placement/region": "eu-central-1",
        }
    )
    metadata_answers: bool = True
    runner: int = 0
    sub_state: str = "dead"
    containers: int = 0
    state: str | None = None
    hooks: dict[str, int] = field(default_factory=lambda: {"drain": 300})
    hook_waits: bool = True
    aws_problems: list[str] = field(default_factory=list)
    gitlab_answers: bool = True
    commands: list[list[str]] = field(default_factory=list)
    environments: list[Mapping[str, str] | None] = field(default_factory=list)
    signals: list[tuple[int, int]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    times: dict[str, list[float]] = field(default_factory=dict)

    def read(self, path: str) -> str | None:
        if not self.metadata_answers:
            raise MetadataError("the instance metadata service does not answer")
        return self.metadata.get(path)

    def kill(self, process: int, number: int) -> None:
        self.signals.append((process, number))

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        self.commands.append(list(command))
        self.environments.append(environment)
        answers = {"systemctl": self._systemctl, "docker": self._docker, "aws": self._aws}
        code, out, err = answers.get(command[0], self._gitlab_runner)(list(command))
        return subprocess.CompletedProcess(command, code, out, err)

    def _systemctl(self, command: list[str]) -> tuple[int, str, str]:
        if command[1] == "stop":
            self.sub_state = "dead"
        return 0, f"MainPID={self.runner}\nSubState={self.sub_state}\n" if command[1] == "show" else "", ""

    def _docker(self, _: list[str]) -> tuple[int, str, str]:
        return 0, "0123456789ab\n" * self.containers, ""

    def _gitlab_runner(self, command: list[str]) -> tuple[int, str, str]:
        assert command[:3] == ["gitlab-runner", "unregister", "--all-runners"]
        if self.gitlab_answers:
            (self.root / CONFIG).write_text("concurrent = 1\n")
        return 0, "", "level=error runner=glrt-secr"

    def _aws(self, command: list[str]) -> tuple[int, str, str]:
        operation = command[2]
        self.times.setdefault(operation, []).append(self.now - START)
        if self.aws_problems:
            return 254, "", f"\n{self.aws_problems.pop(0)}\n"
        if operation == "describe-auto-scaling-instances":
            found = [{"AutoScalingGroupName": "workers", "LifecycleState": self.state}] if self.state else []
            return 0, json.dumps({"AutoScalingInstances": found}), ""
        if operation == "describe-lifecycle-hooks":
            return 0, json.dumps({"LifecycleHooks": [self._hook(name) for name in self.hooks]}), ""
        if self.state != "Terminating:Wait" or not self.hook_waits:
            return 254, "", NO_ACTION
        return 0, "", ""

    def _hook(self, name: str) -> dict[str, Any]:
        transition = "LAUNCHING" if name == "launch" else "TERMINATING"
        return {
            "LifecycleHookName": name,
            "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
            "HeartbeatTimeout": self.hooks[name],
        }

    @property
    def completed(self) -> list[float]:
        """Returns when the lifecycle action was completed, in seconds since the start."""
        return self.times.get("complete-lifecycle-action", [])

    @property
    def heartbeats(self) -> list[float]:
        return self.times.get("record-lifecycle-action-heartbeat", [])

    def terminate(self) -> None:
        """Has the group terminate the instance."""
        self.metadata["meta-data/autoscaling/target-lifecycle-state"] = "Terminated"
        self.state = "Terminating:Wait"

    def register(self) -> None:
        """Writes the configuration of a gitlab-runner that registered itself, twice."""
        (self.root / CONFIG).parent.mkdir(parents=True)
        (self.root / CONFIG).write_text(CONFIG_TEXT)

    def times_run(self, *command: str) -> int:
        return sum(tuple(ran[: len(command)]) == command for ran in self.commands)

    def connect(self, user: int, *, name: str = "sshd", process: int = 500) -> Path:
        """Adds a process to /proc."""
        folder = self.root / f"proc/{process}"
        folder.mkdir(parents=True)
        (folder / "status").write_text(f"Name:\t{name}\nUid:\t{user}\t{user}\t{user}\t{user}\n")
        return folder / "status"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(root=tmp_path)


class Service:
    """The drain service on a machine, with time passing as tests say."""

    def __init__(self, machine: Machine, **settings: Any) -> None:
        self.machine = machine
        given = {"timeout": 600.0, "hook": None, "unregister": False, **settings}
        given.setdefault("on", ("spot", "rebalance", "termination"))
        self.settings = Settings(**given)
        self.start()

    def start(self) -> None:
        """Starts it, or starts it anew: what it knew is in files only."""
        machine = self.machine
        host = Host(
            run=machine.run,
            kill=machine.kill,
            now=lambda: machine.now,
            say=machine.said.append,
            root=machine.root,
        )
        environ = {"AWS_ENDPOINT_URL": "http://10.0.0.1:4566", "SECRET": "x"}
        aws = AwsProgram(run=machine.run, environ=environ, metadata=machine.read)
        group = ScalingGroup(host, aws, read=machine.read, hook=self.settings.hook)
        self._drain = Drain(self.settings, host, group, read=machine.read)

    def pass_time(self, seconds: float) -> None:
        """Looks every few seconds, as the service does."""
        until = self.machine.now + seconds
        while self.machine.now < until:
            self._drain.look()
            self.machine.now += POLL_SECONDS


@pytest.fixture
def service(machine: Machine) -> Callable[..., Service]:
    return lambda **settings: Service(machine, **settings)
