"""`resolve_digests` with the real Docker, against real registries on this machine's loopback."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from amifactory.errors import MissingToolError
from amifactory.registry.client import connect_docker
from amifactory.registry.resolve import UnresolvedError, resolve_digests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

USER, PASSWORD = "ci", "correct horse"
HTPASSWD = "ci:$2b$04$tx0MQGbh7BudAB8kx36kVuKHvEq9EiXcNMYT4LtHIwva9N5nm2Qb2\n"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serve_registry(folder: Path, extra: Mapping[str, object]) -> Iterator[str]:
    host = f"127.0.0.1:{free_port()}"
    configuration = {
        "version": "0.1",
        "log": {"accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": host},
        **extra,
    }
    (folder / "config.yml").write_text(json.dumps(configuration))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            ["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log
        ) as server,
    ):
        try:
            wait_for_port(host)
            yield host
        finally:
            server.terminate()


def wait_for_port(host: str) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((name, int(port))).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def push(reference: str, auth: dict[str, str] | None) -> str:
    """Makes an empty image, pushes it, removes it here, and returns its digest."""
    client = connect_docker(os.environ)
    try:
        recipe = f"FROM scratch\nLABEL reference={reference}\n".encode()
        client.images.build(fileobj=io.BytesIO(recipe), tag=reference, rm=True)
        try:
            lines = client.images.push(reference, auth_config=auth, stream=True, decode=True)
            digests = [str(line["aux"]["Digest"]) for line in lines if "aux" in line]
            return digests[0]
        finally:
            client.images.remove(reference)
    finally:
        client.close()


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_registry(tmp_path_factory.mktemp("open"), {}) as host:
        yield host


@pytest.fixture(scope="module")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("private")
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = {"auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}}
    with serve_registry(folder, auth) as host:
        yield host


def nobody(_host: str) -> None:
    return None


def resolve(
    *references: str,
    mirror: str | None = None,
    credentials: Callable[[str], tuple[str, str] | None] = nobody,
) -> Mapping[str, str]:
    return resolve_digests(
        references,
        mirror=mirror,
        credentials=credentials,
        client_factory=lambda: connect_docker(os.environ),
    )


def test_the_digest_is_the_one_that_was_pushed(open_registry: str) -> None:
    reference = f"{open_registry}/team/app:1"
    digest = push(reference, None)
    assert resolve(reference) == {reference: digest}


def test_docker_hub_references_are_found_in_the_mirror(open_registry: str) -> None:
    digest = push(f"{open_registry}/library/tool:3", None)
    assert resolve("tool:3", mirror=f"http://{open_registry}") == {"tool:3": digest}


def test_a_private_registry_wants_credentials(private_registry: str) -> None:
    reference = f"{private_registry}/team/app:1"
    digest = push(reference, {"username": USER, "password": PASSWORD})
    assert resolve(reference, credentials=lambda _: (USER, PASSWORD)) == {reference: digest}
    wrong: Callable[[str], tuple[str, str]] = lambda _: (USER, "wrong")  # noqa: E731
    for credentials in (nobody, wrong):
        with pytest.raises(UnresolvedError, match="refused access") as caught:
            resolve(reference, credentials=credentials)
        assert PASSWORD not in caught.value.message


def test_what_is_not_there_is_told_in_one_go(open_registry: str) -> None:
    unreachable = f"127.0.0.1:{free_port()}/app:1"
    with pytest.raises(UnresolvedError) as caught:
        resolve(f"{open_registry}/team/nothing:1", unreachable)
    first, second = sorted(failure.why for failure in caught.value.failures)
    assert "has no such image or tag" in first + second
    assert "connection refused" in first + second


def test_no_docker_is_a_missing_tool() -> None:
    with pytest.raises(MissingToolError, match="Docker does not answer"):
        resolve_digests(
            ["node:22"],
            mirror=None,
            credentials=nobody,
            client_factory=lambda: connect_docker({"DOCKER_HOST": f"tcp://127.0.0.1:{free_port()}"}),
        )
