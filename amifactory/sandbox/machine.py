"""This machine's Docker Engine, and everything a sandbox has left on it."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound

from amifactory.errors import MissingToolError
from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.names import LABEL
from amifactory.sandbox.network import close_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.volumes import Volume

    from amifactory.sandbox.names import Names

_SLOW_CALL_SECONDS = 900
"""A commit of an instance with many gigabytes is one call."""
_ROUNDS, _ROUND_SECONDS = 50, 0.2
"""How often, and after which pauses, removing is tried."""

Thing = TypeVar("Thing")


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


@contextmanager
def docker_errors(what: str) -> Iterator[None]:
    """Turns Docker's errors into `DriverError`, which says that ``what`` and why."""
    try:
        yield
    except DockerException as error:
        explanation = error.explanation if isinstance(error, APIError) else error
        raise DriverError(f"{what}: {explanation or error}") from error


def remove_everything(client: DockerClient, names: Names) -> None:
    """Removes every container, volume, network, image and firewall rule of a sandbox.

    Nothing being left is no error.

    Raises:
        DriverError: Something could not be removed.
    """
    with docker_errors(f"what is left of sandbox {names.sandbox_id} cannot be removed"):
        remove_containers(client, names)
        close_metadata(client, names)
        remove_networks_and_disks(client, names)


def remove_containers(
    client: DockerClient, names: Names, *, pause: Callable[[float], object] = time.sleep
) -> None:
    """Removes every container of a sandbox."""

    def list_containers() -> list[Container]:
        return client.containers.list(all=True, filters=_ours(names), ignore_removed=True)

    _remove_all(list_containers, lambda container: container.remove(force=True, v=True), pause)


def remove_networks_and_disks(
    client: DockerClient, names: Names, *, pause: Callable[[float], object] = time.sleep
) -> None:
    """Removes what the containers of a sandbox used."""
    _remove_all(lambda: client.networks.list(filters=_ours(names)), lambda network: network.remove(), pause)
    _remove_all(lambda: _volumes(client, names), lambda volume: volume.remove(force=True), pause)
    _remove_all(
        lambda: _image_ids(client, names), lambda image: client.images.remove(image, force=True), pause
    )


def _ours(names: Names) -> dict[str, str | list[str] | bool]:
    return {"label": f"{LABEL}={names.sandbox_id}"}


def _volumes(client: DockerClient, names: Names) -> list[Volume]:
    """Returns the volumes with a sandbox's name: one that a dying launch makes by mounting has no label."""
    named = client.volumes.list(filters={"name": f"{names.prefix}-"})
    return [volume for volume in named if str(volume.name).startswith(f"{names.prefix}-")]


def _image_ids(client: DockerClient, names: Names) -> list[str]:
    """Returns the images that can be removed first, newest first: others stand on layers of older ones."""
    images = client.api.images(filters=_ours(names)) or client.api.images(all=True, filters=_ours(names))
    return [image["Id"] for image in sorted(images, key=lambda image: int(image["Created"]), reverse=True)]


def _remove_all(
    list_things: Callable[[], Sequence[Thing]],
    remove: Callable[[Thing], object],
    pause: Callable[[float], object],
) -> None:
    """Removes until none is listed: what something else still uses or removes goes in a later round."""
    problem = None
    for _ in range(_ROUNDS):
        things = list_things()
        if not things:
            return
        with ThreadPoolExecutor() as pool:
            problems = [error for error in pool.map(partial(_attempt, remove), things) if error]
        if problems:
            problem = problems[0]
            pause(_ROUND_SECONDS)
    raise problem or DriverError("Docker keeps listing what it says it has removed")


def _attempt(remove: Callable[[Thing], object], thing: Thing) -> APIError | None:
    try:
        remove(thing)
    except NotFound:
        return None
    except APIError as error:
        return error
    return None


def list_machines(client: DockerClient, sandbox_id: str) -> list[dict[str, str]]:
    """Returns instance id, name, state and address of every instance of a sandbox."""
    with docker_errors("the sandbox's instances cannot be listed"):
        containers = client.containers.list(
            all=True, ignore_removed=True, filters={"label": [f"{LABEL}={sandbox_id}", f"{LABEL}.instance"]}
        )
    return [
        {
            "instance_id": container.labels[f"{LABEL}.instance"],
            "name": container.labels.get(f"{LABEL}.name", ""),
            "state": container.status,
            "private_ip": _address(container.attrs["NetworkSettings"]["Networks"]),
        }
        for container in containers
    ]


def _address(networks: dict[str, Any]) -> str:
    return next((str(network["IPAMConfig"]["IPv4Address"]) for network in networks.values()), "")
