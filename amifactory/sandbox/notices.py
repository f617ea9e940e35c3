"""What AWS tells an instance before it takes it away, as the instance's metadata has it.

The forms are those of
- EC2 user guide, "Spot Instance interruption notices": ``spot/instance-action`` is JSON with ``action`` and
  ``time`` (UTC, ISO 8601), ``spot/termination-time`` the time alone when the action is to terminate; both are
  404 while there is no notice;
- EC2 user guide, "EC2 instance rebalance recommendations": ``events/recommendations/rebalance`` is JSON with
  ``noticeTime``; 404 before;
- Auto Scaling user guide, "Retrieve the target lifecycle state through instance metadata":
  ``autoscaling/target-lifecycle-state`` is the bare name of a state, ``Terminated`` once the group wants the
  instance gone. An instance of no group has it only once it was told so by a notice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.alarms import Alarms

if TYPE_CHECKING:
    from datetime import datetime

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """A Spot interruption to come; the action is ``terminate`` or ``stop``."""

    action: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class LifecycleAction:
    """An instance that its group wants to be rid of, and for whose hook it waits.

    Attributes:
        heartbeat_timeout: Seconds the group waits for the next sign of life.
        until: When it waits no longer, signs of life or not, by the monotonic clock.
        waiting: False once the hook has let go.
    """

    group: str
    hook: str
    token: str
    heartbeat_timeout: int
    until: float
    waiting: bool = True


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What one instance was told so far."""

    interruption: Interruption | None = None
    rebalance: datetime | None = None
    action: LifecycleAction | None = None

    def metadata(self) -> dict[str, Any]:
        """Returns the tree to be added to ``/latest/meta-data``."""
        tree: dict[str, Any] = {}
        if self.interruption:
            at = self.interruption.at.strftime(FORMAT)
            tree["spot"] = {"instance-action": json.dumps({"action": self.interruption.action, "time": at})}
            if self.interruption.action == "terminate":
                tree["spot"]["termination-time"] = at
        if self.rebalance:
            notice = {"noticeTime": self.rebalance.strftime(FORMAT)}
            tree["events"] = {"recommendations": {"rebalance": json.dumps(notice)}}
        if self.action:
            tree["autoscaling"] = {"target-lifecycle-state": "Terminated"}
        return tree


@dataclass(frozen=True, kw_only=True)
class Notices:
    """What all instances were told, by id, and what shall happen by itself; guarded by the world's lock."""

    told: dict[str, Notice] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    """The target lifecycle states of the instances that are in Auto Scaling groups."""
    alarms: Alarms = field(default_factory=Alarms)

    def of(self, instance_id: str) -> Notice:
        """Returns what an instance was told: nothing, unless something was."""
        return self.told.get(instance_id, Notice())

    def metadata(self, instance_id: str) -> dict[str, Any]:
        """Returns what an instance's group and the notices it was given add to ``/latest/meta-data``."""
        tree = self.of(instance_id).metadata()
        if instance_id in self.targets:
            tree["autoscaling"] = {"target-lifecycle-state": self.targets[instance_id]}
        return tree
