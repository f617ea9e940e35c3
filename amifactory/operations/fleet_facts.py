"""Finds out what AWS has of fleets: groups, templates, the versions in effect, the AMIs they start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.fleet import FleetFacts, Group, InEffect, Pointer, Template, TemplateUse
from amifactory.domain.model import AmiId
from amifactory.domain.refusals import FleetSettings
from amifactory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from amifactory.config.models import Fleet
    from amifactory.domain.fleet import TemplateId, TemplateVersion
    from amifactory.domain.model import Architecture
    from amifactory.domain.release import FleetRecord
    from amifactory.operations.workshop import Workshop

THREADS = 8
TOGETHER = 50
"""From how many templates on the versions of the whole account are asked for: it has at most 5,000 templates
(EC2 user guide, "Launch template restrictions"), two versions of which are 50 answers."""


def fleet_settings(fleet: Fleet) -> FleetSettings:
    """Returns what decides about a fleet's promotion."""
    return FleetSettings(
        name=fleet.name,
        image=fleet.image,
        group=fleet.group,
        channel=fleet.channel,
        rollout=fleet.rollout,
        canary=fleet.canary,
        protected=fleet.refresh.protected,
        instance_type=fleet.instance_type,
    )


def fleets_of(workshop: Workshop, channel: str) -> tuple[FleetSettings, ...]:
    """Returns the fleets of a channel.

    Raises:
        UsageError: There is no such channel, or it has no fleet.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    names = [known.name for known in workshop.configuration.channels]
    if channel not in names:
        close = get_close_matches(channel, names, n=1)
        known = f"Channels: {', '.join(names)}" if names else 'Add to factory.hcl: channel "staging" {}'
        hint = f'Did you mean "{close[0]}"?' if close else known
        raise UsageError(f'"{channel}" is not a channel of this factory', hint=hint)
    fleets = [
        fleet_settings(fleet) for fleet in workshop.configuration.fleets.values() if fleet.channel == channel
    ]
    if not fleets:
        raise UsageError(
            f'channel "{channel}" has no fleet', hint=f'Give a fleet in factory.hcl: channel = "{channel}"'
        )
    return tuple(fleets)


def gather_facts(
    workshop: Workshop,
    groups: Mapping[str, str],
    *,
    known: Mapping[AmiId, Architecture],
    refreshes: bool = True,
) -> dict[str, FleetFacts]:
    """Returns what AWS has of fleets.

    Makes two calls for each fleet (versions, newest refresh) and a few for all together; of many fleets, one
    for each whose version is neither the latest nor the default one.

    Args:
        workshop: The factory and its account.
        groups: Group of each fleet.
        known: Architectures of AMIs that need not be asked for.
        refreshes: Ask for the newest instance refresh of each.

    Raises:
        AwsError: A call was refused.
    """
    found = workshop.scaling_groups.groups(set(groups.values()))
    ids = {use.template_id for group in found.values() for use in group.uses}
    templates = workshop.launch_templates.templates(ids)
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="facts") as pool:
        asked = list(found) if refreshes else []
        newest = dict(zip(asked, pool.map(workshop.instance_refreshes.newest, asked), strict=True))
        versions = _versions_in_effect(workshop, found.values(), templates, pool)
    values = workshop.image_parameters.values(
        {str(version.parameter) for version in versions.values() if version.parameter}
    )
    amis = {_ami(version, values) for version in versions.values()}
    architectures = {
        **workshop.machine_images.architectures(ami for ami in amis if ami and ami not in known),
        **known,
    }
    types = {kind for group in found.values() for use in group.uses for kind in use.instance_types}
    known_of = _Lookups(
        templates=templates,
        versions=versions,
        values=values,
        architectures=architectures,
        types=workshop.instance_types.architectures(types),
    )
    return {
        fleet: FleetFacts(
            name=fleet,
            group=found.get(name),
            in_effect=known_of.in_effect(found.get(name)),
            refresh=newest.get(name),
        )
        for fleet, name in groups.items()
    }


def recorded_facts(workshop: Workshop, records: Collection[FleetRecord]) -> dict[str, FleetFacts]:
    """Returns what fleets start now, as far as it can be told without asking for each of them.

    A version that a record names has the AMI that the record names, as versions never change. Of any other
    version the AMI stays unknown, and so does the newest refresh. Two calls for a hundred fleets.

    Raises:
        AwsError: A call was refused.
    """
    groups = workshop.scaling_groups.groups({record.group for record in records})
    ids = {use.template_id for group in groups.values() for use in group.uses}
    templates = workshop.launch_templates.templates(ids)
    names = {
        placement.parameter
        for record in records
        for placement in record.placements
        if placement.parameter is not None
    }
    values = workshop.image_parameters.values(names)
    return {
        record.fleet: FleetFacts(
            name=record.fleet,
            group=groups.get(record.group),
            in_effect=tuple(
                _recorded(use, number_in_effect(use, templates), record, values)
                for use in (groups[record.group].uses if record.group in groups else ())
            ),
        )
        for record in records
    }


def _recorded(use: TemplateUse, number: int, record: FleetRecord, values: Mapping[str, AmiId]) -> InEffect:
    placement = next((known for known in record.placements if known.template_id == use.template_id), None)
    ami_id = None
    if placement is not None and placement.parameter is not None:
        ami_id = values.get(placement.parameter)
    elif placement is not None:
        known = {start.version: start.ami_id for start in (placement.before, placement.after)}
        ami_id = known.get(number)
    return InEffect(
        use=use,
        number=number,
        image=ami_id or "",
        ami_id=ami_id,
        architecture=placement.architecture if placement and ami_id else None,
    )


def number_in_effect(use: TemplateUse, templates: Mapping[TemplateId, Template]) -> int:
    """Returns the number of the version that a launch would use now."""
    template = templates[use.template_id]
    match use.pointer:
        case Pointer.DEFAULT:
            return template.default
        case Pointer.LATEST:
            return template.latest
        case _:
            return int(use.version)


def _versions_in_effect(
    workshop: Workshop,
    groups: Iterable[Group],
    templates: Mapping[TemplateId, Template],
    pool: ThreadPoolExecutor,
) -> dict[tuple[TemplateId, int], TemplateVersion]:
    wanted: dict[TemplateId, set[int]] = {}
    for group in groups:
        for use in group.uses:
            wanted.setdefault(use.template_id, set()).add(number_in_effect(use, templates))
    found: list[TemplateVersion] = []
    if len(wanted) >= TOGETHER:
        found += workshop.launch_templates.newest_and_default()
        for version in found:
            wanted.get(version.template_id, set()).discard(version.number)
    missing = [item for item in wanted.items() if item[1]]
    for versions in pool.map(lambda item: workshop.launch_templates.versions(*item), missing):
        found += versions
    return {(version.template_id, version.number): version for version in found}


def _ami(version: TemplateVersion, values: Mapping[str, AmiId]) -> AmiId | None:
    if version.parameter is not None:
        return values.get(str(version.parameter))
    return AmiId(version.image) if version.image else None


@dataclass(frozen=True, kw_only=True)
class _Lookups:
    """What was found out about everything that groups name, by what they name."""

    templates: Mapping[TemplateId, Template]
    versions: Mapping[tuple[TemplateId, int], TemplateVersion]
    values: Mapping[str, AmiId]
    architectures: Mapping[AmiId, Architecture]
    types: Mapping[str, frozenset[Architecture]]

    def in_effect(self, group: Group | None) -> tuple[InEffect, ...]:
        """Returns what each place in a group starts."""
        return tuple(self._effect(use) for use in (group.uses if group else ()))

    def _effect(self, use: TemplateUse) -> InEffect:
        number = number_in_effect(use, self.templates)
        version = self.versions[use.template_id, number]
        ami_id = _ami(version, self.values)
        architecture = self.architectures.get(ami_id) if ami_id else None
        return InEffect(
            use=use,
            number=number,
            image=version.image,
            ami_id=ami_id,
            architecture=architecture,
            parameter=version.parameter,
            instance_type=version.instance_type,
            unfit_types=tuple(
                kind
                for kind in use.instance_types
                if architecture is not None and architecture not in self.types.get(kind, {architecture})
            ),
        )
