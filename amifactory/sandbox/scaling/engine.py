"""All Auto Scaling groups of a sandbox, and the steps by which they are kept as they shall be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.ec2.models import ec2_backends

from amifactory.sandbox.scaling import (
    completing,
    following,
    launching,
    leaving,
    reconcile,
    refresh,
    templates,
)
from amifactory.sandbox.scaling.errors import no_group
from amifactory.sandbox.scaling.model import IN_SERVICE, Configuration, Group, Member

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from amifactory.sandbox.ec2_world import World
    from amifactory.sandbox.scaling.clock import Clock

log = logging.getLogger(__name__)

MISSING = "MISSING"
"""What `Engine.alarm_state` says of an alarm that is not there."""


class Engine:
    """The groups of every account and Region. All but `tick` and `run` want the world's lock held."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.groups: dict[tuple[str, str, str], Group] = {}
        self._instances: dict[str, Any] = {}

    # -- time

    def run(self, stop: threading.Event, *, every: float) -> None:
        """Ticks every so many real seconds until told to stop; a group that fails is logged and goes on."""
        while not stop.wait(every):
            if self.groups:
                self.tick()

    def tick(self) -> None:
        """Moves every group on by one step, under the world's lock; never waits for anything."""
        with self.world.lock:
            for group in list(self.groups.values()):
                try:
                    self.step(group)
                except Exception:
                    log.exception("Auto Scaling group %s", group.name)

    def step(self, group: Group) -> None:
        """Moves one group on: hooks that lapse, what EC2 says of its instances, capacity, its refresh."""
        completing.lapse(self, group)
        following.follow(self, group)
        if group.deleting and not group.members:
            self.groups.pop((group.account, group.region, group.name), None)
            return
        reconcile.reconcile(self, group)
        if not group.deleting and refresh.active(group) is not None:
            refresh.step(self, group)

    # -- groups and members

    def named(self, account: str, region: str, name: str) -> Group:
        """Returns a group; raises ValidationError when there is none of that name."""
        group = self.groups.get((account, region, name))
        if group is None:
            raise no_group(name)
        return group

    def of(self, account: str, region: str) -> Iterator[Group]:
        """Yields the groups of one account and Region, by name."""
        for key in sorted(self.groups):
            if key[:2] == (account, region):
                yield self.groups[key]

    def find(self, instance_id: str) -> tuple[Group, Member] | None:
        """Returns the member that an instance is, and its group; None for an instance of no group."""
        for group in self.groups.values():
            member = group.member(instance_id)
            if member is not None:
                return group, member
        return None

    def backend(self, group: Group) -> Any:
        """Returns the EC2 of a group's account and Region."""
        return self.backend_of(group.account, group.region)

    def backend_of(self, account: str, region: str) -> Any:
        """Returns the EC2 of an account and Region."""
        return ec2_backends[account][region]

    def instance(self, group: Group, member: Member) -> Any:
        """Returns EC2's instance of a member, or None when EC2 has forgotten it."""
        found = self._instances.get(member.instance_id)
        return found or self.backend(group).get_instance_by_id(member.instance_id)

    def instance_state(self, group: Group, member: Member) -> str:
        """Returns the EC2 state of a member's instance; ``terminated`` when EC2 has forgotten it."""
        instance = self.instance(group, member)
        return str(instance.state) if instance is not None else "terminated"

    def remember(self, instance: Any) -> None:
        """Keeps a member's instance at hand: to search moto's takes long."""
        self._instances[instance.id] = instance

    def forget(self, instance_id: str) -> None:
        """Forgets an instance that is in no group any more."""
        self._instances.pop(instance_id, None)
        self.world.notices.targets.pop(instance_id, None)

    def in_service(self, group: Group) -> list[Member]:
        """Returns the members that are InService, whether they have warmed up or not."""
        return [member for member in group.members if member.state == IN_SERVICE]

    def warm(self, group: Group, member: Member, seconds: float) -> bool:
        """Returns whether a member has been in service for so many seconds of the clock."""
        del group
        since = member.in_service_at
        return member.state == IN_SERVICE and since is not None and self.clock.now() - since >= seconds

    # -- launching and terminating

    def launch(self, group: Group, *, cause: str) -> Member | None:
        """Adds one member, Pending, launched from ``group.launches``; None when that failed.

        A failure is a Failed activity with EC2's message, and the group tries again later by itself.
        """
        return launching.launch(self, group, cause=cause)

    def terminate(self, group: Group, member: Member, *, cause: str) -> None:
        """Takes a member out, by way of its termination hooks; no member any more once its instance is gone.

        The desired capacity stays as it is, so a replacement is launched. Doing it again does nothing.
        """
        leaving.terminate(self, group, member, cause=cause)

    # -- configurations

    def normalised(self, group: Group, configuration: Configuration) -> Configuration:
        """Returns a configuration as groups keep it: template ids as well as names, a version always given.

        Raises:
            ScalingError: ValidationError: no such template or version, both id and name, neither.
        """
        return templates.normalised(self.backend(group), configuration)

    def version_of(
        self, group: Group, configuration: Configuration, override_index: int | None = None
    ) -> tuple[str, int]:
        """Returns id and number of the template version that a launch would use now.

        Args:
            configuration: As groups keep it.
            override_index: Of the mixed policy's overrides; one may have its own template.

        Raises:
            ScalingError: There is no such template or version (any more).
        """
        return templates.version_of(self.backend(group), configuration, override_index)

    def image_of(self, group: Group, configuration: Configuration) -> str:
        """Returns the ImageId of a configuration's template version as written: may be ``resolve:ssm:…``."""
        return templates.image_of(self.backend(group), configuration)

    def matches(self, group: Group, member: Member, configuration: Configuration) -> bool:
        """Returns whether SkipMatching would leave a member alone.

        "Skips replacing instances that match the desired configuration": its launch template version is the
        one a launch would use now, and its instance type among those asked for (user guide, "Use an
        instance refresh with skip matching").
        """
        return templates.matches(self.backend(group), member, configuration)

    # -- alarms

    def alarm_state(self, group: Group, name: str) -> str:
        """Returns a CloudWatch alarm's state: ``OK``, ``ALARM``, ``INSUFFICIENT_DATA``, or ``MISSING``."""
        alarms = cloudwatch_backends[group.account][group.region].alarms
        return str(alarms[name].state_value) if name in alarms else MISSING
