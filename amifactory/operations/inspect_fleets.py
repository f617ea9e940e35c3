"""Looks at every fleet's group as AWS has it, and says what would stop a promotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.promotion import plan_fleet
from amifactory.operations.fleet_facts import fleet_settings, gather_facts
from amifactory.operations.promote import newest_candidates

if TYPE_CHECKING:
    from amifactory.domain.fleet import FleetFacts
    from amifactory.domain.refusals import FleetSettings, Refusal
    from amifactory.operations.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class InspectedFleet:
    """A fleet, its group, and the reasons that would stop a promotion of the newest builds."""

    settings: FleetSettings
    facts: FleetFacts
    refusals: tuple[Refusal, ...]


def inspect_fleets(workshop: Workshop) -> tuple[InspectedFleet, ...]:
    """Returns every fleet of the factory as AWS has it.

    Raises:
        AwsError: A call was refused.
    """
    fleets = [fleet_settings(fleet) for fleet in workshop.configuration.fleets.values()]
    builds = workshop.machine_images.builds(workshop.factory)
    candidates = newest_candidates(builds, {fleet.image for fleet in fleets}, offline=workshop.sandboxed)
    facts = gather_facts(
        workshop,
        {fleet.name: fleet.group for fleet in fleets},
        known={build.ami_id: build.target.architecture for build in builds},
    )
    return tuple(
        InspectedFleet(
            settings=fleet,
            facts=facts[fleet.name],
            refusals=plan_fleet(
                fleet, facts[fleet.name], candidates.of_image(fleet.image), last=None
            ).refusals,
        )
        for fleet in fleets
    )
