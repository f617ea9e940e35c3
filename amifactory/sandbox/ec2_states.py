"""An instance's life: pending, running, stopping, stopped, shutting-down, terminated."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.driver import DriverError, Launch
from amifactory.sandbox.ec2_network import hold_addresses, release_addresses, settle_addresses
from amifactory.sandbox.ec2_world import ec2_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World

log = logging.getLogger(__name__)

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
"""EC2 API reference, InstanceState."""


TERMINATION_PAUSES = (0.2, 1.0, 5.0)
"""Seconds between attempts to end a machine that will not end."""


def set_state(instance: Any, name: str) -> None:
    """Puts an instance into a state."""
    instance._state.name, instance._state.code = name, CODES[name]  # noqa: SLF001 - moto has no setter


def fail_start(instance: Any, reason: str) -> None:
    """Leaves an instance stopped whose machine would not start again."""
    instance.stop()
    set_state(instance, "stopped")
    instance.state_reason.code = "Server.InternalError"
    instance.state_reason.message = f"Server.InternalError: Internal error on start: {reason}"


def fail_stop(instance: Any, _: str) -> None:
    """Leaves an instance running whose machine would not stop, so that it can be asked again."""
    instance.start()
    settle_addresses(instance)


def fail_launch(instance: Any, reason: str) -> None:
    """Terminates an instance whose machine would not start, and says why as EC2 does."""
    instance.terminate()
    set_state(instance, "terminated")
    instance._reason = "Server.InternalError"  # noqa: SLF001
    instance.state_reason.code = "Server.InternalError"
    instance.state_reason.message = f"Server.InternalError: Internal error on launch: {reason}"
    release_addresses(instance)


def fail_terminate(instance: Any, reason: str) -> None:
    """Leaves an instance shutting down whose machine would not end: it is still there."""
    instance.state_reason.code = "Server.InternalError"
    instance.state_reason.message = f"Server.InternalError: Internal error on termination: {reason}"


class StatesMixin:
    """Part of the EC2 backend: what becomes of instances, in step with their machines."""

    world: World

    def launch(self: Any, instance: Any, driver_image: str) -> None:
        """Starts the machine of a new instance, which is running once that is."""
        set_state(instance, "pending")
        settle_addresses(instance)
        launch = Launch(
            instance_id=instance.id,
            image_id=driver_image,
            private_ip=instance.private_ip,
            hostname=instance.private_dns_name.partition(".")[0],
            name=self.tags.get(instance.id, {}).get("Name", ""),
        )
        self._follow(instance, "running", partial(self.world.driver.launch, launch), fail_launch)

    def start_instances(self: Any, instance_ids: list[str]) -> list[tuple[Any, Any]]:
        """Starts stopped instances; started ones stay as they are."""
        self._check_states(instance_ids, {"stopped", "running", "pending"}, "started")
        stopped = {i.id for i in self.get_multi_instances_by_id(instance_ids) if i.state == "stopped"}
        changes: list[tuple[Any, Any]] = super().start_instances(list(stopped))  # type: ignore[misc]
        for instance, _ in changes:
            settle_addresses(instance)
            set_state(instance, "pending")
            self._follow(instance, "running", partial(self.world.driver.start, instance.id), fail_start)
        return [*changes, *self._unchanged(instance_ids, stopped)]

    def stop_instances(self: Any, instance_ids: list[str]) -> list[tuple[Any, Any]]:
        """Stops running instances; stopped ones stay as they are."""
        self._check_states(instance_ids, {"stopped", "stopping", "running"}, "stopped")
        running = {i.id for i in self.get_multi_instances_by_id(instance_ids) if i.state == "running"}
        changes: list[tuple[Any, Any]] = super().stop_instances(list(running))  # type: ignore[misc]
        for instance, _ in changes:
            set_state(instance, "stopping")
            self._follow(instance, "stopped", partial(self.world.driver.stop, instance.id), fail_stop)
        return [*changes, *self._unchanged(instance_ids, running)]

    def terminate_instances(self: Any, instance_ids: list[str]) -> list[tuple[Any, Any]]:
        """Terminates instances; doing so again is no error, and tries again with one that would not end."""
        going = {
            i.id
            for i in self.get_multi_instances_by_id(instance_ids)
            if i.state not in {"shutting-down", "terminated"}
        }
        for instance in self.get_multi_instances_by_id(list(going)):
            hold_addresses(instance)
        changes: list[tuple[Any, Any]] = []
        if going or not instance_ids:
            changes = super().terminate_instances(list(going))  # type: ignore[misc]
        for instance, _ in changes:
            set_state(instance, "shutting-down")
        for instance in self.get_multi_instances_by_id(instance_ids):
            if instance.state == "shutting-down":
                self._follow(instance, "terminated", partial(self._end_machine, instance.id), fail_terminate)
        return [*changes, *self._unchanged(instance_ids, going)]

    def _end_machine(self: Any, instance_id: str) -> None:
        for pause in TERMINATION_PAUSES:
            try:
                self.world.driver.terminate(instance_id)
            except DriverError:
                log.exception("instance %s would not end, trying again in %s s", instance_id, pause)
                time.sleep(pause)
            else:
                return
        self.world.driver.terminate(instance_id)

    def reboot_instances(self: Any, instance_ids: list[str]) -> list[Any]:
        """Reboots running instances; their state does not show it."""
        self._check_states(instance_ids, {"running", "pending"}, "rebooted")
        instances: list[Any] = self.get_multi_instances_by_id(instance_ids)
        for instance in instances:
            self.world.work.submit(instance.id, partial(self.world.driver.reboot, instance.id))
        return instances

    def powered_off(self: Any, instance: Any) -> None:
        """Does as InstanceInitiatedShutdownBehavior says: the instance shut itself down."""
        if instance.state == "pending":
            self.world.work.submit(instance.id, partial(self._powered_off_early, instance))
        if instance.state != "running":
            return
        if instance.instance_initiated_shutdown_behavior == "terminate":
            self.terminate_instances([instance.id])
        else:
            self.stop_instances([instance.id])
        instance.state_reason.code = "Client.InstanceInitiatedShutdown"
        instance.state_reason.message = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"

    def _powered_off_early(self: Any, instance: Any) -> None:
        """Comes after the launch, during which the instance shut itself down."""
        with self.world.lock:
            if instance.state == "running":
                self.powered_off(instance)

    def _check_states(self: Any, instance_ids: list[str], allowed: set[str], what: str) -> None:
        for instance in self.get_multi_instances_by_id(instance_ids):
            if instance.state not in allowed:
                raise ec2_error(
                    "IncorrectInstanceState",
                    f"The instance '{instance.id}' is not in a state from which it can be {what}.",
                )

    def _unchanged(self: Any, instance_ids: list[str], changed: set[str]) -> list[tuple[Any, Any]]:
        rest = [i for i in self.get_multi_instances_by_id(instance_ids) if i.id not in changed]
        return [(instance, instance._state) for instance in rest]  # noqa: SLF001

    def _follow(
        self: Any,
        instance: Any,
        after: str,
        machine: Callable[[], None],
        failed: Callable[[Any, str], None],
    ) -> None:
        """Has the machine do something in the background, then moves the instance on to its next state."""
        during = instance.state

        def job() -> None:
            problem = None
            try:
                machine()
            except Exception as error:
                log.exception("instance %s: %s failed", instance.id, during)
                problem = str(error)
            with self.world.lock:
                if instance.state != during:
                    return  # something newer was asked of it meanwhile
                if problem is not None:
                    failed(instance, problem)
                    return
                set_state(instance, after)
                if after == "terminated":
                    release_addresses(instance)

        self.world.work.submit(instance.id, job)
