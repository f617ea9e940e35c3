"""Makes a group that starts ``$Latest`` start a numbered version, which a promotion can move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.fleet import Pointer
from amifactory.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from amifactory.domain.fleet import Group, TemplateId
    from amifactory.operations.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class TemplateConversion:
    """One launch template of a group: what is in effect stays in effect, by a number of its own."""

    template_id: TemplateId
    template_name: str
    latest: int


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What `convert_fleet` will do; printing it is the dry run."""

    fleet: str
    group: Group
    templates: tuple[TemplateConversion, ...]


def plan_conversion(workshop: Workshop, fleet: str) -> Conversion:
    """Plans what makes a fleet's group name its launch-template versions by number.

    The version that is in effect stays in effect: the number that ``$Latest`` means now.

    Raises:
        UsageError: There is no such fleet or group.
        AwsError: A call was refused.
    """
    configured = workshop.configuration.fleets.get(fleet)
    if configured is None:
        known = ", ".join(workshop.configuration.fleets) or "none"
        raise UsageError(f'"{fleet}" is not a fleet of this factory', hint=f"Fleets: {known}")
    group = workshop.scaling_groups.groups([configured.group]).get(configured.group)
    if group is None:
        raise UsageError(f"there is no Auto Scaling group {configured.group}")
    latest = {use.template_id for use in group.uses if use.pointer is Pointer.LATEST}
    templates = workshop.launch_templates.templates(latest)
    return Conversion(
        fleet=fleet,
        group=group,
        templates=tuple(
            TemplateConversion(template_id=known.template_id, template_name=known.name, latest=known.latest)
            for known in templates.values()
        ),
    )


def convert_fleet(workshop: Workshop, conversion: Conversion) -> None:
    """Carries a conversion out; running workers stay as they are.

    Raises:
        RefusedError: The group was changed since it was planned.
        AwsError: A call was refused.
    """
    name = conversion.group.name
    group = workshop.scaling_groups.groups([name]).get(name)
    if group is None or group.uses != conversion.group.uses:
        raise RefusedError(f"{name} was changed by somebody else meanwhile", hint="Run it again.")
    if conversion.templates:
        workshop.scaling_groups.repoint(
            group, {template.template_id: str(template.latest) for template in conversion.templates}
        )
