"""``amifactory-ready``: what an instance waits for, whose fault that is, and when waiting ends."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import ready
from ready import Instance, NoAnswerError, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

UP = {"UnitFileState": "enabled", "ActiveState": "active", "Result": "success"}
NOT_THERE = {"UnitFileState": "", "ActiveState": "inactive"}
KUBECONFIG = {"name": "kubeconfig", "path": "/nowhere/config", "when": "boot"}


@dataclass
class Machine:
    """An instance on which all is well until a test says otherwise; time passes by waiting."""

    folder: Path
    units: dict[str, dict[str, str]] = field(default_factory=dict)
    docker: Exception | None = None
    after: dict[float, Callable[[], None]] = field(default_factory=dict)
    time: float = 0.0
    lines: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "etc").mkdir()
        (self.folder / "run/secrets").mkdir(parents=True)
        names = ("docker.service", "docker.socket", "amifactory-secrets.service", "amifactory-ready.service")
        self.units = {name: dict(UP) for name in names}

    def run(self, *arguments: str) -> int:
        """Runs the program; returns its exit status."""
        return ready.main(
            arguments,
            self.instance,
            clock=lambda: self.time,
            now=lambda: 1.8e9 + self.time,
            sleep=self.sleep,
            log=self.lines.append,
            out=self.printed.append,
        )

    def answer(self, *arguments: str) -> dict[str, Any]:
        """Runs the program; returns what it prints as JSON."""
        self.run("--json", *arguments)
        answer: dict[str, Any] = json.loads(self.printed[-1])
        return answer

    @property
    def instance(self) -> Instance:
        return Instance(
            settings=self.folder / "etc",
            state=self.folder / "run",
            units=self.ask_units,
            ping_docker=self.ping_docker,
        )

    def waiting(self) -> list[Waiting]:
        return self.instance.waiting()

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for time in [time for time in self.after if time <= self.time]:
            self.after.pop(time)()

    def ask_units(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        return {name: self.units.get(name, NOT_THERE) for name in names}

    def ping_docker(self) -> None:
        if self.docker:
            raise self.docker

    def list_secrets(self, *entries: Mapping[str, str]) -> None:
        (self.folder / "etc/secrets.json").write_text(json.dumps(entries))

    def file(self) -> Path:
        """Lists a secret whose file is there, and returns the file."""
        file = self.folder / "config"
        file.touch()
        self.list_secrets({**KUBECONFIG, "path": str(file)})
        return file

    def fetched(self, *, path: str, version: str | None = "v1", **problem: object) -> None:
        state = {"name": "kubeconfig", "path": path, "version": version, "problem": problem or None}
        (self.folder / "run/secrets/kubeconfig.json").write_text(json.dumps(state))

    def install(self, name: str, **properties: str) -> None:
        with (self.folder / "etc/hooks").open("a") as file:
            file.write(f"{name}\n")
        self.units[name] = {**UP, **properties}

    def set_docker(self, **properties: str) -> None:
        for name in ("docker.service", "docker.socket"):
            self.units[name].update(properties)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_well_instance_is_ready_at_once_and_says_nothing(machine: Machine) -> None:
    assert machine.run() == 0
    assert (machine.lines, machine.printed, machine.time) == ([], [], 0)


def test_docker_that_is_not_enabled_is_not_waited_for(machine: Machine) -> None:
    machine.docker = NoAnswerError("no")
    machine.set_docker(UnitFileState="disabled", ActiveState="inactive")
    assert machine.waiting() == []


def test_docker_that_starts_on_demand_is_waited_for(machine: Machine) -> None:
    machine.docker = NoAnswerError("it does not answer")
    machine.units["docker.service"]["UnitFileState"] = "disabled"
    assert machine.waiting() == [Waiting("docker", "it does not answer")]


def test_docker_that_does_not_answer_may_yet(machine: Machine) -> None:
    machine.docker = NoAnswerError("it does not answer: timed out")
    assert machine.waiting() == [Waiting("docker", "it does not answer: timed out", of="image", final=False)]


def test_docker_that_failed_is_final(machine: Machine) -> None:
    machine.units["docker.service"].update(ActiveState="failed", Result="exit-code")
    assert machine.waiting() == [Waiting("docker", "docker.service failed (exit-code)", final=True)]


@pytest.mark.parametrize(("state", "count"), [("active", 0), ("activating", 1)])
def test_who_may_not_ask_docker_goes_by_its_unit(machine: Machine, state: str, count: int) -> None:
    machine.docker = PermissionError("no")
    machine.units["docker.service"]["ActiveState"] = state
    assert len(machine.waiting()) == count


def test_secret_in_place_is_not_waited_for(machine: Machine) -> None:
    machine.fetched(path=str(machine.file()))
    assert machine.waiting() == []


def test_secret_of_the_build_is_not_waited_for(machine: Machine) -> None:
    machine.list_secrets({**KUBECONFIG, "when": "build"})
    assert machine.waiting() == []


def test_secret_in_place_whose_refresh_failed_is_in_place(machine: Machine) -> None:
    machine.fetched(path=str(machine.file()), why="it is gone", of="account", final=True)
    machine.units["amifactory-secrets.service"]["ActiveState"] = "failed"
    assert machine.waiting() == []


def test_secret_that_was_removed_is_missed(machine: Machine) -> None:
    machine.list_secrets(KUBECONFIG)
    machine.fetched(path="/nowhere/config")
    assert machine.waiting() == [Waiting("secret kubeconfig", "/nowhere/config was removed")]


def test_state_of_another_path_does_not_count(machine: Machine) -> None:
    machine.list_secrets(KUBECONFIG)
    machine.fetched(path=str(machine.folder))
    assert machine.waiting() == [Waiting("secret kubeconfig", "it is being fetched", of="account")]


def test_secret_before_the_first_attempt_is_being_fetched(machine: Machine) -> None:
    machine.list_secrets(KUBECONFIG)
    machine.units["amifactory-secrets.service"]["ActiveState"] = "activating"
    assert machine.waiting() == [Waiting("secret kubeconfig", "it is being fetched", of="account")]


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("of", ["account", "image"])
def test_problem_of_a_secret_is_passed_on(machine: Machine, of: str, final: bool) -> None:
    machine.list_secrets(KUBECONFIG)
    machine.fetched(path=KUBECONFIG["path"], version=None, why="so it is", of=of, final=final)
    assert machine.waiting() == [Waiting("secret kubeconfig", "so it is", of=of, final=final)]


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"ActiveState": "failed", "Result": "signal"}, "amifactory-secrets.service failed (signal)"),
        (
            {"ActiveState": "inactive", "UnitFileState": "disabled"},
            "amifactory-secrets.service is not enabled",
        ),
    ],
)
def test_secret_that_nobody_fetches_is_the_images_fault(
    machine: Machine, properties: dict[str, str], why: str
) -> None:
    machine.list_secrets(KUBECONFIG)
    machine.units["amifactory-secrets.service"].update(properties)
    assert machine.waiting() == [Waiting("secret kubeconfig", why, of="image", final=True)]


@pytest.mark.parametrize("text", ["{", "[1", '[{"when": "boot'])
def test_broken_list_of_secrets_is_the_images_fault(machine: Machine, text: str) -> None:
    (machine.folder / "etc/secrets.json").write_text(text)
    (one,) = machine.waiting()
    assert (one.of, one.final) == ("image", True)


@pytest.mark.parametrize(
    ("properties", "why", "final"),
    [
        ({"ActiveState": "active"}, None, False),
        ({"ActiveState": "reloading"}, None, False),
        ({"ActiveState": "activating"}, "it is activating", False),
        ({"ActiveState": "failed", "Result": "timeout"}, "it failed (timeout)", True),
        ({"ActiveState": "inactive", "Job": "17"}, "it is to be started", False),
        ({"ActiveState": "inactive"}, "it was not started", False),
        ({"ActiveState": "inactive", "ExecMainStartTimestampMonotonic": "0"}, "it was not started", False),
        ({"ActiveState": "inactive", "ExecMainStartTimestampMonotonic": "17"}, None, False),
        (
            {"ActiveState": "inactive", "ConditionResult": "no", "ConditionTimestampMonotonic": "17"},
            None,
            False,
        ),
        (
            {"ActiveState": "inactive", "ConditionResult": "no", "ConditionTimestampMonotonic": "0"},
            "it was not started",
            False,
        ),
        ({"ActiveState": "inactive", "UnitFileState": "disabled"}, None, False),
        ({"ActiveState": "failed", "UnitFileState": "static"}, None, False),
    ],
)
def test_hook_has_finished_or_says_why_not(
    machine: Machine, properties: dict[str, str], why: str | None, final: bool
) -> None:
    machine.install("mount-cache.service", **properties)
    expected = [Waiting("hook mount-cache.service", why, of="image", final=final)] if why else []
    assert machine.waiting() == expected


def test_hook_that_starts_after_the_signal_is_not_waited_for(machine: Machine) -> None:
    machine.install("register.service", ActiveState="inactive", Job="17")
    machine.units["amifactory-ready.service"]["Before"] = "shutdown.target register.service"
    assert machine.waiting() == []


@pytest.mark.parametrize(
    ("of", "state", "expected"),
    [("account", "inactive", "account"), ("image", "inactive", "image"), ("account", "failed", "image")],
)
def test_hook_that_starts_after_a_missing_secret_is_late_for_the_same_reason(
    machine: Machine, of: str, state: str, expected: str
) -> None:
    """But for one that failed, which is its own fault."""
    machine.list_secrets(KUBECONFIG)
    machine.fetched(path=KUBECONFIG["path"], version=None, why="no answer", of=of, final=False)
    machine.install("register.service", ActiveState=state, Job="17")
    machine.install("mount-cache.service", ActiveState="inactive", Job="18")
    machine.units["amifactory-secrets.service"]["Before"] = "shutdown.target register.service"
    found = {one.what: one.of for one in machine.waiting()}
    assert found == {
        "secret kubeconfig": of,
        "hook register.service": expected,
        "hook mount-cache.service": "image",
    }


def test_its_own_units_are_no_hooks_to_wait_for(machine: Machine) -> None:
    for name in ("amifactory-ready.service", "amifactory-secrets.service"):
        machine.install(name, ActiveState="activating")
    assert machine.waiting() == []


def test_draining_instance_is_never_ready_again(machine: Machine) -> None:
    (machine.folder / "run/draining").touch()
    assert machine.run() == 1
    assert machine.time == 0
    assert machine.lines == ["not ready: instance: it is draining: it takes no more jobs"]


def test_systemd_that_does_not_answer_is_waited_for(machine: Machine) -> None:
    def silent(_: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        raise NoAnswerError("no bus")

    instance = Instance(
        settings=machine.folder, state=machine.folder, units=silent, ping_docker=machine.ping_docker
    )
    assert instance.waiting() == [Waiting("systemd", "no bus")]


def test_it_says_what_it_waits_for_when_that_changes(machine: Machine) -> None:
    file = machine.file()
    file.unlink()
    machine.docker = NoAnswerError("it does not answer")

    def docker_answers() -> None:
        machine.docker = None

    def problem() -> None:
        machine.fetched(path=str(file), version=None, why="no credentials", of="account", final=False)

    def in_place() -> None:
        file.touch()
        machine.fetched(path=str(file))

    machine.after = {2: docker_answers, 5: problem, 9: in_place}
    assert machine.run() == 0
    assert machine.time == 9
    assert machine.lines == [
        "waiting for docker: it does not answer",
        "waiting for secret kubeconfig: it is being fetched",
        "waiting for secret kubeconfig: no credentials",
    ]


@pytest.mark.parametrize("timeout", ["0", "7", "7.25"])
def test_limit_ends_it_with_the_reasons(machine: Machine, timeout: str) -> None:
    machine.docker = NoAnswerError("it does not answer")
    assert machine.run("--timeout", timeout) == 1
    assert machine.time == float(timeout)
    assert machine.lines[-1] == "not ready: docker: it does not answer"


def test_default_limit_is_five_minutes(machine: Machine) -> None:
    machine.docker = NoAnswerError("it does not answer")
    assert machine.run() == 1
    assert machine.time == 300


def test_final_reason_ends_it_at_once_with_all_reasons(machine: Machine) -> None:
    machine.docker = NoAnswerError("it does not answer")
    machine.install("mount-cache.service", ActiveState="failed", Result="exit-code")
    assert machine.run() == 1
    assert machine.time == 0
    assert machine.lines == [
        "not ready: docker: it does not answer",
        "not ready: hook mount-cache.service: it failed (exit-code)",
    ]


def test_json_says_since_when_it_is_ready(machine: Machine) -> None:
    assert machine.answer() == {"ready": True, "at": 1.8e9, "waiting": []}


def test_json_says_what_is_missing(machine: Machine) -> None:
    machine.docker = NoAnswerError("it does not answer")
    assert machine.answer("--timeout", "0") == {
        "ready": False,
        "at": None,
        "waiting": [{"what": "docker", "why": "it does not answer", "of": "image", "final": False}],
    }


def test_first_time_is_recorded_and_stays(machine: Machine) -> None:
    assert machine.run("--record") == 0
    machine.time = 60
    assert machine.run("--record") == 0
    assert machine.answer()["at"] == 1.8e9
    assert (machine.folder / "run/ready").read_text() == "1800000000.000\n"


def test_no_time_is_recorded_when_it_is_not_ready(machine: Machine) -> None:
    machine.docker = NoAnswerError("no")
    assert machine.run("--record", "--timeout", "1") == 1
    assert not (machine.folder / "run/ready").exists()


def test_units_are_read_as_systemctl_shows_them(tmp_path: Path) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\necho "$@" >&2\nprintf "Result=success\\nBefore=a=b c\\n\\nResult=\\n"\n')
    systemctl.chmod(0o755)
    found = ready.ask_systemd(["x.service", "y.service"], systemctl=str(systemctl))
    assert found == {"x.service": {"Result": "success", "Before": "a=b c"}, "y.service": {"Result": ""}}


def test_systemctl_that_fails_is_no_answer(tmp_path: Path) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
    systemctl.chmod(0o755)
    with pytest.raises(NoAnswerError, match="Failed to connect to bus"):
        ready.ask_systemd([], systemctl=str(systemctl))
    with pytest.raises(NoAnswerError, match="No such file"):
        ready.ask_systemd([], systemctl=str(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nOK", None),
        (b"HTTP/1.0 500 Internal Server Error\r\n\r\n", "it answers, but is not well"),
        (b"", "it answers, but is not well"),
    ],
)
def test_docker_is_asked_on_its_socket(tmp_path: Path, answer: bytes, problem: str | None) -> None:
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(1024))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        if problem:
            with pytest.raises(NoAnswerError, match=problem):
                ready.ping_docker(str(tmp_path / "docker.sock"))
        else:
            ready.ping_docker(str(tmp_path / "docker.sock"))
        thread.join()
    assert asked == [b"GET /_ping HTTP/1.0\r\n\r\n"]


def test_no_socket_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(NoAnswerError, match="No such file"):
        ready.ping_docker(str(tmp_path / "docker.sock"))


def test_file_in_a_folder_that_is_not_there_is_not_there(tmp_path: Path) -> None:
    assert ready.there(str(tmp_path))
    assert not ready.there(str(tmp_path / "a/b"))
