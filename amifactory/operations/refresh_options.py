"""A fleet's configuration in the words of an instance refresh."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from amifactory.aws.instance_refreshes import RefreshOptions

if TYPE_CHECKING:
    from amifactory.config.models import Configuration
    from amifactory.domain.release import FleetRecord

DEADLINE = timedelta(hours=2)
"""Of a fleet that is not in the configuration any more."""


def refresh_options(configuration: Configuration, record: FleetRecord) -> RefreshOptions:
    """Returns the preferences of a fleet's instance refresh; defaults if it is not configured any more."""
    fleet = configuration.fleets.get(record.fleet)
    if fleet is None:
        return RefreshOptions()
    given = fleet.refresh
    return RefreshOptions(
        min_healthy=given.min_healthy,
        max_healthy=given.max_healthy,
        warmup=_seconds(given.warmup),
        checkpoints=given.checkpoints,
        checkpoint_delay=_seconds(given.checkpoint_delay),
        bake_time=_seconds(given.bake_time) or 0,
        protected=given.protected.capitalize(),
        standby=given.standby.capitalize(),
        skip_matching=given.skip_matching,
        auto_rollback=given.auto_rollback,
        alarms=fleet.health.alarms,
    )


def options_back(configuration: Configuration, record: FleetRecord) -> RefreshOptions:
    """Returns the preferences of a refresh that takes a fleet back.

    It pauses nowhere, and no alarm ends it: those that called for it may still be in alarm. AWS does not undo
    it either, as that would end with what the fleet is to leave.
    """
    return replace(
        refresh_options(configuration, record),
        checkpoints=(),
        checkpoint_delay=None,
        bake_time=0,
        auto_rollback=False,
        alarms=(),
    )


def refresh_deadline(configuration: Configuration, fleet: str) -> timedelta:
    """Returns how long a fleet's rollout may take."""
    known = configuration.fleets.get(fleet)
    return known.deadline if known else DEADLINE


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else round(duration.total_seconds())
