"""What an instance is told before it is taken away, and that it then is.

EC2 user guide, "Spot Instance interruption notices" and "EC2 instance rebalance recommendations";
Auto Scaling user guide, "Retrieve the target lifecycle state through instance metadata".
"""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import notices
import pytest

from amifactory.cli.sandbox import NOTICE_OPTIONS
from amifactory.config.models import Drain
from amifactory.sandbox.imds import Imds
from amifactory.sandbox.notify import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.driver import ServerSettings
    from amifactory.sandbox.ec2_world import World

SPOT, REBALANCE = "spot/instance-action", "events/recommendations/rebalance"
TARGET = "autoscaling/target-lifecycle-state"
ENDS = {
    "terminate": ("terminated", "Server.SpotInstanceTermination"),
    "stop": ("stopped", "Server.SpotInstanceShutdown"),
}
FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@pytest.fixture
def instance(run: Callable[..., str], world: World) -> str:
    """Runs an instance and returns its id."""
    instance_id = run()
    world.work.wait(5)
    return instance_id


@pytest.fixture
def metadata(world: World, driver: Any) -> Callable[[str, str], str | int]:
    """Returns what an instance's metadata has at a path, or the status when it is not 200."""
    imds = Imds(world)

    def metadata(instance_id: str, path: str) -> str | int:
        status: list[str] = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/latest/meta-data/{path}",
            "REMOTE_ADDR": driver.launched[instance_id].private_ip,
            "wsgi.input": BytesIO(),
        }
        body = b"".join(imds(environ, lambda line, _: status.append(line)))
        code = int(status[0].split()[0])
        return body.decode() if code == 200 else code

    return metadata


@pytest.fixture
def notify(settings: ServerSettings, world: World) -> Callable[..., tuple[int, Any]]:
    """Posts a notice and returns status and answer."""
    del world

    def notify(**document: object) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=5)
        try:
            connection.request("POST", "/amifactory/notices", body=json.dumps(document))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return notify


def test_each_kind_of_notice_has_one_name() -> None:
    """In the settings, on the instance, in the sandbox and on the command line."""
    assert set(notices.PATHS) == set(EVENTS) == set(NOTICE_OPTIONS)
    assert Drain(on=EVENTS).on == EVENTS


@pytest.mark.parametrize("path", [SPOT, "spot/termination-time", REBALANCE, TARGET, "spot", "autoscaling"])
def test_nothing_before_a_notice(instance: str, metadata: Callable[[str, str], str | int], path: str) -> None:
    """Without a notice "you receive an HTTP 404 error" at each of the paths."""
    assert metadata(instance, path) == 404


@pytest.mark.parametrize("action", ["terminate", "stop"])
def test_a_spot_interruption_notice(
    instance: str,
    metadata: Callable[[str, str], str | int],
    notify: Callable[..., tuple[int, Any]],
    action: str,
) -> None:
    """``{"action": "stop", "time": "2017-09-18T08:22:00Z"}``: what, and when, two minutes ahead, in UTC."""
    before = datetime.now(UTC).replace(microsecond=0)
    status, told = notify(instance_id=instance, event="spot", action=action)
    found = json.loads(str(metadata(instance, SPOT)))
    at = datetime.strptime(found.pop("time"), FORMAT).replace(tzinfo=UTC)
    assert status == 200
    assert found == {"action": action}
    assert timedelta(seconds=119) < at - before < timedelta(seconds=125)
    assert told["spot"]["instance-action"] == metadata(instance, SPOT)
    ends = at.strftime(FORMAT) if action == "terminate" else 404
    assert metadata(instance, "spot/termination-time") == ends


def test_a_rebalance_recommendation(
    instance: str, metadata: Callable[[str, str], str | int], notify: Callable[..., tuple[int, Any]]
) -> None:
    """``{"noticeTime": "2020-10-27T08:22:00Z"}``."""
    notify(instance_id=instance, event="rebalance")
    found = json.loads(str(metadata(instance, REBALANCE)))
    assert list(found) == ["noticeTime"]
    at = datetime.strptime(found["noticeTime"], FORMAT).replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - at) < timedelta(seconds=5)
    assert metadata(instance, SPOT) == 404


