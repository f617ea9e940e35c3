"""What every channel and fleet is at: release, AMI, version, workers, rollout, drift."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.promotion import distinct, drift
from amifactory.domain.release import FleetRecord, Rollout
from amifactory.operations.fleet_facts import fleet_settings, gather_facts, recorded_facts

if TYPE_CHECKING:
    from amifactory.domain.fleet import FleetFacts, InEffect
    from amifactory.domain.promotion import FleetSettings
    from amifactory.domain.release import ChannelState, Release
    from amifactory.operations.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class FleetStatus:
    """One launch template of one fleet.

    Attributes:
        release: The channel's current release, if the fleet is in it.
        current: Workers that started from what the template starts now; ``old``: other ones.
        drift: How it differs from the release, in words.
        rollout: What is going on: words of the newest refresh, or how workers get replaced.
    """

    fleet: FleetSettings
    release: int | None
    architecture: str | None
    ami_id: str | None
    template_version: int | None
    current: int
    old: int
    rollout: str
    drift: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Status:
    """All channels and fleets of a factory."""

    channels: tuple[ChannelState, ...]
    fleets: tuple[FleetStatus, ...]


def read_status(workshop: Workshop) -> Status:
    """Returns what all channels and fleets are at.

    Two calls for a hundred fleets that are where their release says, and some for each that is not.

    Raises:
        AwsError: A call was refused.
    """
    configuration = workshop.configuration
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="channels") as pool:
        channels = tuple(
            pool.map(workshop.channels.state, [channel.name for channel in configuration.channels])
        )
        shown = pool.map(lambda state: _shown(workshop, state), channels)
        releases = {state.name: release for state, release in zip(channels, shown, strict=True)}
    fleets = [fleet_settings(fleet) for fleet in configuration.fleets.values()]
    records = {fleet.name: _record(fleet, releases.get(fleet.channel)) for fleet in fleets}
    facts: dict[str, FleetFacts] = recorded_facts(workshop, list(records.values()))
    unknown = {
        fleet.name: fleet.group
        for fleet in fleets
        if any(effect.ami_id is None for effect in facts[fleet.name].in_effect)
    }
    if unknown:
        facts |= gather_facts(workshop, unknown, known={})
    states = {state.name: state for state in channels}
    return Status(
        channels=channels,
        fleets=tuple(
            row
            for fleet in fleets
            for row in _rows(fleet, facts[fleet.name], records[fleet.name], states[fleet.channel])
        ),
    )


def _shown(workshop: Workshop, state: ChannelState) -> Release | None:
    """Returns the release that a channel's fleets are measured by: one under way, else the current one."""
    number = state.change.release if state.change else state.release
    return workshop.releases.get(number) if number is not None else None


def _record(fleet: FleetSettings, release: Release | None) -> FleetRecord:
    found = release.fleet(fleet.name) if release else None
    if found is not None and found.group == fleet.group:
        return found
    return FleetRecord(
        fleet=fleet.name,
        image=fleet.image,
        group=fleet.group,
        rollout=fleet.rollout,
        canary=fleet.canary,
        placements=(),
    )


def _rows(
    fleet: FleetSettings, facts: FleetFacts, record: FleetRecord, state: ChannelState
) -> list[FleetStatus]:
    in_release = state.release if record.placements and state.change is None else None
    differences = drift(facts, record) if in_release is not None else ()
    if facts.group is None:
        differences = (f"group {fleet.group} is gone",)
    current, old = (0, 0)
    if facts.group is not None:
        current, old = facts.group.versions_in_use(
            {effect.use.template_id: effect.number for effect in facts.in_effect}
        )
    effects: tuple[InEffect | None, ...] = distinct(facts.in_effect) or (None,)
    return [
        FleetStatus(
            fleet=fleet,
            release=in_release,
            architecture=effect.architecture if effect else None,
            ami_id=effect.ami_id if effect else None,
            template_version=effect.number if effect else None,
            current=current,
            old=old,
            rollout=_rollout(fleet, facts, old, state),
            drift=differences,
        )
        for effect in effects
    ]


def _rollout(fleet: FleetSettings, facts: FleetFacts, old: int, state: ChannelState) -> str:
    if facts.refresh is not None and facts.refresh.active:
        return f"refresh {facts.refresh.percentage}%"
    if state.change is not None:
        return f"{state.change.kind} under way"
    if not old:
        return "done"
    return "draining as jobs end" if fleet.rollout is not Rollout.REFRESH else "old workers left"
