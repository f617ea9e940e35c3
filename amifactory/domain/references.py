"""Container image references: their grammar, and the full form of the short ones.

``[host[:port]/]path[:tag][@digest]``, with the grammar of the OCI distribution specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCKER_HUB = "docker.io"
HUB_HOSTS = ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com")
"""Where Docker Hub's API, logins and layers are (Docker documentation, "Allowlist for Docker Desktop")."""
_DEFAULT_TAG = "latest"
_MAX_NAME_LENGTH = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, order=True)
class Reference:
    """A container image in full: nothing left to a default.

    Attributes:
        host: The registry, with its port if any; ``docker.io`` for Docker Hub.
        path: The repository in that registry, such as ``library/node``.
        tag: Set unless only a digest was given.
        digest: Such as ``sha256:…``, when the reference carries one.
    """

    host: str
    path: str
    tag: str | None
    digest: str | None

    @property
    def repository(self) -> str:
        """Returns host and path, without tag and digest."""
        return f"{self.host}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_reference(text: str) -> Reference:
    """Returns the reference in full: ``node:22`` is ``docker.io/library/node:22``.

    Raises:
        ValueError: The text is not a reference; the message says which part.
    """
    rest, digest = _split_digest(text)
    name, tag = _split_tag(rest)
    host, path = _split_host(name)
    if not _HOST.fullmatch(host):
        raise ValueError(f'"{text}" is not a container image reference: "{host}" is not a registry host')
    if not _PATH.fullmatch(path):
        raise ValueError(
            f'"{text}" is not a container image reference: "{path}" must be lower-case letters, digits, '
            "and single separators (. _ - /) between them"
        )
    if _IMAGE_ID.fullmatch(name):
        raise ValueError(f'"{text}" is an image id, which means something on one machine only')
    if len(f"{host}/{path}") > _MAX_NAME_LENGTH:
        raise ValueError(f'"{text}" is longer than the {_MAX_NAME_LENGTH} characters a name may have')
    if tag is None and digest is None:
        tag = _DEFAULT_TAG
    return Reference(host=host, path=path, tag=tag, digest=digest)


def registry_hosts(references: Iterable[str]) -> list[str]:
    """Returns the hosts, with their ports if any, that pulling the references would talk to."""
    hosts = {parse_reference(reference).host for reference in references}
    return sorted(name for host in hosts for name in (HUB_HOSTS if host == DOCKER_HUB else (host,)))


def _split_digest(text: str) -> tuple[str, str | None]:
    rest, at, digest = text.partition("@")
    if not at:
        return rest, None
    if not _DIGEST.fullmatch(digest):
        raise ValueError(
            f'"{text}" is not a container image reference: a digest is "sha256:" and 64 lower-case hex digits'
        )
    return rest, digest


def _split_tag(text: str) -> tuple[str, str | None]:
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    if not _TAG.fullmatch(tag):
        raise ValueError(f'"{text}" is not a container image reference: "{tag}" is not a tag')
    return name, tag


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not is_host:
        first, rest = DOCKER_HUB, name
    if first == f"index.{DOCKER_HUB}":
        first = DOCKER_HUB
    if first == DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest
