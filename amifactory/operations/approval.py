"""Asks a channel's approval hook before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.errors import RefusedError
from amifactory.operations.health import run_program

if TYPE_CHECKING:
    from amifactory.domain.promotion import Promotion
    from amifactory.operations.workshop import Workshop

SECONDS = 3600
"""How long an approval may take."""
HOOKS = "hooks/factory"


def approve(workshop: Workshop, promotion: Promotion) -> None:
    """Raises unless the channel's approval hook, if it has one, agrees.

    The hook gets the change as JSON on standard input: ``kind``, ``channel``, ``source``, and ``fleets`` with
    the AMIs they go from and to.

    Raises:
        RefusedError: It does not.
    """
    channel = next(
        (known for known in workshop.configuration.channels if known.name == promotion.channel), None
    )
    if channel is None or channel.approval is None:
        return
    root = workshop.configuration.root
    failure = run_program(
        [str(root / HOOKS / channel.approval)],
        folder=root,
        environment=workshop.environment,
        facts=_facts(promotion),
        seconds=SECONDS,
    )
    if failure:
        raise RefusedError(
            f"channel {channel.name} was not changed: its approval, {HOOKS}/{channel.approval}, {failure}",
            hint="Get it approved, then run this again.",
        )


def _facts(promotion: Promotion) -> dict[str, object]:
    return {
        "kind": promotion.kind.value,
        "channel": promotion.channel,
        "source": promotion.source,
        "fleets": [
            {
                "fleet": plan.record.fleet,
                "group": plan.record.group,
                "from": [placement.before.ami_id for placement in plan.record.placements],
                "to": [placement.after.ami_id for placement in plan.record.placements],
            }
            for plan in promotion.fleets
        ],
    }
