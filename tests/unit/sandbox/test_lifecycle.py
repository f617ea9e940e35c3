"""What the commands do with a sandbox that runs, ran or never ran; none is started here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from amifactory.errors import MissingToolError, UsageError
from amifactory.sandbox.daemon import wait_for_end
from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.lifecycle import down, ensure, is_running, status
from amifactory.sandbox.machine import connect
from amifactory.sandbox.state import SandboxState, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LISTEN = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    input()
"""
NO_DOCKER = {"DOCKER_HOST": "tcp://127.0.0.1:1"}


@contextmanager
def daemon_like_process() -> Iterator[tuple[int, int]]:
    """Yields process id and port of a process that listens and is called like the daemon."""
    command = [sys.executable, "-c", LISTEN, "amifactory.sandbox.daemon"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate("\n")


def state_of(pid: int, port: int) -> SandboxState:
    return SandboxState(
        id="0123abcd",
        pid=pid,
        endpoint=f"http://127.0.0.1:{port}",
        instance_endpoint="http://172.31.16.1:5001",
        network="amifactory-0123abcd",
        subnet="172.31.16.0/20",
        registry="127.0.0.1:1",
        instance_registry="http://172.31.16.2:5000",
        region="eu-central-1",
        state_bucket="example-amifactory-state",
        access_key_id="SANDBOXACCESSKEY",
        secret_access_key="sandbox",
        source_ami_id="ami-0123456789abcdef0",
        instance_profile="amifactory-sandbox",
        stand_ins=("alpine:3.20",),
        stand_in_secrets=("ci/kubeconfig",),
    )


def find(
    root: Path,
    *,
    region: str = "eu-central-1",
    prepull: tuple[str, ...] = (),
    secrets: Mapping[str, str] = MappingProxyType({}),
    environment: dict[str, str] = NO_DOCKER,
) -> SandboxState:
    return ensure(
        root, region=region, state_bucket="example-amifactory-state", prepull=prepull, secrets=secrets,
        say=pytest.fail, environment=environment,
    )  # fmt: skip


def test_a_running_sandbox_is_found_without_asking_docker(tmp_path: Path) -> None:
    with daemon_like_process() as (pid, port), socket.create_server(("127.0.0.1", 0)) as docker:
        state = state_of(pid, port)
        StateFolder(root=tmp_path).write(state)
        environment = {"DOCKER_HOST": f"tcp://127.0.0.1:{docker.getsockname()[1]}"}
        heard_of = {"ci/kubeconfig": "kubeconfig"}
        assert find(tmp_path, prepull=("alpine:3.20",), secrets=heard_of, environment=environment) == state
        docker.setblocking(False)
        with pytest.raises(BlockingIOError):
            docker.accept()


def test_a_registry_that_is_gone_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with daemon_like_process() as (pid, port):
        StateFolder(root=tmp_path).write(state_of(pid, port))
        with pytest.raises(DriverError, match=r"registry at 127\.0\.0\.1:1 does not answer") as caught:
            find(tmp_path, prepull=("node:22",))
    assert caught.value.hint == "amifactory sandbox down"


def test_a_sandbox_that_goes_down_meanwhile_is_not_trusted_any_more(tmp_path: Path) -> None:
    folder = StateFolder(root=tmp_path)
    with daemon_like_process() as (pid, port), ThreadPoolExecutor() as pool:
        folder.write(state_of(pid, port))
        with folder.lock():
            found = pool.submit(find, tmp_path, prepull=("node:22",))
            with pytest.raises(TimeoutError):
                found.result(timeout=0.3)
            folder.forget()
        with pytest.raises(MissingToolError):  # it starts another one, for which there is no Docker here
            found.result(timeout=10)
    assert folder.read() is None


def test_a_sandbox_for_another_region_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with daemon_like_process() as (pid, port):
        StateFolder(root=tmp_path).write(state_of(pid, port))
        with pytest.raises(UsageError, match=r"region eu-central-1 .* says us-east-1") as caught:
            find(tmp_path, region="us-east-1")
    assert caught.value.hint == "amifactory sandbox down"


def test_a_process_that_is_not_a_sandbox_does_not_pass_for_one() -> None:
    with daemon_like_process() as (pid, port):
        assert is_running(state_of(pid, port))
        assert not is_running(state_of(os.getpid(), port))
    assert not is_running(state_of(pid, port))


def test_a_sandbox_whose_endpoint_is_shut_does_not_run() -> None:
    with daemon_like_process() as (pid, port):
        state = replace(state_of(pid, port), endpoint="http://127.0.0.1:1")
        assert not is_running(state)


def test_without_docker_the_error_says_how_to_get_it() -> None:
    with pytest.raises(MissingToolError, match="needs Docker") as caught:
        connect(NO_DOCKER)
    assert str(caught.value.hint).startswith("sudo ")


def test_the_status_of_a_sandbox_that_never_ran(tmp_path: Path) -> None:
    found = status(tmp_path)
    assert not found.running
    assert found.state is None
    assert not found.instances


@pytest.mark.parametrize("root", ["factory", "removed"])
def test_ending_a_sandbox_looks_beyond_its_files_and_makes_none(tmp_path: Path, root: str) -> None:
    """Its daemon and Docker objects outlive a deleted or cleaned checkout."""
    (tmp_path / "factory").mkdir()
    with pytest.raises(MissingToolError, match="needs Docker"):
        down(tmp_path / root, environment=NO_DOCKER)
    assert [path.name for path in tmp_path.rglob("*")] == ["factory"]


@pytest.mark.parametrize("lost", ["factory", "factory/.amifactory", "factory/.amifactory/sandbox/state.json"])
def test_a_daemon_whose_files_are_gone_ends(tmp_path: Path, lost: str) -> None:
    folder, stop = StateFolder(root=tmp_path / "factory"), threading.Event()
    folder.write(state_of(1, 1))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait_for_end, folder, stop, poll_seconds=0.01)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.05)
        subprocess.run(["rm", "-r", tmp_path / lost], check=True)
        waiting.result(timeout=10)


def test_a_daemon_that_is_asked_to_end_does_so_at_once(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    wait_for_end(StateFolder(root=tmp_path), stop, poll_seconds=3600)
