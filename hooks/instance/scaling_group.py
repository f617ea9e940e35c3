"""The Auto Scaling group of this instance: asked to wait while jobs end, then to go on.

Auto Scaling user guide, "Complete a lifecycle action". The instance's role needs, of ``autoscaling``,
``DescribeAutoScalingInstances``, ``DescribeLifecycleHooks``, ``RecordLifecycleActionHeartbeat`` and
``CompleteLifecycleAction``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_program import AwsError
from instance_metadata import MetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_program import AwsProgram
    from host import Host
    from instance_metadata import ReadMetadata

TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
WAITS = {"Terminating:Wait", "Warmed:Terminating:Wait"}
GOES = {f"{warm}{state}" for warm in ("", "Warmed:") for state in ("Terminating:Proceed", "Terminated")}
NO_ACTION = "No active Lifecycle Action found"
"""Said of an action that is completed already, or of one that has not begun."""
RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)


class GroupError(Exception):
    """Auto Scaling could not be asked, or said no."""


@dataclass(frozen=True)
class Hook:
    """The termination hook to be completed; seconds that the group waits for the next heartbeat."""

    name: str
    group: str
    timeout: float


class ScalingGroup:
    """Speaks to Auto Scaling when it is time to, and again after a failure."""

    def __init__(self, host: Host, aws: AwsProgram, *, read: ReadMetadata, hook: str | None) -> None:
        self._host = host
        self._aws = aws
        self._read = read
        self._wanted = hook
        self._hook: Hook | None = None
        self._failures = 0
        self._quiet_until = -math.inf
        self._next_heartbeat = -math.inf
        self._said = ""

    def hold(self) -> None:
        """Has the group wait on, by a heartbeat at half the time that it waits for one."""
        now = self._host.now()
        if now < max(self._quiet_until, self._next_heartbeat):
            return
        try:
            hook = self._hook or self._find_hook(self._instance())
            self._next_heartbeat = now + (hook.timeout / 2 if hook else RETRY_SECONDS[-1])
            if hook:
                self._call("record-lifecycle-action-heartbeat", *self._names(hook))
                self._say(f"lifecycle hook {hook.name} waits {hook.timeout:.0f} s more")
            self._failures = 0
        except GroupError as error:
            self._fail(error)

    def let_go(self) -> bool:
        """Completes the lifecycle action; returns whether nothing is left to be done."""
        if self._host.now() < self._quiet_until:
            return False
        try:
            return self._complete(self._instance())
        except GroupError as error:
            self._fail(error)
            return False

    def _complete(self, instance: Mapping[str, str] | None) -> bool:
        hook = self._find_hook(instance)
        if instance is None or hook is None or instance["LifecycleState"] in GOES:
            return True
        if instance["LifecycleState"] not in WAITS:
            raise GroupError(f"the instance is {instance['LifecycleState']}, not waiting for its hook yet")
        try:
            self._call("complete-lifecycle-action", *self._names(hook), "--lifecycle-action-result=CONTINUE")
        except GroupError as error:
            if NO_ACTION not in str(error):
                raise
        self._say(f"completed lifecycle hook {hook.name} of {hook.group}")
        return True

    def _instance(self) -> Mapping[str, str] | None:
        asked = f"--instance-ids={self._instance_id()}"
        found = self._call("describe-auto-scaling-instances", asked)["AutoScalingInstances"]
        return found[0] if found else None

    def _find_hook(self, instance: Mapping[str, str] | None) -> Hook | None:
        """Returns the hook that was named, or the group's only one for terminations, or None."""
        if self._hook is None and instance is not None:
            group = instance["AutoScalingGroupName"]
            answer = self._call("describe-lifecycle-hooks", f"--auto-scaling-group-name={group}")
            hooks = [hook for hook in answer["LifecycleHooks"] if self._is_meant(hook)]
            if len(hooks) == 1:
                name, timeout = hooks[0]["LifecycleHookName"], float(hooks[0]["HeartbeatTimeout"])
                self._hook = Hook(name, group, timeout)
            else:
                self._say(self._why_not(group, len(hooks)))
        return self._hook

    def _is_meant(self, hook: Mapping[str, Any]) -> bool:
        wanted = self._wanted in {None, hook["LifecycleHookName"]}
        return wanted and hook["LifecycleTransition"] == TERMINATING

    def _why_not(self, group: str, count: int) -> str:
        if count:
            return f"{group} has {count} termination hooks, and lifecycle_hook names none: all are left alone"
        return f"{group} has no termination hook {self._wanted or ''}".rstrip()

    def _names(self, hook: Hook) -> list[str]:
        return [
            f"--lifecycle-hook-name={hook.name}",
            f"--auto-scaling-group-name={hook.group}",
            f"--instance-id={self._instance_id()}",
        ]

    def _instance_id(self) -> str:
        try:
            found = self._read("meta-data/instance-id")
        except MetadataError as error:
            raise GroupError(str(error)) from error
        if found is None:
            raise GroupError("the instance metadata service knows no instance-id")
        return found

    def _call(self, operation: str, *arguments: str) -> dict[str, Any]:
        try:
            return self._aws.call("autoscaling", operation, *arguments)
        except AwsError as error:
            raise GroupError(f"{operation}: {error}") from error

    def _fail(self, error: GroupError) -> None:
        pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1
        self._quiet_until = self._host.now() + pause
        self._next_heartbeat = self._quiet_until
        self._say(str(error))

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._host.say(text)
