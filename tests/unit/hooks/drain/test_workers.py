"""How work is kept away, waited for, and GitLab made to forget the worker."""

from __future__ import annotations

import json
from signal import SIGQUIT
from typing import TYPE_CHECKING

import pytest
from workers import STAY_DOWN, ssh_sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.hooks.drain.conftest import Machine, Service

REBALANCE = "meta-data/events/recommendations/rebalance"


def test_systemd_leaves_gitlab_runner_down(service: Callable[..., Service], machine: Machine) -> None:
    """Its unit says Restart=always; the change is there before the signal, and once."""
    machine.runner = 7
    machine.metadata[REBALANCE] = "{}"
    service().pass_time(60)
    assert (machine.root / STAY_DOWN).read_text() == "[Service]\nRestart=no\n"
    assert machine.times_run("systemctl", "daemon-reload") == 1


def test_a_gitlab_runner_that_systemd_is_about_to_start_again_stays_down(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.sub_state = "auto-restart"
    machine.terminate()
    service().pass_time(30)
    assert machine.times_run("systemctl", "stop", "--no-block", "gitlab-runner.service") == 1
    assert not (machine.root / "run/nologin").exists()
    assert machine.completed == [0]


def test_a_gitlab_runner_that_comes_late_is_asked_too(
    service: Callable[..., Service], machine: Machine
) -> None:
    """An instance may be taken away before its own start-up script has registered it."""
    machine.metadata[REBALANCE] = "{}"
    draining = service()
    draining.pass_time(20)
    machine.runner = 9
    draining.pass_time(20)
    assert machine.signals == [(9, SIGQUIT)]


def test_without_a_gitlab_runner_nobody_is_signalled(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.terminate()
    service().pass_time(60)
    assert machine.signals == []
    assert not (machine.root / STAY_DOWN).exists()
    assert "takes no more jobs" in (machine.root / "run/nologin").read_text()


def test_with_a_gitlab_runner_logins_go_on(service: Callable[..., Service], machine: Machine) -> None:
    machine.runner = 7
    machine.terminate()
    draining = service()
    draining.pass_time(20)
    machine.runner = 0
    draining.pass_time(20)
    assert not (machine.root / "run/nologin").exists()


def test_connections_and_containers_of_jobs_are_waited_for(
    service: Callable[..., Service], machine: Machine
) -> None:
    """And between two containers of a job there is a moment with none."""
    machine.containers = 2
    connection = machine.connect(user=1001)
    machine.terminate()
    draining = service()
    draining.pass_time(50)
    connection.unlink()
    draining.pass_time(50)
    machine.containers = 0
    draining.pass_time(10)
    machine.containers = 1
    draining.pass_time(30)
    assert machine.completed == []
    machine.containers = 0
    draining.pass_time(60)
    assert machine.completed == [150]
    (command,) = {tuple(ran) for ran in machine.commands if ran[0] == "docker"}
    assert "--filter=label=com.gitlab.gitlab-runner.job.id" in command


def test_which_processes_are_connections(machine: Machine) -> None:
    """Those of users; not root's, not what asks for a password, and nothing else a user runs."""
    processes = [(1001, "sshd"), (1002, "sshd-session"), (0, "sshd"), (1001, "bash")]
    for process, (user, name) in enumerate(processes, start=1):
        machine.connect(user=user, name=name, process=process)
    (machine.root / "proc/9").mkdir()
    assert ssh_sessions(machine.root / "proc") == 2


def test_unregistering_comes_after_the_job_and_before_the_group(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.register()
    machine.runner = 7
    machine.terminate()
    draining = service(unregister=True)
    draining.pass_time(60)
    assert machine.times_run("gitlab-runner") == 0
    machine.runner = 0
    draining.pass_time(30)
    order = [ran[0] if ran[0] != "aws" else ran[2] for ran in machine.commands if ran[0] != "systemctl"]
    assert machine.times_run("gitlab-runner") == 1
    assert order.index("gitlab-runner") < order.index("complete-lifecycle-action")


def test_unregistering_after_a_rebalance_recommendation(
    service: Callable[..., Service], machine: Machine
) -> None:
    machine.register()
    machine.runner = 7
    machine.metadata[REBALANCE] = "{}"
    draining = service(unregister=True)
    draining.pass_time(10)
    machine.runner = 0
    draining.pass_time(60)
    assert machine.times_run("gitlab-runner") == 1
    assert machine.times == {}


def test_gitlab_does_not_answer(service: Callable[..., Service], machine: Machine) -> None:
    """gitlab-runner then ends with 0 and keeps its configuration. The group waits, but not for ever."""
    machine.register()
    machine.gitlab_answers = False
    machine.sub_state = "auto-restart"
    machine.terminate()
    service(unregister=True, timeout=100.0).pass_time(120)
    assert machine.times_run("gitlab-runner") == 4
    assert "gitlab-runner unregister: exit status 0, 2 left" in machine.said
    assert machine.completed == [100]


@pytest.mark.parametrize(("asked", "there"), [(True, False), (False, True)])
def test_nothing_is_unregistered_unless_asked_for_and_there(
    service: Callable[..., Service], machine: Machine, asked: bool, there: bool
) -> None:
    if there:
        machine.register()
    machine.runner = 7
    machine.terminate()
    draining = service(unregister=asked)
    draining.pass_time(10)
    machine.runner = 0
    draining.pass_time(10)
    assert machine.times_run("gitlab-runner") == 0
    assert len(machine.completed) == 1


def test_no_token_is_seen_by_anybody(service: Callable[..., Service], machine: Machine) -> None:
    machine.register()
    machine.sub_state = "auto-restart"
    machine.terminate()
    service(unregister=True).pass_time(60)
    assert machine.times_run("gitlab-runner") == 1
    assert "glrt" not in json.dumps([machine.commands, machine.said])
