"""Looks for what is missing on this machine or in this account, and knows the command that mends it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from amifactory.aws.instances import CHECKABLE
from amifactory.errors import AmifactoryError, ExitCode, MissingToolError
from amifactory.operations.secrets import check_secrets
from amifactory.packer.version import find_packer
from amifactory.registry.client import connect_docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from amifactory.operations.workshop import Workshop

SANDBOX_PROGRAMS = {
    "debootstrap": "makes the sandbox's Debian",
    "docker-registry": "serves container images in the sandbox",
    "iptables": "routes instance metadata in the sandbox",
    "busybox": "is what the sandbox's container images hold",
}
PACKAGES = {"busybox": "busybox-static", "ssh": "openssh-client"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        problem: What is wrong; None when it is fine.
        remedy: The command that mends it.
        exit_code: What a command that needs it would end with.
    """

    name: str
    detail: str
    problem: str | None = None
    remedy: str | None = None
    exit_code: ExitCode = ExitCode.DONE


def examine_machine(environment: Mapping[str, str], *, docker: bool, sandbox: bool) -> Iterator[Finding]:
    """Yields a finding for each program that builds need, and the sandbox's if asked for.

    Args:
        environment: Our own environment.
        docker: Whether Docker is needed: by the sandbox, or to resolve pre-pulled images.
        sandbox: Whether the sandbox is wanted.
    """
    yield _checked("packer", lambda: f"{find_packer(environment).version}")
    yield _program("ssh", "reaches verification instances", environment)
    if docker:
        yield _checked("docker", lambda: _docker_version(environment))
    if sandbox:
        for name, purpose in SANDBOX_PROGRAMS.items():
            yield _program(name, purpose, environment)


def examine_account(workshop: Workshop) -> Iterator[Finding]:
    """Yields a finding for each thing builds need of the account."""
    identity = _checked("credentials", workshop.session.identity)
    yield identity
    if identity.problem:
        return
    yield _checked("state bucket", partial(_quietly, workshop.bucket.check, "usable"))
    yield _checked("builds", lambda: f"{len(workshop.machine_images.builds(workshop.factory))} exist")
    yield _checked("secrets", lambda: _secrets(workshop))
    for operation in CHECKABLE:
        check = partial(workshop.instances.check_permission, operation)
        yield _checked(f"ec2 {operation}", partial(_quietly, check, "allowed"))


def _checked(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, detail=check())
    except AmifactoryError as error:
        return problem(name, error)


def _program(name: str, purpose: str, environment: Mapping[str, str]) -> Finding:
    found = shutil.which(name, path=f"{environment.get('PATH', '')}:/usr/sbin:/sbin")
    if found:
        return Finding(name=name, detail=found)
    remedy = f"Run: apt-get install {PACKAGES.get(name, name)}"
    return problem(name, MissingToolError(f"not installed; it {purpose}", hint=remedy))


def problem(name: str, error: AmifactoryError) -> Finding:
    """Returns the finding that an error is."""
    return Finding(name=name, detail="", problem=error.message, remedy=error.hint, exit_code=error.exit_code)


def _docker_version(environment: Mapping[str, str]) -> str:
    client = connect_docker(environment)
    try:
        return str(client.version()["Version"])
    finally:
        client.close()


def _secrets(workshop: Workshop) -> str:
    images = workshop.configuration.images
    check_secrets(workshop, images)
    return f"{len({secret.id for image in images.values() for secret in image.secrets})} exist"


def _quietly(check: Callable[[], None], detail: str) -> str:
    """Returns what to say of a check that only raises."""
    check()
    return detail
