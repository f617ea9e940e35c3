"""This machine's Docker Engine, and everything a sandbox has left on it."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, DockerException, NotFound

from amifactory.errors import MissingToolError
from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.names import LABEL
from amifactory.sandbox.network import close_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

    from amifactory.sandbox.names import Names

_SLOW_CALL_SECONDS = 900
"""A commit of an instance with many gigabytes is one call."""


def connect(environment: Mapping[str, str] = os.environ) -> DockerClient:
    """Returns a client of the Docker Engine that the environment names, or of this machine's own.

    Raises:
        MissingToolError: None does; the hint is the command that mends it.
    """
    client = None
    try:
        client = docker.from_env(timeout=_SLOW_CALL_SECONDS, max_pool_size=50, environment=dict(environment))
        client.ping()
    except DockerException as error:
        if client is not None:
            client.close()
        raise MissingToolError(
            f"the sandbox needs Docker, which does not answer: {error}", hint=_mend(error)
        ) from error
    return client


def _mend(error: DockerException) -> str:
    if shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin:/sbin") is None:
        return "sudo apt-get install docker.io"
    if "Permission denied" in str(error):
        return "sudo usermod -aG docker $USER, then log in again"
    return "sudo systemctl start docker (without systemd: sudo setsid dockerd >/tmp/dockerd.log 2>&1 &)"


def import_source_image(client: DockerClient, names: Names, tarball: Path) -> None:
    """Loads the source AMI's disk as this sandbox's own Docker image."""
    repository, tag = names.source_image.rsplit(":", 1)
    label = f"LABEL {LABEL}={names.sandbox_id}"
    client.api.import_image(str(tarball), repository=repository, tag=tag, changes=[label])


def remove_everything(client: DockerClient, names: Names) -> None:
    """Removes every container, volume, network, image and firewall rule of a sandbox.

    Nothing being left is no error.
    """
    ours: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={names.sandbox_id}"}
    with ThreadPoolExecutor() as pool:
        containers = client.containers.list(all=True, filters=ours, ignore_removed=True)
        list(pool.map(_remove_container, containers))
    close_metadata(client, names)
    for network in client.networks.list(filters=ours):
        with suppress(NotFound):
            network.remove()
    for volume in client.volumes.list(filters=ours):
        with suppress(NotFound):
            volume.remove(force=True)
    _remove_images(client, ours)


def _remove_container(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True, v=True)


def _remove_images(client: DockerClient, ours: dict[str, str | list[str] | bool]) -> None:
    """Removes images until none is left: one that another stands on goes after that other."""
    for _ in range(10):
        images = client.images.list(filters=ours) or client.images.list(all=True, filters=ours)
        if not images:
            return
        for image in sorted(images, key=lambda image: str(image.attrs["Created"]), reverse=True):
            _remove_image(client, str(image.id))
    raise DriverError(
        "Docker images of the sandbox remain", hint=f"docker images --all --filter label={ours['label']}"
    )


def _remove_image(client: DockerClient, image_id: str) -> None:
    try:
        client.images.remove(image_id, force=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:  # its child is removed in the next round
            raise


def list_machines(client: DockerClient, sandbox_id: str) -> list[dict[str, str]]:
    """Returns instance id, state and address of every instance of a sandbox."""
    containers = client.containers.list(
        all=True, ignore_removed=True, filters={"label": [f"{LABEL}={sandbox_id}", f"{LABEL}.instance"]}
    )
    return [
        {
            "instance_id": container.labels[f"{LABEL}.instance"],
            "state": container.status,
            "private_ip": _address(container.attrs["NetworkSettings"]["Networks"]),
        }
        for container in containers
    ]


def _address(networks: dict[str, Any]) -> str:
    return next((str(network["IPAMConfig"]["IPv4Address"]) for network in networks.values()), "")
