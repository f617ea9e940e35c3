"""Gives an instance notice, as AWS does for reasons of its own: `POST /amifactory/notices`.

- ``spot``: the instance's metadata says when it is interrupted, and then it is: stopped or terminated, two
  minutes later (EC2 user guide, "Spot Instance interruption notices") or as soon as was asked. Any instance
  takes the part of a Spot Instance.
- ``rebalance``: a recommendation, and nothing follows by itself.
- ``termination``: its group terminates it. A member of a group goes by way of that group's own hooks, and is
  replaced; any other instance is held by the hook that the notice names until the action is completed or
  the hook times out, and without one goes at once (Auto Scaling user guide, "How lifecycle hooks work").
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.failures import json_reply
from amifactory.sandbox.notices import FORMAT, Interruption
from amifactory.sandbox.scaling.activities import at
from amifactory.sandbox.scaling.loose import find_instance, hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World
    from amifactory.sandbox.moto_errors import Reply
    from amifactory.sandbox.scaling.engine import Engine

log = logging.getLogger(__name__)

EVENTS = ("spot", "rebalance", "termination")
NOTICE_SECONDS = 120
HEARTBEAT_TIMEOUT = 3600
"""API reference, PutLifecycleHook: the default; 30 to 7200 are allowed."""
REASONS = {"terminate": "Server.SpotInstanceTermination", "stop": "Server.SpotInstanceShutdown"}
"""API reference, StateReason."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The document that is posted.

    Attributes:
        event: ``spot``, ``rebalance`` or ``termination``.
        action: Of a Spot interruption: ``terminate`` or ``stop``. The sandbox cannot hibernate.
        after: Seconds until the interruption.
        group: Name of the group the instance shall be in, when it is in none.
        hook: Name of that group's termination hook, which is heard of every ``heartbeat_timeout`` seconds.
    """

    instance_id: str
    event: str
    action: str = "terminate"
    after: float = NOTICE_SECONDS
    group: str = "workers"
    hook: str | None = None
    heartbeat_timeout: int = HEARTBEAT_TIMEOUT

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise ValueError(f"the event is {', '.join(EVENTS)}, not {self.event}")
        if self.action not in REASONS:
            raise ValueError(f"the action is {' or '.join(REASONS)}, not {self.action}")
        if not 30 <= self.heartbeat_timeout <= 7200:  # noqa: PLR2004
            raise ValueError(f"a hook's heartbeat timeout is 30 to 7200 s, not {self.heartbeat_timeout}")


class Notifier:
    """Gives instances of this world notice."""

    def __init__(self, world: World, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._world = world
        self._engine = engine
        self._now = now

    def answer(self, body: bytes) -> Reply:
        """Answers the posted document with what the instance's metadata has from now on, or why not."""
        give = {"spot": self._spot, "rebalance": self._rebalance, "termination": self._terminate}
        try:
            request = Request(**json.loads(body))
            with self._world.lock:
                give[request.event](running_instance(request.instance_id), request)
                return json_reply(200, self._world.notices.metadata(request.instance_id))
        except (TypeError, ValueError) as error:
            return json_reply(400, {"error": str(error)})

    def _spot(self, instance: Any, request: Request) -> None:
        at = self._now() + timedelta(seconds=request.after)
        interruption = Interruption(action=request.action, at=at)
        self._tell(instance.id, interruption=interruption)
        self._world.notices.alarms.set(
            f"spot-{instance.id}",
            request.after,
            lambda: interrupt(self._world, instance, interruption),
        )

    def _rebalance(self, instance: Any, _: Request) -> None:
        self._tell(instance.id, rebalance=self._now())

    def _terminate(self, instance: Any, request: Request) -> None:
        if found := self._engine.find(instance.id):
            group, member = found
            if member.leaving:
                raise ValueError(f"{instance.id} is being terminated already")
            what = "an instance was taken out of service in response to a notice"
            self._engine.terminate(group, member, cause=at(self._engine, what))
            return
        if self._world.notices.of(instance.id).action:
            raise ValueError(f"{instance.id} is being terminated already")
        if request.hook is None:
            instance.ec2_backend.terminate_instances([instance.id])
            return
        hold(
            self._world,
            instance.id,
            group=request.group,
            hook=request.hook,
            heartbeat_timeout=request.heartbeat_timeout,
        )

    def _tell(self, instance_id: str, **changes: Any) -> None:
        notices = self._world.notices
        notices.told[instance_id] = replace(notices.of(instance_id), **changes)


def running_instance(instance_id: str) -> Any:
    """Returns an instance that can be given notice; raises ValueError when it does not run."""
    instance = find_instance(instance_id)
    if instance is None or instance.state != "running":
        raise ValueError(f"no instance {instance_id} runs")
    return instance


def interrupt(world: World, instance: Any, interruption: Interruption) -> None:
    """Stops or terminates an instance, whoever uses it; one that has gone meanwhile is no error."""
    with world.lock:
        if instance.state != "running":
            return
        log.info("Spot interruption of %s: %s", instance.id, interruption.action)
        if interruption.action == "stop":
            instance.ec2_backend.stop_instances([instance.id])
            world.notices.told.pop(instance.id)
        else:
            instance.ec2_backend.terminate_instances([instance.id])
        code = REASONS[interruption.action]
        instance.state_reason.code = code
        at = interruption.at.strftime(FORMAT)
        instance.state_reason.message = f"{code}: Spot interruption by the sandbox, announced for {at}"


def utc_now() -> datetime:
    """Returns the time that notices are dated by."""
    return datetime.now(UTC)