def test_the_state_an_instance_is_to_be_in(
    instance: str, metadata: Callable[[str, str], str | int], notify: Callable[..., tuple[int, Any]]
) -> None:
    """The state alone, as text: ``Terminated`` when the group wants it gone."""
    notify(instance_id=instance, event="termination", hook="drain")
    assert metadata(instance, TARGET) == "Terminated"


def test_notices_add_up_and_are_each_instances_own(
    run: Callable[..., str],
    world: World,
    instance: str,
    metadata: Callable[[str, str], str | int],
    notify: Callable[..., tuple[int, Any]],
) -> None:
    """A rebalance recommendation "can arrive along with the two-minute Spot Instance interruption notice"."""
    other = run()
    world.work.wait(5)
    notify(instance_id=instance, event="rebalance")
    notify(instance_id=instance, event="spot")
    assert {metadata(instance, path) == 404 for path in (SPOT, REBALANCE)} == {False}
    assert [metadata(other, path) for path in (SPOT, REBALANCE, TARGET)] == [404] * 3


@pytest.mark.parametrize("action", ENDS)
def test_the_interruption_comes(
    instance: str,
    world: World,
    described: Callable[[str], dict[str, Any]],
    notify: Callable[..., tuple[int, Any]],
    action: str,
) -> None:
    """Two minutes after the notice. EC2 API reference, StateReason, has the codes."""
    notify(instance_id=instance, event="spot", action=action)
    left = world.notices.alarms.left(f"spot-{instance}")
    assert left is not None
    assert 110 < left <= 120
    assert described(instance)["State"]["Name"] == "running"
    world.notices.alarms.ring(f"spot-{instance}")
    world.work.wait(5)
    found = described(instance)
    assert (found["State"]["Name"], found["StateReason"]["Code"]) == ENDS[action]


def test_it_comes_by_itself(
    instance: str, world: World, state: Callable[[str], str], notify: Callable[..., tuple[int, Any]]
) -> None:
    notify(instance_id=instance, event="spot", after=0.05)
    for _ in range(100):
        world.work.wait(0.05)
        if state(instance) == "terminated":
            return
    pytest.fail(f"the instance is {state(instance)}")


def test_an_instance_that_was_stopped_starts_with_no_notice(
    ec2: Any,
    instance: str,
    world: World,
    metadata: Callable[[str, str], str | int],
    notify: Callable[..., tuple[int, Any]],
) -> None:
    notify(instance_id=instance, event="spot", action="stop")
    world.notices.alarms.ring(f"spot-{instance}")
    world.work.wait(5)
    ec2.start_instances(InstanceIds=[instance])
    world.work.wait(5)
    assert metadata(instance, SPOT) == 404


def test_an_interruption_of_what_has_gone_does_nothing(
    ec2: Any, instance: str, world: World, driver: Any, notify: Callable[..., tuple[int, Any]]
) -> None:
    notify(instance_id=instance, event="spot")
    ec2.terminate_instances(InstanceIds=[instance])
    world.work.wait(5)
    driver.asked.clear()
    world.notices.alarms.ring(f"spot-{instance}")
    assert driver.asked == []


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"event": "spot", "action": "hibernate"}, "the action is terminate or stop, not hibernate"),
        ({"event": "flood"}, "the event is spot, rebalance, termination, not flood"),
        ({"event": "termination", "hook": "drain", "heartbeat_timeout": 5}, "30 to 7200 s, not 5"),
        ({"event": "spot", "when": "soon"}, "unexpected keyword argument 'when'"),
        ({"event": "spot", "instance_id": "i-0"}, "no instance i-0 runs"),
    ],
)
def test_what_cannot_be_given_notice_of(
    instance: str,
    metadata: Callable[[str, str], str | int],
    notify: Callable[..., tuple[int, Any]],
    document: dict[str, object],
    why: str,
) -> None:
    status, answer = notify(**{"instance_id": instance, **document})
    assert (status, why in answer["error"]) == (400, True), answer
    assert metadata(instance, SPOT) == 404
