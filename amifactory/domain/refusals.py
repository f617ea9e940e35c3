"""Every reason not to promote to a fleet or a channel, or not to roll it back, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from amifactory.domain.fleet import PAUSING, InEffect, Pointer, TemplateId
from amifactory.domain.release import FleetRecord, Rollout

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from amifactory.domain.fleet import FleetFacts
    from amifactory.domain.model import AmiId, Architecture


class Reason(StrEnum):
    """Kinds of reasons not to change a fleet or a channel."""

    NO_GROUP = "no-group"
    NO_TEMPLATE = "no-launch-template"
    LATEST = "latest"
    FIXED_PARAMETER = "fixed-parameter"
    TWO_VERSIONS = "two-versions"
    NO_BUILD = "no-build"
    ARCHITECTURE = "architecture"
    UNKNOWN_AMI = "unknown-ami"
    REFRESH = "active-refresh"
    SUSPENDED = "suspended-process"
    DRAIN = "drain"
    DRIFT = "drift"
    ALARM = "alarm"
    GONE = "gone"
    NOT_VERIFIED = "not-verified"
    OFFLINE = "offline"
    SOAK = "soak"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A reason not to go on, and what to do about it.

    Attributes:
        fleet: None when it concerns the whole channel.
    """

    reason: Reason
    message: str
    hint: str
    fleet: str | None = None

    def __str__(self) -> str:
        where = f"fleet {self.fleet}: " if self.fleet else ""
        return f"{where}{self.message}\n  {self.hint}"


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """What the configuration says of a fleet.

    Attributes:
        protected: ``wait``, ``ignore`` or ``refresh``: workers protected from scale-in.
        instance_type: For new launch-template versions; None: as it is.
    """

    name: str
    image: str
    group: str
    channel: str
    rollout: Rollout = Rollout.PASSIVE
    canary: bool = False
    protected: str = "ignore"
    instance_type: str | None = None

    def refusal(self, reason: Reason, message: str, hint: str) -> Refusal:
        """Returns a refusal that concerns this fleet."""
        return Refusal(reason=reason, message=message, hint=hint, fleet=self.name)


def soak_refusal(*, source: str, left_seconds: float) -> Refusal:
    """Returns the refusal of a release that has not been in use long enough."""
    hours, rest = divmod(round(left_seconds), 3600)
    left = f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
    return Refusal(
        reason=Reason.SOAK,
        message=f"{source} has not soaked: {left} are left",
        hint="Wait, or lower `soak` of the channel.",
    )


def drift_refusals(settings: FleetSettings, differences: Iterable[str]) -> list[Refusal]:
    """Returns the refusals of a fleet that differs from its release, in these words."""
    hint = "Put it back (amifactory rollback), or go on from there: --accept-drift"
    return [
        settings.refusal(Reason.DRIFT, f"changed since its release by somebody else: {difference}", hint)
        for difference in differences
    ]


def fleet_refusals(
    settings: FleetSettings, facts: FleetFacts, wanted: Mapping[Architecture, AmiId]
) -> list[Refusal]:
    """Returns every reason not to promote to a fleet.

    Args:
        wanted: AMI of the fleet's image for each architecture.
    """
    found = _standing_refusals(settings, facts)
    if settings.rollout is Rollout.DRAIN:
        hint = 'Use rollout = "passive": workers leave as their max_use_count runs out.'
        message = (
            'rollout = "drain" needs the runner manager to be configured by amifactory, which it is not yet'
        )
        found.append(settings.refusal(Reason.DRAIN, message, hint))
    for effect in facts.in_effect:
        found += [settings.refusal(*reason) for reason in _effect_reasons(settings, effect, wanted)]
    return list(dict.fromkeys(found)) + _version_conflicts(settings, facts.in_effect)


def refusals_back(
    settings: FleetSettings, facts: FleetFacts, record: FleetRecord, *, known: Collection[AmiId]
) -> list[Refusal]:
    """Returns every reason not to take a fleet back to where a record says.

    Args:
        known: Those of the AMIs it names that can still be started.
    """
    found = _standing_refusals(settings, facts)
    if facts.group is None:
        return found
    for effect in facts.in_effect:
        found += [settings.refusal(*reason) for reason in _latest_reasons(settings, effect)]
    for placement in record.placements:
        if placement.after.ami_id not in known:
            message = f"{placement.after.ami_id}, which {placement.template_name} started then, is gone"
            hint = "Choose another release: amifactory releases"
            found.append(settings.refusal(Reason.GONE, message, hint))
    used = {effect.use.template_id: effect.use.template_name for effect in facts.in_effect}
    recorded = {placement.template_id: placement.template_name for placement in record.placements}
    differences = [
        *(f"it does not use {name} any more" for known, name in recorded.items() if known not in used),
        *(f"it also uses {name}" for known, name in used.items() if known not in recorded),
    ]
    hint = "Give the group its launch templates back, or promote a release from there: --accept-drift"
    return list(dict.fromkeys(found)) + [
        settings.refusal(Reason.DRIFT, f"group {facts.group.name} is not as it was: {difference}", hint)
        for difference in differences
    ]


