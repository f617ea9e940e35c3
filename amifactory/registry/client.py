"""The connection to this machine's Docker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.errors import MissingToolError
from amifactory.registry.failures import DOCKER_HINT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

_ANSWER_SECONDS = 30


def connect_docker(environment: Mapping[str, str]) -> DockerClient:
    """Returns a client of the Docker that ``DOCKER_HOST`` names, or of the local one.

    Raises:
        MissingToolError: Docker does not answer.
    """
    # Importing Docker's client takes 0.1 s, which most commands need not pay.
    import docker  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        return docker.from_env(environment=dict(environment), timeout=_ANSWER_SECONDS)
    except DockerException as error:
        raise MissingToolError(f"Docker does not answer: {error}", hint=DOCKER_HINT) from error
