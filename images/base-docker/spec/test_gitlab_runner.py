"""The user that jobs run as, and the program that moves their artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

    from amifactory.spec.plugin import Facts


def test_gitlab_runner_has_home_and_shell(host: Host) -> None:
    user = host.user("gitlab-runner")
    assert user.home == "/home/gitlab-runner"
    assert user.shell == "/bin/bash"
    assert host.file(user.home).user == "gitlab-runner"


def test_gitlab_runner_may_use_docker(host: Host) -> None:
    assert "docker" in host.user("gitlab-runner").groups


def test_gitlab_runner_may_not_become_root(host: Host) -> None:
    with host.sudo("gitlab-runner"):
        assert host.run("sudo -n true").failed


def test_logging_out_does_nothing(host: Host) -> None:
    """A .bash_logout that clears the console fails jobs of the shell executor."""
    assert not host.file("/home/gitlab-runner/.bash_logout").exists


@pytest.mark.needs_tool("gitlab-runner")
def test_gitlab_runner_is_the_pinned_version(host: Host, facts: Facts) -> None:
    assert facts.tools["gitlab-runner"] in host.check_output("gitlab-runner --version")
