"""The state file: what it keeps, and what makes it count as absent."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from amifactory.sandbox.state import VERSION, SandboxState, StateFolder

if TYPE_CHECKING:
    from pathlib import Path

STATE = SandboxState(
    id="0123abcd",
    pid=4242,
    endpoint="http://127.0.0.1:5001",
    instance_endpoint="http://172.31.16.1:5001",
    network="amifactory-0123abcd",
    subnet="172.31.16.0/20",
    registry="127.0.0.1:5002",
    instance_registry="http://172.31.16.2:5000",
    region="eu-central-1",
    state_bucket="example-amifactory-state",
    access_key_id="SANDBOXACCESSKEY",
    secret_access_key="sandbox",
    source_ami_id="ami-0123456789abcdef0",
    instance_profile="amifactory-sandbox",
    stand_ins=("alpine:3.20", "node:22"),
    stand_in_secrets=("ci/kubeconfig",),
)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(root=tmp_path)


def test_what_is_written_is_read(folder: StateFolder) -> None:
    folder.write(STATE)
    assert folder.read() == STATE


def test_a_second_state_replaces_the_first_and_leaves_no_other_file(folder: StateFolder) -> None:
    folder.write(STATE)
    folder.write(replace(STATE, pid=4243))
    assert folder.read() == replace(STATE, pid=4243)
    assert [file.name for file in folder.path.iterdir()] == ["state.json"]


def test_no_state_is_no_error(folder: StateFolder) -> None:
    assert folder.read() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", json.dumps({"version": VERSION})])
def test_a_broken_state_counts_as_none(folder: StateFolder, text: str) -> None:
    folder.path.mkdir(parents=True)
    folder.state_file.write_text(text)
    assert folder.read() is None


def test_a_state_of_another_version_counts_as_none(folder: StateFolder) -> None:
    folder.write(replace(STATE, version=VERSION + 1))
    assert folder.read() is None


def test_forgetting_keeps_the_log(folder: StateFolder) -> None:
    folder.write(STATE)
    folder.log_file.write_text("why it ended\n")
    folder.resolver_file.write_text("nameserver 192.0.2.53\n")
    folder.forget()
    assert [file.name for file in folder.path.iterdir()] == ["server.log"]
    folder.forget()


def test_one_command_at_a_time_holds_the_lock(folder: StateFolder) -> None:
    order: list[str] = []

    def second() -> None:
        with folder.lock():
            order.append("second")

    thread = threading.Thread(target=second)
    with folder.lock():
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
