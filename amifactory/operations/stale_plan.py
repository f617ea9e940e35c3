"""Looks again, under the channel's lock, whether what a plan was made from is still so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.domain.fleet import Pointer
from amifactory.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amifactory.domain.fleet import Group, Template, TemplateId
    from amifactory.domain.promotion import Promotion
    from amifactory.domain.release import ChannelState, Placement
    from amifactory.operations.workshop import Workshop


def refuse_stale_plan(workshop: Workshop, promotion: Promotion, state: ChannelState) -> None:
    """Raises when the channel or a group is not any more as it was planned with; a few calls for all groups.

    Raises:
        RefusedError: Something changed meanwhile.
        AwsError: A call was refused.
    """
    if state.change is not None or state.release != promotion.release:
        raise RefusedError(
            f"channel {promotion.channel} was changed by somebody else meanwhile",
            hint="See what it is at: amifactory status",
        )
    records = [plan.record for plan in promotion.fleets]
    groups = workshop.scaling_groups.groups({record.group for record in records})
    templates = workshop.launch_templates.templates(
        {placement.template_id for record in records for placement in record.placements}
    )
    for record in records:
        for placement in record.placements:
            if not _is_before(placement, groups.get(record.group), templates):
                raise RefusedError(
                    f"fleet {record.fleet}: {placement.template_name} was changed meanwhile by somebody",
                    hint="Run it again, to see a plan of what is there now.",
                )


def _is_before(placement: Placement, group: Group | None, templates: Mapping[TemplateId, Template]) -> bool:
    """Returns whether a group still starts what a plan found it to start."""
    if placement.pointer is Pointer.DEFAULT:
        expected = Pointer.DEFAULT.value
        if templates[placement.template_id].default != placement.before.version:
            return False
    else:
        expected = str(placement.before.version)
    uses = [use for use in (group.uses if group else ()) if use.template_id == placement.template_id]
    return bool(uses) and all(use.version == expected for use in uses)
