"""Docker's events: one that cannot be dealt with, or Docker hanging up, loses none of the others."""

from __future__ import annotations

import threading
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.container_events import follow_events
from amifactory.sandbox.containers import ContainerDriver
from amifactory.sandbox.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = 1_000_000_000


def test_events_go_on_after_errors_and_each_is_handled_once(caplog: pytest.LogCaptureFixture) -> None:
    stop, handled, asked = threading.Event(), [], []

    def subscribe(since: str) -> Iterator[dict[str, Any]]:
        asked.append(since)
        if len(asked) == 1:
            yield {"timeNano": 5 * SECOND}
            yield {"timeNano": 6 * SECOND + 7}
            raise ConnectionError("Docker restarts")
        stop.set()
        raise ConnectionError("and does not come back")

    def handle(event: Any) -> None:
        handled.append(event["timeNano"])
        raise ValueError("cannot deal with it")

    follow_events(subscribe, handle, since=4 * SECOND, stop=stop, retry_seconds=0)
    assert handled == [5 * SECOND, 6 * SECOND + 7]
    assert asked == ["4.000000000", "6.000000008"]
    assert [record.message for record in caplog.records].count("Docker's events ended") == 2


class OneContainer:
    """A Docker Engine with one instance that has died once, and is in a state now."""

    def __init__(self, status: str, exit_code: str) -> None:
        self.status = status
        self.exit_code = exit_code
        self.seen = threading.Event()
        self.containers = self

    def events(self, **_: Any) -> Iterator[dict[str, Any]]:
        attributes = {"amifactory.sandbox.instance": "i-1", "exitCode": self.exit_code}
        yield {"timeNano": 1, "Actor": {"Attributes": attributes}}
        self.seen.set()
        threading.Event().wait(60)

    def get(self, name: str) -> OneContainer:
        assert name == "amifactory-0123abcd-i-1"
        return self


@pytest.mark.parametrize(("status", "expected"), [("exited", ["i-1"]), ("running", [])])
def test_an_instance_that_runs_again_has_not_powered_off(status: str, expected: list[str]) -> None:
    docker: Any = OneContainer(status, "0")
    driver = ContainerDriver(
        docker,
        Names(sandbox_id="0123abcd"),
        subnet=IPv4Network("10.99.0.0/20"),
        source_ami_id="ami-1",
        resolver_file=None,
    )
    powered_off: list[str] = []
    driver.watch(powered_off.append)
    assert docker.seen.wait(10)
    driver.close()
    assert powered_off == expected
