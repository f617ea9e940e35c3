"""Plans promotions: which AMIs, into which fleets, and every reason not to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.model import Verdict
from amifactory.domain.promotion import Promotion, plan_fleet
from amifactory.domain.refusals import Reason, Refusal, soak_refusal
from amifactory.domain.release import ChangeKind
from amifactory.domain.staleness import newest_first
from amifactory.errors import RefusedError, UsageError
from amifactory.operations.fleet_facts import fleets_of, gather_facts
from amifactory.operations.publish import parameter_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime, timedelta

    from amifactory.config.models import Channel
    from amifactory.domain.model import AmiId, Architecture, Build
    from amifactory.domain.refusals import FleetSettings
    from amifactory.domain.release import ChannelState, Release
    from amifactory.operations.workshop import Workshop

Amis = dict[tuple[str, "Architecture"], "AmiId"]
"""AMI by image and architecture."""


@dataclass(frozen=True, kw_only=True)
class PromotionRequest:
    """What was asked for.

    Attributes:
        source: Channel whose current release is taken; None: not another channel's.
        release: Number of the release that is taken.
        accept_drift: Go on from what AWS has, although the current release says otherwise.
    """

    channel: str
    source: str | None = None
    release: int | None = None
    accept_drift: bool = False


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The AMIs that are to be promoted, where they come from, and what speaks against them."""

    amis: Amis
    source: str
    refusals: tuple[Refusal, ...] = ()

    def of_image(self, image: str) -> dict[Architecture, AmiId]:
        """Returns the AMIs of one image by architecture."""
        return {architecture: ami_id for (name, architecture), ami_id in self.amis.items() if name == image}


def plan_promotion(workshop: Workshop, request: PromotionRequest) -> Promotion:
    """Plans what makes a new release the current one of a channel.

    Raises:
        UsageError: There is no such channel or release, or the channel does not take the newest builds.
        RefusedError: A change of the channel is under way.
        AwsError: A call was refused.
    """
    fleets = fleets_of(workshop, request.channel)
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="facts") as pool:
        building = pool.submit(workshop.machine_images.builds, workshop.factory)
        state = workshop.channels.state(request.channel)
        refuse_unfinished(state)
        current = workshop.releases.get(state.release) if state.release is not None else None
        builds = building.result()
    candidates = _candidates(workshop, request, fleets, builds)
    facts = gather_facts(
        workshop,
        {fleet.name: fleet.group for fleet in fleets},
        known={build.ami_id: build.target.architecture for build in builds},
    )
    plans = tuple(
        plan_fleet(
            fleet,
            facts[fleet.name],
            candidates.of_image(fleet.image),
            last=current.fleet(fleet.name) if current else None,
            accept_drift=request.accept_drift,
        )
        for fleet in fleets
    )
    parameters = {
        parameter_name(workshop.factory, request.channel, fleet.image, placement.architecture): (
            placement.after.ami_id
        )
        for plan, fleet in zip(plans, fleets, strict=True)
        for placement in plan.record.placements
    }
    return Promotion(
        kind=ChangeKind.PROMOTE,
        channel=request.channel,
        source=candidates.source,
        release=state.release,
        fleets=plans,
        parameters=parameters,
        refusals=(*candidates.refusals, *_alarm_refusals(workshop, fleets)),
    )


def _alarm_refusals(workshop: Workshop, fleets: Iterable[FleetSettings]) -> list[Refusal]:
    """Returns what the alarms of fleets' health gates say before anything is changed; one call for all."""
    alarms = {fleet.name: workshop.configuration.fleets[fleet.name].health.alarms for fleet in fleets}
    states = workshop.alarms.states({name for names in alarms.values() for name in names})
    refusals = []
    for fleet, names in alarms.items():
        for name in names:
            if name not in states:
                message, hint = f"there is no CloudWatch alarm {name}", "Check its name in factory.hcl."
            elif states[name] == "ALARM":
                message, hint = f"CloudWatch alarm {name} is in alarm", "Wait until it is over."
            else:
                continue
            refusals.append(Refusal(reason=Reason.ALARM, message=message, hint=hint, fleet=fleet))
    return refusals


def refuse_unfinished(state: ChannelState) -> None:
    """Raises when a change of a channel was begun and not finished.

    Raises:
        RefusedError: It says how to go on.
    """
    if state.change is None:
        return
    command = f"amifactory {state.change.kind} --channel {state.name} --resume"
    raise RefusedError(
        f"channel {state.name}: a {state.change.kind} begun by {state.change.by} at "
        f"{state.change.started_at:%Y-%m-%d %H:%M} UTC is not finished",
        hint=f"Go on with it: {command}",
    )


