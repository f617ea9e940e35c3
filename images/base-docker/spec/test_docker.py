"""Docker Engine, as jobs use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host


def test_docker_starts_at_boot(host: Host) -> None:
    docker = host.service("docker")
    assert docker.is_enabled
    assert docker.is_running


def test_docker_answers_gitlab_runner(host: Host) -> None:
    with host.sudo("gitlab-runner"):
        assert host.check_output("docker info --format '{{.Driver}}'") == "overlay2"


def test_docker_runs_a_container_without_the_internet(host: Host) -> None:
    with host.sudo("gitlab-runner"):
        said = host.check_output("docker run --rm --network none alpine:3.20 echo hello")
    assert said == "hello"


def test_containers_keep_running_when_docker_restarts(host: Host) -> None:
    assert _daemon(host)["live-restore"] is True


def test_container_logs_are_limited(host: Host) -> None:
    assert _daemon(host)["log-opts"] == {"max-file": "3", "max-size": "10m"}


def test_nothing_but_this_instance_reaches_docker(host: Host) -> None:
    assert not host.socket("tcp://2375").is_listening
    assert not host.socket("tcp://2376").is_listening


def _daemon(host: Host) -> dict[str, object]:
    daemon: dict[str, object] = json.loads(host.file("/etc/docker/daemon.json").content_string)
    return daemon
