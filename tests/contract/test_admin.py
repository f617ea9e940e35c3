"""Giving notice the way the command does: by what the sandbox's state file says."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.errors import UsageError
from amifactory.sandbox.admin import give_notice
from amifactory.sandbox.state import VERSION, SandboxState, StateFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from amifactory.sandbox.ec2_world import World


def running(root: Path, endpoint: str) -> Path:
    """Writes the state of a sandbox that answers at an endpoint; returns its factory."""
    known: dict[str, Any] = {field.name: "" for field in fields(SandboxState)}
    StateFolder(root=root).write(SandboxState(**{**known, "endpoint": endpoint, "version": VERSION}))
    return root


def test_a_notice(tmp_path: Path, endpoint: str, world: World, run: Callable[..., str]) -> None:
    instance = run()
    world.work.wait(5)
    told = give_notice(running(tmp_path, endpoint), instance_id=instance, event="spot", action="stop")
    assert list(told) == ["spot"]
    assert world.notices.of(instance).interruption is not None


def test_what_the_sandbox_will_not_do(tmp_path: Path, endpoint: str, world: World) -> None:
    del world
    with pytest.raises(UsageError, match="no instance i-0 runs"):
        give_notice(running(tmp_path, endpoint), instance_id="i-0", event="spot")


def test_a_sandbox_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the sandbox does not run"):
        give_notice(tmp_path, instance_id="i-0", event="spot")


def test_a_sandbox_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not answer"):
        give_notice(running(tmp_path, "http://127.0.0.1:9"), instance_id="i-0", event="spot")
