from __future__ import annotations

import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import requests
from docker.errors import APIError, DockerException

from amifactory.domain.references import parse_reference
from amifactory.errors import MissingToolError
from amifactory.registry.resolve import UnresolvedError, mirror_prefix, resolve_digests

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "fedcba9876543210" * 4


@dataclass(frozen=True)
class FakeData:
    id: str


def refusal(status: HTTPStatus, explanation: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("refused", response=response, explanation=explanation)


class FakeDocker:
    """Docker with registries that hold given names; keeps what it was asked."""

    def __init__(self, answers: Mapping[str, str | Exception]) -> None:
        self.answers = answers
        self.asked: dict[str, dict[str, str] | None] = {}
        self.connections = 0
        self.is_closed = False

    @property
    def images(self) -> FakeDocker:
        return self

    def get_registry_data(self, name: str, auth_config: dict[str, str] | None = None) -> FakeData:
        self.asked[name] = auth_config
        answer = self.answers.get(name, refusal(HTTPStatus.NOT_FOUND, "manifest unknown"))
        if isinstance(answer, Exception):
            raise answer
        return FakeData(answer)

    def close(self) -> None:
        self.is_closed = True

    def connect(self) -> FakeDocker:
        self.connections += 1
        return self


def resolve(
    docker: FakeDocker,
    *references: str,
    mirror: str | None = None,
    logins: Mapping[str, tuple[str, str]] | None = None,
) -> Mapping[str, str]:
    return resolve_digests(
        references, mirror=mirror, credentials=(logins or {}).get, client_factory=docker.connect
    )


def test_each_reference_gets_its_digest_under_the_name_it_was_given() -> None:
    docker = FakeDocker({"docker.io/library/node:22": DIGEST, "registry.example.com/app:latest": OTHER})
    digests = resolve(docker, "node:22", "registry.example.com/app", "node:22")
    assert digests == {"node:22": DIGEST, "registry.example.com/app": OTHER}
    assert len(docker.asked) == 2
    assert docker.is_closed


def test_docker_is_not_needed_when_nothing_is_looked_up() -> None:
    docker = FakeDocker({})
    assert resolve(docker, f"node:22@{DIGEST}") == {f"node:22@{DIGEST}": DIGEST}
    assert resolve(docker) == {}
    assert docker.connections == 0


def test_docker_hub_goes_through_its_mirror_and_others_do_not() -> None:
    docker = FakeDocker({"mirror.example.com/library/node:22": DIGEST, "registry.example.com/app:1": OTHER})
    digests = resolve(docker, "node:22", "registry.example.com/app:1", mirror="https://mirror.example.com/")
    assert digests == {"node:22": DIGEST, "registry.example.com/app:1": OTHER}


@pytest.mark.parametrize(
    ("mirror", "prefix"),
    [
        ("https://mirror.example.com", "mirror.example.com"),
        ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("http://mirror", "mirror:80"),
        ("mirror", "mirror:443"),
        ("https://mirror.example.com/hub", "mirror.example.com/hub"),
        ("http://localhost", "localhost"),
    ],
)
def test_a_mirror_becomes_a_registry_host(mirror: str, prefix: str) -> None:
    assert mirror_prefix(mirror) == prefix
    assert parse_reference(f"{prefix}/library/node").host == prefix.partition("/")[0]


def test_credentials_go_to_their_host_only() -> None:
    docker = FakeDocker(
        {
            "registry.example.com/app:1": DIGEST,
            "registry.example.com/app:2": DIGEST,
            "docker.io/library/node:22": OTHER,
        }
    )
    logins = {"registry.example.com": ("ci", "correct horse")}
    resolve(docker, "registry.example.com/app:1", "registry.example.com/app:2", "node:22", logins=logins)
    login = {"username": "ci", "password": "correct horse"}
    assert docker.asked == {
        "registry.example.com/app:1": login,
        "registry.example.com/app:2": login,
        "docker.io/library/node:22": None,
    }


def test_all_failures_are_reported_together_with_what_to_do() -> None:
    docker = FakeDocker(
        {
            "docker.io/library/node:22": DIGEST,
            "down.example.com/app:1": refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR, "dial tcp: connection refused"
            ),
            "private.example.com/app:1": refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR, "no basic auth credentials"
            ),
            "slow.example.com/app:1": requests.exceptions.ReadTimeout("read timed out"),
        }
    )
    with pytest.raises(UnresolvedError) as caught:
        resolve(
            docker,
            "node:22",
            "gone:1",
            "down.example.com/app:1",
            "private.example.com/app:1",
            "slow.example.com/app:1",
            "Not A Reference",
        )
    assert [failure.reference for failure in caught.value.failures] == [
        "Not A Reference",
        "down.example.com/app:1",
        "gone:1",
        "private.example.com/app:1",
        "slow.example.com/app:1",
    ]
    message = caught.value.message
    assert '"gone:1": docker.io has no such image or tag' in message
    assert "down.example.com cannot be asked: dial tcp: connection refused" in message
    assert "private.example.com refused access" in message
    assert "slow.example.com did not answer in time" in message
    assert 'registry "private.example.com"' in str(caught.value.hint)
    assert "node:22" not in message


def test_docker_itself_failing_is_a_missing_tool() -> None:
    error = requests.exceptions.ConnectionError("connection aborted")
    docker = FakeDocker({"docker.io/library/node:22": error})
    with pytest.raises(MissingToolError, match="Docker does not answer"):
        resolve(docker, "node:22")
    assert docker.is_closed


def test_a_failing_credential_helper_is_the_references_problem() -> None:
    error = DockerException("Credentials store docker-credential-ecr-login exited with no credentials")
    docker = FakeDocker({"docker.io/library/node:22": error})
    with pytest.raises(UnresolvedError, match='"node:22": Credentials store') as caught:
        resolve(docker, "node:22")
    assert "credential helper" in str(caught.value.hint)


def test_registries_are_asked_at_the_same_time() -> None:
    class Waiting(FakeDocker):
        everybody = threading.Barrier(4, timeout=5)

        def get_registry_data(self, name: str, auth_config: dict[str, str] | None = None) -> FakeData:
            self.everybody.wait()
            return FakeData(DIGEST)

    assert len(resolve(Waiting({}), "a", "b", "c", "d")) == 4
