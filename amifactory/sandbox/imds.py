"""The instance metadata service: one address for all instances, each sees itself.

Rules from the EC2 user guide, "Access instance metadata for an EC2 instance" and "Use the Instance
Metadata Service to access instance metadata".
"""

from __future__ import annotations

import base64
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.ec2_world import ec2_regions
from amifactory.sandbox.imds_tree import metadata, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from amifactory.sandbox.ec2_world import World

LIVE = {"pending", "running", "stopping", "shutting-down"}
LONGEST_TOKEN = 21600
"""Seconds a session token may live at most: six hours."""


class Imds:
    """A WSGI application that answers the instance whose address the request comes from."""

    def __init__(self, world: World, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._world = world
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI."""
        with self._world.lock:
            status, body, headers = self._answer(environ)
        data = body.encode() if isinstance(body, str) else body
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(data))), *headers]
        start_response(f"{status.value} {status.phrase}", headers)
        return [data]

    def _answer(self, environ: dict[str, Any]) -> tuple[HTTPStatus, str | bytes, list[tuple[str, str]]]:
        instance = self._caller(environ.get("REMOTE_ADDR", ""))
        if instance is None:
            return HTTPStatus.NOT_FOUND, "", []
        if instance.metadata_options.http_endpoint == "disabled":
            return HTTPStatus.FORBIDDEN, "", []
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path == "/latest/api/token":
            return self._token(environ, instance, method)
        if method not in {"GET", "HEAD"}:
            return HTTPStatus.METHOD_NOT_ALLOWED, "", []
        if not self._may_read(environ, instance):
            return HTTPStatus.UNAUTHORIZED, "", []
        body = self._read(instance, path)
        return (HTTPStatus.NOT_FOUND, "", []) if body is None else (HTTPStatus.OK, body, [])

    def _caller(self, address: str) -> Any:
        for backend in ec2_regions():
            for reservation in backend.reservations.values():
                for instance in reservation.instances:
                    if instance.state in LIVE and instance.private_ip == address:
                        return instance
        return None

    def _token(
        self, environ: dict[str, Any], instance: Any, method: str
    ) -> tuple[HTTPStatus, str, list[tuple[str, str]]]:
        """Issues a session token; not to a proxy, which X-Forwarded-For gives away."""
        if method != "PUT":
            return HTTPStatus.METHOD_NOT_ALLOWED, "", []
        if "HTTP_X_FORWARDED_FOR" in environ:
            return HTTPStatus.FORBIDDEN, "", []
        seconds = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", "")
        if not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_TOKEN:
            return HTTPStatus.BAD_REQUEST, "", []
        now = self._clock()
        self._tokens = {token: kept for token, kept in self._tokens.items() if kept[1] > now}
        token = base64.urlsafe_b64encode(secrets.token_bytes(40)).decode()
        self._tokens[token] = (instance.id, now + int(seconds))
        return HTTPStatus.OK, token, [("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", seconds)]

    def _may_read(self, environ: dict[str, Any], instance: Any) -> bool:
        token = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN")
        if token is None:
            return bool(instance.metadata_options.http_tokens != "required")
        owner, until = self._tokens.get(token, ("", 0.0))
        return owner == instance.id and until > self._clock()

    def _read(self, instance: Any, path: str) -> str | bytes | None:
        parts = [part for part in path.split("/") if part]
        if not parts:
            return "latest"
        if parts[0] != "latest":
            return None
        endpoint = self._world.settings.instance_endpoint
        tree = metadata(instance, endpoint=endpoint, now=utc_now())
        tree["meta-data"] |= self._world.notices.metadata(instance.id)
        return walk(tree, parts[1:])


def walk(tree: Any, parts: list[str]) -> str | bytes | None:
    """Returns the file or the listing at a path, or None where there is nothing."""
    for part in parts:
        if not isinstance(tree, dict) or tree.get(part) is None:
            return None
        tree = tree[part]
    if isinstance(tree, dict):
        return "\n".join(listing(tree))
    if isinstance(tree, str):
        return tree
    return base64.b64decode(tree.as_bytes())


def listing(tree: dict[str, Any]) -> list[str]:
    """Returns the names in a directory, directories with a slash, as the service lists them.

    public-keys is the odd one: it lists ``0=name`` and is read at ``0``.
    """
    if any(value is None for value in tree.values()):
        return [name for name, value in tree.items() if value is None]
    return [f"{name}/" if isinstance(value, dict) else name for name, value in sorted(tree.items())]
