"""Removing a sandbox's Docker objects while others are removing, or making, some too."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, NotFound
from requests import Response

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.machine import docker_errors, remove_containers, remove_networks_and_disks
from amifactory.sandbox.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = Names(sandbox_id="0123abcd")


def refusal(status: int) -> APIError:
    response = Response()
    response.status_code = status
    kind = NotFound if status == HTTPStatus.NOT_FOUND else APIError
    return kind("refused", response=response, explanation=f"because {status}")


@dataclass(kw_only=True, eq=False)
class Thing:
    """Something Docker holds, which refuses to be removed with each of ``refusals`` first."""

    name: str = "it"
    refusals: list[int] = field(default_factory=list)
    removed: bool = False

    def remove(self, **_: Any) -> None:
        if self.refusals:
            status = self.refusals.pop(0)
            self.removed = status == HTTPStatus.NOT_FOUND
            raise refusal(status)
        self.removed = True


def listing(things: list[Thing]) -> Any:
    return SimpleNamespace(list=lambda **_: [thing for thing in things if not thing.removed])


def engine(
    *,
    containers: list[Thing] | None = None,
    networks: list[Thing] | None = None,
    volumes: list[Thing] | None = None,
    images: dict[str, Thing] | None = None,
) -> Any:
    """Returns a Docker Engine that holds these and nothing else."""
    disks = images or {}

    def list_images(**_: Any) -> list[dict[str, Any]]:
        return [{"Id": name, "Created": 1} for name, image in disks.items() if not image.removed]

    return SimpleNamespace(
        api=SimpleNamespace(images=list_images),
        containers=listing(containers or []),
        networks=listing(networks or []),
        volumes=listing(volumes or []),
        images=SimpleNamespace(remove=lambda name, **_: disks[name].remove()),
    )


@pytest.mark.parametrize("refusals", [[], [404], [409], [409, 409, 404]])
def test_what_is_being_removed_already_goes_in_a_later_round(refusals: list[int]) -> None:
    containers = [Thing(refusals=list(refusals)), Thing()]
    pauses: list[float] = []
    remove_containers(engine(containers=containers), NAMES, pause=pauses.append)
    assert all(container.removed for container in containers)
    assert len(pauses) == refusals.count(409)


@pytest.mark.parametrize(
    ("make", "refusal_code"),
    [
        (lambda thing: engine(networks=[thing]), 403),
        (lambda thing: engine(volumes=[thing]), 409),
        (lambda thing: engine(images={"sha256:0": thing}), 409),
    ],
)
def test_what_is_still_in_use_goes_once_it_is_not(make: Callable[[Thing], Any], refusal_code: int) -> None:
    thing = Thing(name="amifactory-0123abcd-i-1", refusals=[refusal_code])
    remove_networks_and_disks(make(thing), NAMES, pause=lambda _: None)
    assert thing.removed


def test_what_never_goes_is_an_error_that_says_why() -> None:
    stuck = Thing(refusals=[500] * 1000)
    with (
        pytest.raises(DriverError, match="cannot be removed: because 500"),
        docker_errors("it cannot be removed"),
    ):
        remove_containers(engine(containers=[stuck]), NAMES, pause=lambda _: None)


def test_volumes_go_by_name_and_another_sandboxs_stay() -> None:
    """Docker makes an unlabelled volume for a container whose own was removed during its launch."""
    mine, other = Thing(name="amifactory-0123abcd-i-1"), Thing(name="my-amifactory-0123abcd-i-1")
    remove_networks_and_disks(engine(volumes=[mine, other]), NAMES, pause=lambda _: None)
    assert (mine.removed, other.removed) == (True, False)
