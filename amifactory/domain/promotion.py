"""What a promotion or a rollback will do to each fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from amifactory.domain.fleet import InEffect, Pointer, is_of
from amifactory.domain.refusals import FleetSettings, Refusal, drift_refusals, fleet_refusals
from amifactory.domain.release import ChangeKind, FleetRecord, Placement, Rollout, Start

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from amifactory.domain.fleet import FleetFacts, Group
    from amifactory.domain.model import AmiId, Architecture


class Replacement(StrEnum):
    """How the running workers of a fleet get replaced."""

    NONE = "nothing"
    PASSIVE = "as jobs end"
    DESIRED = "refresh with rollback"
    PLAIN = "refresh"


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """What will be done to one fleet.

    Attributes:
        record: What the release will say of it.
        replacement: How its workers get replaced.
        current: Workers that are of the wanted version already; ``old``: those to replace.
        protected: How many of the old ones are protected from scale-in.
        seconds: How long that took last time; None when it is not known.
        moves: Whether anything is to be done at all.
    """

    record: FleetRecord
    replacement: Replacement
    refusals: tuple[Refusal, ...] = ()
    current: int = 0
    old: int = 0
    protected: int = 0
    seconds: float | None = None
    moves: bool = True


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What `apply` will do to a channel; printing it is the dry run.

    Attributes:
        source: Where the AMIs come from, in words.
        release: The current release, None before the first one.
        to: Release that a rollback goes back to; None for what there was before the first one.
        untouched: Fleets that a rollback leaves alone: the release it goes back to has not got them, or they
            are not configured any more and their group is gone.
        parameters: SSM parameters to publish: name to AMI id; None removes one.
        refusals: What concerns the whole channel.
    """

    kind: ChangeKind
    channel: str
    source: str
    release: int | None
    to: int | None = None
    fleets: tuple[FleetPlan, ...] = ()
    untouched: tuple[str, ...] = ()
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()

    @property
    def all_refusals(self) -> tuple[Refusal, ...]:
        """Returns every reason not to do it, the channel's first."""
        return (*self.refusals, *(refusal for plan in self.fleets for refusal in plan.refusals))

    @property
    def moves(self) -> bool:
        """Returns whether there is anything to do."""
        return any(plan.moves for plan in self.fleets)


def plan_fleet(
    settings: FleetSettings,
    facts: FleetFacts,
    wanted: Mapping[Architecture, AmiId],
    *,
    last: FleetRecord | None,
    accept_drift: bool = False,
) -> FleetPlan:
    """Plans what takes a fleet to the wanted AMIs.

    Args:
        settings: What the configuration says of it.
        facts: What AWS says of it.
        wanted: AMI of the fleet's image for each architecture.
        last: What the channel's current release says of it.
        accept_drift: Go on from what AWS has, although the current release says otherwise.
    """
    group = facts.group
    placements = [_placement(effect, wanted, settings.instance_type) for effect in distinct(facts.in_effect)]
    record = FleetRecord(
        fleet=settings.name,
        image=settings.image,
        group=settings.group,
        rollout=settings.rollout,
        canary=settings.canary,
        placements=tuple(placement for placement in placements if placement is not None),
        last_refresh=facts.refresh.refresh_id if facts.refresh else None,
        workers=len(group.workers) if group else 0,
    )
    refusals = fleet_refusals(settings, facts, wanted)
    if last is not None and not accept_drift:
        refusals += drift_refusals(settings, drift(facts, last))
    return describe_move(record, settings, group, refusals=refusals, last=last)


def describe_move(
    record: FleetRecord,
    settings: FleetSettings,
    group: Group | None,
    *,
    refusals: Iterable[Refusal] = (),
    last: FleetRecord | None = None,
) -> FleetPlan:
    """Returns the plan that takes a fleet where its record says."""
    versions = {
        placement.template_id: placement.after.version
        for placement in record.placements
        if placement.after.version is not None
    }
    # a parameter moves and the version stays, so that a worker's version does not tell
    moving = {
        placement.template_id
        for placement in record.placements
        if placement.parameter is not None and placement.before != placement.after
    }
    workers = group.workers if group else ()
    old = [worker for worker in workers if worker.template_id in moving or not is_of(worker, versions)]
    return FleetPlan(
        record=record,
        replacement=replacement(record, group),
        refusals=tuple(refusals),
        current=len(workers) - len(old),
        old=len(old),
        protected=sum(worker.protected for worker in old),
        seconds=_estimate(last, len(old)),
        moves=any(_moves(placement) for placement in record.placements)
        or bool(old and record.rollout is Rollout.REFRESH and not any(worker.protected for worker in old)),
    )


