"""Plans what is left of a change of a channel that was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.domain.promotion import FleetPlan, Promotion, describe_move
from amifactory.domain.release import ChangeKind, Step
from amifactory.errors import RefusedError, UsageError
from amifactory.operations.fleet_facts import recorded_facts
from amifactory.operations.move_fleet import undone
from amifactory.operations.publish import published_by
from amifactory.operations.rollback import rollback_to, settings_of

if TYPE_CHECKING:
    from amifactory.domain.release import Change, Release
    from amifactory.operations.workshop import Workshop


def unfinished(workshop: Workshop, channel: str, kind: ChangeKind) -> bool:
    """Returns whether a change was begun in a channel and not finished, which is then gone on with.

    An unfinished promotion may be finished, or taken back by a rollback.

    Raises:
        RefusedError: A rollback is unfinished, and a promotion was asked for.
        AwsError: The call was refused.
    """
    change = workshop.channels.state(channel).change
    if change is None:
        return False
    if change.kind is not kind and change.kind is not ChangeKind.PROMOTE:
        raise RefusedError(
            f"channel {channel}: a {change.kind} begun by {change.by} is not finished",
            hint=f"Go on with it: amifactory {change.kind} --channel {channel} --resume",
        )
    return True


def plan_resume(workshop: Workshop, channel: str, *, give_up: bool = False) -> Promotion:
    """Plans what is left of a channel's unfinished change, in the direction that it was going.

    Args:
        give_up: Take an unfinished promotion back instead.

    Raises:
        UsageError: There is none.
        AwsError: A call was refused.
    """
    change = workshop.channels.state(channel).change
    if change is None:
        raise UsageError(f'channel "{channel}" has no unfinished change', hint="Run: amifactory status")
    release = workshop.releases.get(change.release)
    if change.kind is ChangeKind.ROLLBACK:
        target = workshop.releases.get(change.to) if change.to is not None else None
        return rollback_to(workshop, release, target, resumed=True)
    return _rest_of(workshop, release, change, going_back=give_up or release.failure is not None)


def _rest_of(workshop: Workshop, release: Release, change: Change, *, going_back: bool) -> Promotion:
    facts = recorded_facts(workshop, release.fleets)
    plans: list[FleetPlan] = []
    for record in release.fleets:
        if record.step is (Step.RESTORED if going_back else Step.DONE):
            continue
        plans.append(
            describe_move(
                undone(record) if going_back else record,
                settings_of(workshop, record, release.channel),
                facts[record.fleet].group,
            )
        )
    return Promotion(
        kind=ChangeKind.PROMOTE,
        channel=release.channel,
        source=f"{'undoing' if going_back else 'the rest of'} release {change.release}",
        release=workshop.channels.state(release.channel).release,
        fleets=tuple(plans),
        parameters=release.parameters if going_back else published_by(release, workshop.factory),
    )