def _candidates(
    workshop: Workshop,
    request: PromotionRequest,
    fleets: Collection[FleetSettings],
    builds: Collection[Build],
) -> Candidates:
    channel = next(known for known in workshop.configuration.channels if known.name == request.channel)
    images = {fleet.image for fleet in fleets}
    if request.source is None and request.release is None:
        _refuse_newest(workshop, channel)
        return newest_candidates(builds, images, offline=workshop.sandboxed)
    if request.release is not None:
        release = workshop.releases.get(request.release)
        since, source = release.closed_at, f"release {release.number}"
    else:
        release, since = _current_of(workshop, str(request.source))
        source = f"{request.source} release {release.number}"
    amis = {key: ami for key, ami in release.amis().items() if key[0] in images}
    refusals = [*_unfit(amis, builds, offline=workshop.sandboxed)]
    if release.channel != request.channel:
        refusals += _unsoaked(channel.soak, since, workshop.now(), source)
    return Candidates(amis=amis, source=source, refusals=tuple(refusals))


def _refuse_newest(workshop: Workshop, channel: Channel) -> None:
    """Raises unless a channel takes the newest builds: only the first one does."""
    before = [known for known in workshop.configuration.channels if known.order < channel.order]
    if before:
        raise UsageError(
            f'channel "{channel.name}" takes what an earlier channel runs, not the newest builds',
            hint=f"Run: amifactory promote --channel {channel.name} --from {before[-1].name}",
        )


def _current_of(workshop: Workshop, name: str) -> tuple[Release, datetime | None]:
    if name not in {known.name for known in workshop.configuration.channels}:
        raise UsageError(f'"{name}" is not a channel of this factory')
    state = workshop.channels.state(name)
    if state.release is None:
        raise UsageError(
            f'channel "{name}" has no release yet', hint=f"Run: amifactory promote --channel {name}"
        )
    return workshop.releases.get(state.release), state.since


def newest_candidates(builds: Iterable[Build], images: Collection[str], *, offline: bool) -> Candidates:
    """Returns the newest verified builds of images; a refusal where there are only others."""
    amis: Amis = {}
    refusals = []
    usable = [build for build in builds if build.target.image in images and build.available and build.tagged]
    for target, history in newest_first(usable).items():
        verified = [build for build in history if build.verdict is Verdict.VERIFIED]
        fit = next((build for build in verified if offline or not build.offline), None)
        if fit is not None:
            amis[target.image, target.architecture] = fit.ami_id
        elif verified:
            refusals.append(_offline(verified[0]))
        else:
            refusals.append(_not_verified(history[0]))
    return Candidates(amis=amis, source="newest", refusals=tuple(refusals))


def _unfit(
    amis: Mapping[tuple[str, Architecture], AmiId], builds: Iterable[Build], *, offline: bool
) -> list[Refusal]:
    known = {build.ami_id: build for build in builds}
    refusals = []
    for (image, architecture), ami_id in amis.items():
        build = known.get(ami_id)
        if build is None or not build.available:
            refusals.append(
                Refusal(
                    reason=Reason.GONE,
                    message=f"{ami_id} ({image}/{architecture}) is not among this factory's AMIs any more",
                    hint="Choose another release: amifactory releases",
                )
            )
        elif build.verdict is not Verdict.VERIFIED:
            refusals.append(_not_verified(build))
        elif build.offline and not offline:
            refusals.append(_offline(build))
    return refusals


def _not_verified(build: Build) -> Refusal:
    return Refusal(
        reason=Reason.NOT_VERIFIED,
        message=f"{build.target}: {build.ami_id} is {build.verdict}, not verified",
        hint=f"Run: amifactory build {build.target.image} (or look: amifactory report {build.ami_id})",
    )


def _offline(build: Build) -> Refusal:
    return Refusal(
        reason=Reason.OFFLINE,
        message=f"{build.target}: {build.ami_id} was built offline, of distribution packages only",
        hint=f"Build it without `offline`: amifactory build {build.target.image}",
    )


def _unsoaked(soak: timedelta, since: datetime | None, now: datetime, source: str) -> list[Refusal]:
    left = soak.total_seconds() - ((now - since).total_seconds() if since else 0)
    return [soak_refusal(source=source, left_seconds=left)] if left > 0 else []
