"""What every channel and fleet is at: release, AMI, version, workers, rollout, drift."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amifactory.domain.promotion import distinct, drift
from amifactory.domain.release import FleetRecord, Rollout
from amifactory.operations.fleet_facts import fleet_settings, gather_facts, recorded_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amifactory.domain.fleet import FleetFacts, InEffect
    from amifactory.domain.refusals import FleetSettings
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

    Two calls for a hundred fleets that are where their release says. Of others, one more for each whose
    version is neither the latest nor the default one, and one for each whose workers are being replaced.

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
    facts = recorded_facts(workshop, [record for record in records.values() if record.placements])
    states = {state.name: state for state in channels}
    unknown = {
        fleet.name: states[fleet.channel]
        for fleet in fleets
        if fleet.name not in facts or any(effect.ami_id is None for effect in facts[fleet.name].in_effect)
    }
    if unknown:
        groups = {fleet.name: fleet.group for fleet in fleets if fleet.name in unknown}
        facts |= _with_refreshes(
            workshop, gather_facts(workshop, groups, known={}, refreshes=False), states=unknown
        )
    return Status(
        channels=channels,
        fleets=tuple(
            row
            for fleet in fleets
            for row in _rows(fleet, facts[fleet.name], records[fleet.name], states[fleet.channel])
        ),
    )


def _with_refreshes(
    workshop: Workshop, facts: Mapping[str, FleetFacts], *, states: Mapping[str, ChannelState]
) -> dict[str, FleetFacts]:
    """Returns the facts with the newest refresh where one may be under way; a call for each such fleet.

    Args:
        workshop: The factory and its account.
        facts: By fleet.
        states: The channel of each fleet.
    """
    asked = {
        name: fact.group.name
        for name, fact in facts.items()
        if fact.group is not None and (states[name].change is not None or _workers(fact)[1])
    }
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="refreshes") as pool:
        newest = pool.map(workshop.instance_refreshes.newest, asked.values())
        found = dict(zip(asked, newest, strict=True))
    return {name: replace(fact, refresh=found.get(name)) for name, fact in facts.items()}


def _workers(facts: FleetFacts) -> tuple[int, int]:
    """Returns how many workers are of the versions in effect, and how many are not."""
    if facts.group is None:
        return (0, 0)
    return facts.group.versions_in_use({effect.use.template_id: effect.number for effect in facts.in_effect})


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
    current, old = _workers(facts)
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
