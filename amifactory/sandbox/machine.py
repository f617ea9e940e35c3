"""This machine's Docker Engine, and everything a sandbox has left on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import docker
from docker.errors import APIError, DockerException, NotFound

from amifactory.errors import MissingToolError
from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.names import LABEL
from amifactory.sandbox.network import close_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from docker import DockerClient

    from amifactory.sandbox.names import Names

_SLOW_CALL_SECONDS = 900
"""A commit of an instance with many gigabytes is one call."""
_SOCKET = Path("/var/run/docker.sock")


def connect() -> DockerClient:
    """Returns a client of a Docker Engine that answers.

    Raises:
        MissingToolError: None does; the hint is the command that mends it.
    """
    try:
        client = docker.from_env(timeout=_SLOW_CALL_SECONDS, max_pool_size=50)
        client.ping()
    except DockerException as error:
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
    """Removes every container, volume, network, image and firewall rule of a sandbox; nothing left is no error."""
    only_ours = {"label": f"{LABEL}={names.sandbox_id}"}
    _remove_each(
        lambda container=container: container.remove(force=True, v=True)
        for container in client.containers.list(all=True, filters=only_ours, ignore_removed=True)
    )
    close_metadata(client, names)
    _remove_each(
        lambda network=network: network.remove() for network in client.networks.list(filters=only_ours)
    )
    _remove_each(
        lambda volume=volume: volume.remove(force=True) for volume in client.volumes.list(filters=only_ours)
    )
    _remove_images(client, only_ours)


def _remove_images(client: DockerClient, only_ours: dict[str, str]) -> None:
    """Removes images until none is left: one that another stands on goes with, or after, that other."""
    for _ in range(10):
        images = client.images.list(filters=only_ours) or client.images.list(all=True, filters=only_ours)
        if not images:
            return
        newest_first = sorted(images, key=lambda image: str(image.attrs["Created"]), reverse=True)
        for image in newest_first:
            try:
                client.images.remove(image.id, force=True)
            except NotFound:
                continue
            except APIError as error:
                if error.status_code != 409:  # noqa: PLR2004  # conflict: its child is removed in the next round
                    raise
    raise DriverError(
        "Docker images of the sandbox remain", hint="docker images --filter label=amifactory.sandbox"
    )


def _remove_each(removals: Iterable[Callable[[], None]]) -> None:
    for remove in removals:
        try:
            remove()
        except NotFound:
            continue


def list_machines(client: DockerClient, sandbox_id: str) -> list[dict[str, str]]:
    """Returns instance id, state and address of every instance of a sandbox."""
    containers = client.containers.list(
        all=True, ignore_removed=True, filters={"label": [f"{LABEL}={sandbox_id}", f"{LABEL}.instance"]}
    )
    return [
        {
            "instance_id": container.labels[f"{LABEL}.instance"],
            "state": container.status,
            "private_ip": next(
                (
                    str(n["IPAMConfig"]["IPv4Address"])
                    for n in container.attrs["NetworkSettings"]["Networks"].values()
                ),
                "",
            ),
        }
        for container in containers
    ]
