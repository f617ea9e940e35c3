"""Takes one fleet where its record says: version, pointer, workers; first it looks at what is so already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

from amifactory.domain.fleet import PAUSING, Pointer, TemplateId, is_of
from amifactory.domain.promotion import Replacement, may_skip_matching, replacement
from amifactory.domain.release import FleetRecord, Placement, Start
from amifactory.errors import AmifactoryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from amifactory.aws.instance_refreshes import RefreshOptions
    from amifactory.domain.fleet import Group, Refresh
    from amifactory.domain.model import AmiId
    from amifactory.operations.workshop import Workshop

PARAMETER_SECONDS = 120
"""How long AWS may take to check an AMI that a parameter is to name."""


class MoveError(AmifactoryError):
    """A fleet could not be taken where it should be."""


@dataclass(frozen=True, kw_only=True)
class Moves:
    """How fleets are moved in one change of a channel.

    Attributes:
        label: What the change is called in launch-template versions: ``example release 41``.
        check: Raises when the channel's lock is lost or the run is to stop; asked before every change.
        options: Preferences of an instance refresh, by fleet.
        deadline: How long a fleet's rollout may take.
        say: Tells what a fleet is at: its name, and a few words.
        resumed: An earlier run may have done some of it.
        parameters: What each parameter was set to so far: several fleets may have the same one.
    """

    workshop: Workshop
    label: str
    check: Callable[[], None]
    options: Callable[[FleetRecord], RefreshOptions]
    deadline: Callable[[str], timedelta]
    say: Callable[[str, str], None]
    resumed: bool = False
    parameters: dict[str, AmiId] = field(default_factory=dict)

    def move(self, record: FleetRecord, group: Group) -> FleetRecord:
        """Takes a fleet where its record says; returns the record with what that came to.

        Args:
            record: Where to.
            group: The fleet's group as it is now.

        Raises:
            MoveError: The rollout failed, or did not end in time.
            LostLockError: The channel's lock is somebody else's.
            AwsError: A call was refused.
        """
        began = self.workshop.clock()
        record = self._with_versions(record)
        kind = replacement(record, group)
        if kind is Replacement.DESIRED:
            self._refresh(record, group, versions=_pointed_to(record))
        else:
            self._repoint(record, group)
            if kind is Replacement.PLAIN:
                self._refresh(record, self.group_of(record), versions=None)
        return replace(record, seconds=round(self.workshop.clock() - began, 1))

    def restore(self, record: FleetRecord) -> FleetRecord:
        """Takes a fleet back to what it started before its release, ending a refresh that is under way.

        Raises:
            MoveError: It could not be done.
            LostLockError: The channel's lock is somebody else's.
            AwsError: A call was refused.
        """
        back, newest = undone(record), self.workshop.instance_refreshes.newest(record.group)
        ours = newest is not None and newest.active and newest.refresh_id != record.last_refresh
        if newest is not None and not (ours and dict(newest.versions) == _pointed_to(back)):
            if ours:
                newest = self._ended(record, newest)
            back = replace(back, last_refresh=newest.refresh_id)
        return replace(self, resumed=True).move(back, self.group_of(record))

    def _ended(self, record: FleetRecord, refresh: Refresh) -> Refresh:
        """Ends a refresh that goes forward: AWS undoes it where it can, and may have begun to."""
        self.say(record.fleet, "ending its instance refresh")
        self.check()
        refreshes = self.workshop.instance_refreshes
        if refresh.status != "RollbackInProgress" and not refreshes.roll_back(record.group):
            refreshes.cancel(record.group)
        return self._wait(record, refresh.refresh_id, judge=False)

    def group_of(self, record: FleetRecord) -> Group:
        """Returns a fleet's group as it is now.

        Raises:
            MoveError: It is gone.
            AwsError: The call was refused.
        """
        group = self.workshop.scaling_groups.groups([record.group]).get(record.group)
        if group is None:
            raise MoveError(f"fleet {record.fleet}: Auto Scaling group {record.group} is gone")
        return group

    def with_boot_seconds(self, record: FleetRecord, group: Group) -> FleetRecord:
        """Returns the record with how long new workers took until they were in service, if any started."""
        new = {worker.instance_id for worker in group.workers if is_of(worker, versions_of(record))}
        seconds = self.workshop.scaling_groups.boot_seconds(record.group, new) if new else ()
        return replace(record, boot_seconds=round(median(seconds), 1) if seconds else None)

    def _with_versions(self, record: FleetRecord) -> FleetRecord:
        """Returns the record with the number of every version, those made that were missing."""
        placements = tuple(
            placement
            if placement.after.version is not None
            else replace(placement, after=replace(placement.after, version=self._version(record, placement)))
            for placement in record.placements
        )
        return replace(record, placements=placements)

    def _version(self, record: FleetRecord, placement: Placement) -> int:
        templates, source = self.workshop.launch_templates, placement.before.version
        if source is None:
            raise MoveError(f"fleet {record.fleet}: no version of {placement.template_name} to start from")
        description = f"amifactory: {self.label}, {placement.after.ami_id}"
        if self.resumed:
            for made in templates.versions_since(placement.template_id, source):
                if made.description == description and made.image == placement.after.ami_id:
                    return made.number
        self.say(record.fleet, f"making a version of {placement.template_name}")
        self.check()
        return templates.make_version(
            placement.template_id,
            source=source,
            ami_id=placement.after.ami_id,
            instance_type=placement.instance_type,
            description=description,
            token=(self.label, placement.template_id, source, placement.after.ami_id),
        )

    def _repoint(self, record: FleetRecord, group: Group) -> None:
        """Makes what the group starts from now on the new version, where it is not yet."""
        for placement in record.placements:
            if placement.parameter is not None:
                self._set_parameter(record, placement)
            if placement.pointer is Pointer.DEFAULT:
                self._set_default(record, placement)
        versions = {placement.template_id: _named(placement) for placement in record.placements}
        if any(use.version != versions.get(use.template_id, use.version) for use in group.uses):
            self.say(record.fleet, "pointing its group at the new version")
            self.check()
            self.workshop.scaling_groups.repoint(group, versions)

    def _set_parameter(self, record: FleetRecord, placement: Placement) -> None:
        name, wanted = str(placement.parameter), placement.after.ami_id
        if self._value_of(name, placement) == wanted:
            return
        from datetime import timedelta  # noqa: PLC0415

        self.say(record.fleet, f"setting {name}")
        self.check()
        plain, _, label = name.partition(":")
        self.workshop.image_parameters.set(
            plain, wanted, label=label or None, timeout=timedelta(seconds=PARAMETER_SECONDS)
        )
        self.parameters[name] = wanted

    def _value_of(self, name: str, placement: Placement) -> AmiId | None:
        """Returns what a parameter names; AWS is asked only where an earlier run may have set it."""
        if name in self.parameters:
            return self.parameters[name]
        if self.resumed:
            return self.workshop.image_parameters.values([name]).get(name)
        return placement.before.ami_id

    def _set_default(self, record: FleetRecord, placement: Placement) -> None:
        templates, wanted = self.workshop.launch_templates, placement.after.version
        if placement.before.version == wanted and not self.resumed:
            return
        if (
            self.resumed
            and templates.templates([placement.template_id])[placement.template_id].default == wanted
        ):
            return
        self.say(record.fleet, f"making version {wanted} of {placement.template_name} the default")
        self.check()
        default = templates.set_default(placement.template_id, int(str(wanted)))
        if default != wanted:
            raise MoveError(f"{placement.template_name}: version {default} is the default, not {wanted}")

    def _refresh(self, record: FleetRecord, group: Group, *, versions: dict[TemplateId, str] | None) -> None:
        """Has AWS replace the workers, unless it did or does so already."""
        refreshes = self.workshop.instance_refreshes
        refresh_id = self._own_refresh(record, versions) if self.resumed else None
        if refresh_id is None:
            if not self._needs_refresh(record, group, versions):
                return
            options = replace(
                self.options(record),
                skip_matching=self.options(record).skip_matching and may_skip_matching(record, group),
            )
            self.check()
            refresh_id = refreshes.start(group, options, versions=versions)
            refresh_id = refresh_id or self._adopted(record, versions)
        self._wait(record, refresh_id, judge=True)

    def _needs_refresh(
        self, record: FleetRecord, group: Group, versions: dict[TemplateId, str] | None
    ) -> bool:
        """Returns whether a worker is another one than wanted, or the group does not start the version yet.

        Where a parameter names the AMI, a worker's version does not tell which AMI it has.
        """
        wanted = versions_of(record)
        if versions and any(versions.get(use.template_id) != use.version for use in group.uses):
            return True
        named: dict[TemplateId | None, AmiId] = {
            placement.template_id: placement.after.ami_id
            for placement in record.placements
            if placement.parameter is not None
        }
        told = {worker.instance_id: worker for worker in group.workers if worker.template_id in named}
        if any(not is_of(worker, wanted) for worker in group.workers if worker.instance_id not in told):
            return True
        amis = self.workshop.scaling_groups.amis(told)
        return any(named[told[worker].template_id] != ami_id for worker, ami_id in amis.items())

    def _own_refresh(self, record: FleetRecord, versions: dict[TemplateId, str] | None) -> str | None:
        """Returns the refresh that an earlier run started, if it is under way or has failed."""
        newest = self.workshop.instance_refreshes.newest(record.group)
        if newest is None or newest.refresh_id == record.last_refresh or newest.status == "Successful":
            return None
        return self._adopted(record, versions) if newest.active else newest.refresh_id

    def _adopted(self, record: FleetRecord, versions: dict[TemplateId, str] | None) -> str:
        """Returns the refresh that kept ours from starting, if it is ours, its answer lost.

        Raises:
            MoveError: It is somebody else's.
        """
        newest = self.workshop.instance_refreshes.newest(record.group)
        if newest is None or newest.refresh_id == record.last_refresh:
            raise MoveError(
                f"fleet {record.fleet}: another instance refresh was in the way", hint="Run it again."
            )
        if dict(newest.versions) != {str(key): value for key, value in (versions or {}).items()}:
            raise MoveError(
                f"fleet {record.fleet}: somebody else's instance refresh {newest.refresh_id} is under way"
            )
        return newest.refresh_id

    def _wait(self, record: FleetRecord, refresh_id: str, *, judge: bool) -> Refresh:
        """Waits until a refresh is over.

        Args:
            judge: Raise unless it succeeded.
        """
        workshop = self.workshop
        deadline = workshop.clock() + self.deadline(record.fleet).total_seconds()
        while True:
            self.check()
            refresh = workshop.instance_refreshes.refresh(record.group, refresh_id)
            if not refresh.active:
                break
            self.say(record.fleet, self._state_of(record, refresh))
            if workshop.clock() >= deadline:
                if judge:
                    workshop.instance_refreshes.cancel(record.group)
                raise MoveError(f"fleet {record.fleet}: its instance refresh took longer than its deadline")
            workshop.pause(workshop.polling_seconds)
        if judge and refresh.status != "Successful":
            why = f": {refresh.reason.rstrip('.')}" if refresh.reason else ""
            raise MoveError(f"fleet {record.fleet}: its instance refresh ended {refresh.status}{why}")
        return refresh

    def _state_of(self, record: FleetRecord, refresh: Refresh) -> str:
        paused = self.group_of(record).suspended & PAUSING
        if paused:
            return (
                f"instance refresh paused, as somebody suspended {', '.join(sorted(paused))}: "
                f"aws autoscaling resume-processes --auto-scaling-group-name {record.group}"
            )
        return f"instance refresh {refresh.status}, {refresh.percentage} %"


def versions_of(record: FleetRecord) -> dict[TemplateId, int]:
    """Returns the versions a record's workers have."""
    return {
        placement.template_id: placement.after.version
        for placement in record.placements
        if placement.after.version is not None
    }


def _named(placement: Placement) -> str:
    """Returns how a group names the version that a placement starts."""
    return str(placement.after.version) if placement.pointer is Pointer.NUMBER else placement.pointer.value


def _pointed_to(record: FleetRecord) -> dict[TemplateId, str]:
    return {template_id: str(number) for template_id, number in versions_of(record).items()}


def undone(record: FleetRecord) -> FleetRecord:
    """Returns the record that takes a fleet back to where it was before."""
    return replace(record, placements=tuple(_swapped(placement) for placement in record.placements))


def _swapped(placement: Placement) -> Placement:
    before = Start(ami_id=placement.after.ami_id, version=placement.after.version or placement.before.version)
    return replace(placement, before=before, after=placement.before, instance_type=None)