def replacement(record: FleetRecord, group: Group | None) -> Replacement:
    """Returns how a fleet's workers get replaced; the decision table of instance refreshes.

    A refresh with a desired configuration (and so AWS's own rollback) is not to be had for groups that choose
    instance types by attributes, nor with ``resolve:ssm``, and its rollback needs the saved configuration to
    be a numbered version with a literal AMI id (Auto Scaling user guide, "Limitations" of instance refreshes
    and "Undo changes with a rollback").
    """
    if group is None or group.empty:
        return Replacement.NONE
    if record.rollout is not Rollout.REFRESH:
        return Replacement.PASSIVE
    return Replacement.DESIRED if takes_desired(record, group) else Replacement.PLAIN


def takes_desired(record: FleetRecord, group: Group) -> bool:
    """Returns whether a refresh of this group may have a desired configuration that can be rolled back."""
    literal = all(placement.parameter is None for placement in record.placements)
    pinned = all(placement.pointer is Pointer.NUMBER for placement in record.placements)
    return literal and pinned and not group.by_attributes


def may_skip_matching(record: FleetRecord, group: Group) -> bool:
    """Returns whether a refresh of this group may skip workers that match already."""
    return not group.by_attributes and all(placement.parameter is None for placement in record.placements)


def distinct(in_effect: Iterable[InEffect]) -> tuple[InEffect, ...]:
    """Returns one entry for each launch template of a group."""
    return tuple({effect.use.template_id: effect for effect in reversed(list(in_effect))}.values())[::-1]


def drift(facts: FleetFacts, record: FleetRecord) -> tuple[str, ...]:
    """Returns in words how a fleet differs from what its channel's current release says."""
    if facts.group is None:
        return (f"group {record.group} is gone",)
    found = {effect.use.template_id: effect for effect in facts.in_effect}
    differences = []
    for placement in record.placements:
        effect = found.pop(placement.template_id, None)
        if effect is None:
            differences.append(f"{facts.group.name} does not use {placement.template_name} any more")
        else:
            differences += _differences(effect, placement)
    differences += [f"{facts.group.name} also uses {effect.use.template_name}" for effect in found.values()]
    return tuple(differences)


def _differences(effect: InEffect, placement: Placement) -> list[str]:
    name = placement.template_name
    if effect.use.pointer is not placement.pointer:
        return [f"{name} is used as {effect.use.pointer}, not {placement.pointer}"]
    if effect.number != placement.after.version:
        return [f"{name} is at version {effect.number}, not {placement.after.version}"]
    if effect.ami_id != placement.after.ami_id:
        return [f"{name} starts {effect.ami_id}, not {placement.after.ami_id}"]
    return []


def _moves(placement: Placement) -> bool:
    return placement.after.version is None or placement.before != placement.after


def _estimate(last: FleetRecord | None, old: int) -> float | None:
    if not old:
        return 0.0
    if last is None or last.seconds is None or not last.workers:
        return None
    return last.seconds / last.workers * old


def _placement(
    effect: InEffect, wanted: Mapping[Architecture, AmiId], instance_type: str | None
) -> Placement | None:
    """Returns what a template starts now and shall start; None when there is nothing it could."""
    if effect.architecture is None or effect.ami_id is None or effect.architecture not in wanted:
        return None
    target = wanted[effect.architecture]
    other_type = instance_type is not None and instance_type != effect.instance_type
    stays = effect.parameter is not None or (effect.ami_id == target and not other_type)
    return Placement(
        architecture=effect.architecture,
        template_id=effect.use.template_id,
        template_name=effect.use.template_name,
        pointer=effect.use.pointer,
        before=Start(ami_id=effect.ami_id, version=effect.number),
        after=Start(ami_id=target, version=effect.number if stays else None),
        parameter=str(effect.parameter) if effect.parameter else None,
        instance_type=instance_type if other_type else None,
    )
