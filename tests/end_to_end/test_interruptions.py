"""Runs that are stopped, politely or not: what they leave, and that the next one goes on from there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.conftest import Factory, Sandbox

LONG = "echo at work; sleep 60"
PROVISIONING = "provisioning with install.sh"


@pytest.mark.parametrize(("number", "code"), [(SIGINT, 130), (SIGTERM, 143)])
def test_a_stopped_build_cleans_up(factory: Factory, sandbox: Sandbox, number: Signals, code: int) -> None:
    factory.add("stopped", provision=LONG)
    factory.add("waiting", parent="stopped")
    with factory.start("build", "waiting", "--json") as running:
        running.wait_for(PROVISIONING)
        running.send(number)
        ended = running.end().expect(code)
    assert ended.seconds < 30
    assert "Stopping" in ended.stderr
    builds = ended.builds
    assert (builds["stopped"]["action"], builds["stopped"]["ami_id"]) == ("failed", None)
    assert (builds["waiting"]["action"], builds["base"]["action"]) == ("skipped", "reused")
    assert sandbox.sweep() == [], "Packer cleaned up"
    assert sandbox.builds("workbench", "stopped") == []


def test_a_second_interrupt_does_not_wait(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("killed", provision=LONG)
    with factory.start("build", "killed") as running:
        running.wait_for(PROVISIONING)
        running.send(SIGINT)
        running.wait_for("Stopping")
        running.send(SIGINT)
        began = time.monotonic()
        ended = running.end().expect(130)
    assert time.monotonic() - began < 30, "the provisioner would have gone on for a minute"
    left = sandbox.sweep()
    assert f"aws ec2 terminate-instances --instance-ids {left[0]}" in ended.stderr
    assert processes_in(factory.root) == []


def test_a_stopped_verification_leaves_a_candidate_for_the_next_build(
    factory: Factory, sandbox: Sandbox
) -> None:
    factory.add("unproven", spec="host.run('test -e /tmp/go || sleep 60')")
    with factory.start("build", "unproven") as running:
        running.wait_for("unproven/x86_64: running the spec")
        running.send(SIGTERM)
        running.end().expect(143)
    assert sandbox.sweep() == [], "the fresh instance is gone"
    [candidate] = sandbox.builds("workbench", "unproven")
    assert sandbox.tags(candidate)["verdict"] == "candidate"
    step = factory.run("plan", "unproven", "--json").expect(0).steps["unproven"]
    assert (step["action"], step["reasons"], step["ami_id"]) == ("verify", ["not yet verified"], candidate)


def test_what_another_run_is_at_work_on_is_left_to_it(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("taken", provision="sleep 6")
    with factory.start("build", "taken", "--json") as first:
        first.wait_for(PROVISIONING)
        second = factory.run("build", "taken").expect(1)
        assert "another run is at work on taken/x86_64" in second.stderr
        assert first.end().expect(0).builds["taken"]["action"] == "built"
    assert factory.run("build", "taken", "--json").expect(0).builds["taken"]["action"] == "reused"
    assert len(sandbox.builds("workbench", "taken")) == 1


def test_what_another_run_has_made_since_the_plan_is_used(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("earlier", provision="sleep 12")
    factory.add("later")
    with factory.start("build", "earlier", "later", "--jobs", "1", "--json") as slow:
        slow.wait_for(f"earlier/x86_64: {PROVISIONING}")
        made = factory.run("build", "later", "--json").expect(0).builds["later"]
        found = slow.end().expect(0).builds["later"]
    assert (made["action"], found["action"], found["ami_id"]) == ("built", "reused", made["ami_id"])
    assert sandbox.builds("workbench", "later") == [made["ami_id"]]


def test_killed_during_packer_which_goes_on_by_itself(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("orphan", provision="sleep 2")
    with factory.start("build", "orphan") as running:
        running.wait_for(PROVISIONING)
        running.send(SIGKILL)
        running.end().expect(-SIGKILL)
    until(lambda: not processes_in(factory.root))
    [candidate] = sandbox.builds("workbench", "orphan")
    assert_adopted(factory, sandbox, "orphan", candidate)


def test_killed_together_with_packer_before_the_ami_has_tags(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("nameless")
    with factory.start("build", "nameless") as running:
        running.wait_for("nameless/x86_64: waiting for AMI")
        running.send(SIGKILL)
        for process in processes_in(factory.root):
            os.kill(process, SIGKILL)
        running.end()
    [candidate] = sandbox.builds("workbench", "nameless")
    assert sandbox.tags(candidate) == {}
    sandbox.sweep()
    assert_adopted(factory, sandbox, "nameless", candidate)
    tags = sandbox.tags(candidate)
    assert {name: tags[name] for name in ("factory", "image")} == {
        "factory": "workbench",
        "image": "nameless",
    }


def test_killed_between_the_ami_and_its_verdict(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("unjudged", spec="__import__('time').sleep(2)")
    with factory.start("build", "unjudged") as running:
        running.wait_for("unjudged/x86_64: running the spec")
        running.send(SIGKILL)
        running.end().expect(-SIGKILL)
    [candidate] = sandbox.builds("workbench", "unjudged")
    assert sandbox.tags(candidate)["verdict"] == "candidate"
    assert sandbox.sweep() != [], "nobody was left to terminate the fresh instance"
    assert_adopted(factory, sandbox, "unjudged", candidate)


def assert_adopted(factory: Factory, sandbox: Sandbox, image: str, candidate: str) -> None:
    """Checks that a build takes the candidate over and makes no other."""
    build = factory.run("build", image, "--json").expect(0).builds[image]
    assert (build["action"], build["ami_id"]) == ("adopted", candidate)
    assert build["reasons"] == ["not yet verified"]
    assert sandbox.tags(candidate)["verdict"] == "verified"
    assert sandbox.tags(candidate)["fingerprint"] == build["fingerprint"]
    assert sandbox.builds("workbench", image) == [candidate]
    assert factory.run("build", image, "--json").expect(0).builds[image]["action"] == "reused"


def processes_in(folder: Path) -> list[int]:
    """Returns the processes that work in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink().is_relative_to(folder):
                found.append(int(link.parent.name))
        except OSError:
            continue
    return found


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)