def _standing_refusals(settings: FleetSettings, facts: FleetFacts) -> list[Refusal]:
    """Returns the reasons not to touch a group in any way."""
    group, refusal = facts.group, settings.refusal
    if group is None:
        hint = "Check its name in factory.hcl: aws autoscaling describe-auto-scaling-groups"
        return [refusal(Reason.NO_GROUP, f"there is no Auto Scaling group {settings.group}", hint)]
    if not group.uses:
        hint = "Launch configurations are not supported: give the group a launch template."
        return [refusal(Reason.NO_TEMPLATE, f"group {group.name} has no launch template", hint)]
    found = []
    if facts.refresh and facts.refresh.active:
        hint = (
            f"Wait for it, or: aws autoscaling cancel-instance-refresh --auto-scaling-group-name {group.name}"
        )
        message = f"an instance refresh is under way ({facts.refresh.status}, {facts.refresh.percentage} %)"
        found.append(refusal(Reason.REFRESH, message, hint))
    if settings.rollout is Rollout.REFRESH and not group.empty and (paused := group.suspended & PAUSING):
        names = " ".join(sorted(paused))
        command = f"aws autoscaling resume-processes --auto-scaling-group-name {group.name}"
        hint = f"Run: {command} --scaling-processes {names}"
        found.append(refusal(Reason.SUSPENDED, f"suspended, so a refresh would not get on: {names}", hint))
    return found


def _latest_reasons(settings: FleetSettings, effect: InEffect) -> list[tuple[Reason, str, str]]:
    if effect.use.pointer is not Pointer.LATEST:
        return []
    template = effect.use.template_name
    message = f"{template} is used as $Latest, so that making a version would already be the promotion"
    return [(Reason.LATEST, message, f"Run: amifactory fleets convert {settings.name}")]


def _effect_reasons(
    settings: FleetSettings, effect: InEffect, wanted: Mapping[Architecture, AmiId]
) -> list[tuple[Reason, str, str]]:
    template = effect.use.template_name
    reasons = _latest_reasons(settings, effect)
    if effect.parameter is not None and effect.parameter.fixed:
        hint = f"Let the template say resolve:ssm:{effect.parameter.name}"
        bound = f"version {effect.parameter.selector} of SSM parameter {effect.parameter.name}"
        message = f"{template} is bound to {bound}"
        reasons.append((Reason.FIXED_PARAMETER, message, hint))
    if effect.unfit_types:
        types = ", ".join(effect.unfit_types)
        message = f"{template} starts {effect.architecture} AMIs, which {types} cannot run"
        hint = "Give that instance type's override a launch template of its own, with an AMI it can run."
        reasons.append((Reason.ARCHITECTURE, message, hint))
    if effect.architecture is None:
        message = f"{template} version {effect.number} starts {effect.ami_id or effect.image}, which is gone"
        hint = (
            "Give the template a version with an AMI that exists: it says what architecture is wanted here."
        )
        reasons.append((Reason.UNKNOWN_AMI, message, hint))
    elif effect.architecture not in wanted:
        builds = f"{settings.image} has no build to promote"
        message = f"{template} starts {effect.architecture} workers, for which {builds}"
        hint = f"Run: amifactory build {settings.image} (architectures in images/{settings.image}/image.hcl)"
        reasons.append((Reason.NO_BUILD, message, hint))
    return reasons


def _version_conflicts(settings: FleetSettings, in_effect: Sequence[InEffect]) -> list[Refusal]:
    seen: dict[TemplateId, InEffect] = {}
    found = []
    for effect in in_effect:
        other = seen.setdefault(effect.use.template_id, effect)
        if other.use.version != effect.use.version:
            versions = f"{other.use.version} and as {effect.use.version}"
            message = f"its group uses {effect.use.template_name} as {versions}"
            hint = "Let it name one version of a launch template, or two templates."
            found.append(settings.refusal(Reason.TWO_VERSIONS, message, hint))
    return found
