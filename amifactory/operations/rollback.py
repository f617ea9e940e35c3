"""Plans rollbacks: what takes a channel's fleets back to an earlier release."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from amifactory.aws.session import error_code
from amifactory.domain.fleet import Pointer
from amifactory.domain.promotion import Promotion, describe_move, distinct
from amifactory.domain.refusals import FleetSettings, refusals_back
from amifactory.domain.release import (
    ChangeKind,
    FleetRecord,
    Placement,
    ReleaseState,
    Start,
    Step,
)
from amifactory.errors import AwsError, UsageError
from amifactory.operations.fleet_facts import fleet_settings, gather_facts
from amifactory.operations.promote import refuse_unfinished
from amifactory.operations.publish import published_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amifactory.domain.fleet import FleetFacts, InEffect
    from amifactory.domain.release import Release
    from amifactory.operations.workshop import Workshop


def plan_rollback(workshop: Workshop, channel: str, *, to: int | None = None) -> Promotion:
    """Plans what makes an earlier release of a channel its current one again.

    Without a number that is the release before; before the first release, it is what the fleets started then.

    Raises:
        UsageError: There is no such release, or nothing to go back from.
        RefusedError: A change of the channel is under way.
        AwsError: A call was refused.
    """
    state = workshop.channels.state(channel)
    refuse_unfinished(state)
    if state.release is None:
        raise UsageError(f'channel "{channel}" has no release to roll back', hint="Run: amifactory releases")
    current = workshop.releases.get(state.release)
    target = _target(workshop, current, to)
    return rollback_to(workshop, current, target)


def rollback_to(
    workshop: Workshop, current: Release, target: Release | None, *, resumed: bool = False
) -> Promotion:
    """Plans what takes a channel from its current release to another, or to what was before the current one.

    Args:
        resumed: An earlier run may have begun it, so that an instance refresh under way can be its own.

    Raises:
        AwsError: A call was refused.
    """
    goal = target or _before(current)
    facts = gather_facts(workshop, {fleet.fleet: fleet.group for fleet in goal.fleets}, known={})
    gone = {
        fleet.fleet
        for fleet in goal.fleets
        if facts[fleet.fleet].group is None and fleet.fleet not in workshop.configuration.fleets
    }
    amis = {placement.after.ami_id for fleet in goal.fleets for placement in fleet.placements}
    known = amis if resumed else set(workshop.machine_images.architectures(amis))
    plans = []
    for fleet in goal.fleets:
        if fleet.fleet in gone:
            continue
        settings = settings_of(workshop, fleet, current.channel)
        record = _back(workshop, fleet, settings, facts[fleet.fleet])
        if resumed and (refresh := facts[fleet.fleet].refresh) and refresh.active:
            record = replace(record, last_refresh=None)
        refusals = [] if resumed else refusals_back(settings, facts[fleet.fleet], fleet, known=known)
        last = current.fleet(fleet.fleet)
        plans.append(describe_move(record, settings, facts[fleet.fleet].group, refusals=refusals, last=last))
    return Promotion(
        kind=ChangeKind.ROLLBACK,
        channel=current.channel,
        source=f"release {target.number}" if target else f"before release {current.number}",
        release=current.number,
        to=target.number if target else None,
        fleets=tuple(plans),
        untouched=(
            *(fleet.fleet for fleet in current.fleets if goal.fleet(fleet.fleet) is None),
            *sorted(gone),
        ),
        parameters=_parameters(workshop, current, target),
    )


def _target(workshop: Workshop, current: Release, to: int | None) -> Release | None:
    if to is None:
        return workshop.releases.get(current.previous) if current.previous is not None else None
    target = workshop.releases.get(to)
    if target.channel != current.channel:
        raise UsageError(
            f"release {to} is of channel {target.channel}, not {current.channel}",
            hint=f"Run: amifactory releases --channel {current.channel}",
        )
    if to == current.number:
        raise UsageError(f"release {to} is what channel {current.channel} runs now")
    if target.state in {ReleaseState.FAILED, ReleaseState.IN_PROGRESS}:
        raise UsageError(f"release {to} is {target.state}: it was never the current one")
    return target


def _before(current: Release) -> Release:
    """Returns what the fleets started before a release, as if that had been a release."""
    fleets = tuple(
        replace(
            fleet,
            placements=tuple(replace(placement, after=placement.before) for placement in fleet.placements),
        )
        for fleet in current.fleets
    )
    return replace(current, fleets=fleets)


def settings_of(workshop: Workshop, fleet: FleetRecord, channel: str) -> FleetSettings:
    """Returns what the configuration says of a fleet, or its record when the fleet is not in it any more."""
    configured = workshop.configuration.fleets.get(fleet.fleet)
    if configured is not None and configured.group == fleet.group:
        return fleet_settings(configured)
    return FleetSettings(
        name=fleet.fleet, image=fleet.image, group=fleet.group, channel=channel, rollout=fleet.rollout
    )


def _back(workshop: Workshop, fleet: FleetRecord, settings: FleetSettings, facts: FleetFacts) -> FleetRecord:
    """Returns what takes a fleet from where it is to where a record says."""
    in_effect = {effect.use.template_id: effect for effect in distinct(facts.in_effect)}
    placements = []
    for placement in fleet.placements:
        effect = in_effect.get(placement.template_id)
        if effect is None:
            continue  # the group has been given another template: there is nothing to go back to
        placements.append(
            replace(
                placement,
                pointer=_pointer(placement, effect),
                before=Start(ami_id=effect.ami_id or placement.after.ami_id, version=effect.number),
                after=_after(workshop, placement, effect),
                instance_type=None,
            )
        )
    return replace(
        fleet,
        rollout=settings.rollout,
        placements=tuple(placements),
        last_refresh=facts.refresh.refresh_id if facts.refresh else None,
        step=Step.PENDING,
        workers=len(facts.group.workers) if facts.group else 0,
        seconds=None,
        boot_seconds=None,
    )


def _pointer(placement: Placement, effect: InEffect) -> Pointer:
    """Returns how a group shall name its version: as it does now, unless that follows whatever is made."""
    return placement.pointer if effect.use.pointer is Pointer.LATEST else effect.use.pointer


def _after(workshop: Workshop, placement: Placement, effect: InEffect) -> Start:
    """Returns what a template shall start again; its version anew if somebody has deleted it.

    It is not made a second time where that was done already by a run that was cut off.
    """
    wanted = placement.after
    if wanted.version in {None, effect.number}:
        return wanted
    try:
        workshop.launch_templates.versions(placement.template_id, [int(str(wanted.version))])
    except AwsError as error:
        if error_code(error) != "InvalidLaunchTemplateId.VersionNotFound":
            raise
        return replace(wanted, version=effect.number if effect.ami_id == wanted.ami_id else None)
    return wanted


def _parameters(workshop: Workshop, current: Release, target: Release | None) -> Mapping[str, str | None]:
    if target is None:
        return current.parameters
    wanted = dict.fromkeys(published_by(current, workshop.factory), None)
    return {**wanted, **published_by(target, workshop.factory)}
