"""How many instances an instance refresh replaces at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.refresh_state import Preferences

WHOLE = 100


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Between what the capacity stays, in the group's units (instances, or their weights).

    Attributes:
        floor: That much stays in service and ready.
        surge: That much is launched above the desired capacity before anything is terminated; 0 means
            that instances are terminated and their replacements launched at the same time.
    """

    floor: int
    surge: int


def bounds(preferences: Preferences, *, desired: int, heaviest: int = 1) -> Bounds:
    """Returns the bounds for a group of that desired capacity.

    - MinHealthyPercentage counts "rounded up to the nearest integer" (API reference, RefreshPreferences,
      2020); MaxHealthyPercentage is rounded down here, so that neither is broken.
    - 100 launches before it terminates, one at a time unless MaxHealthyPercentage allows more (user
      guide, "How an instance refresh works").
    - Where both bounds leave no room, an explicit MaxHealthyPercentage launches first and goes above
      the desired capacity; an omitted one terminates and launches simultaneously (API reference,
      RefreshPreferences).
    - "If a mixed instances group is configured with an instance weight that is larger than or equal to
      the group's desired capacity, [it] might replace all InService instances at once" (user guide,
      "How an instance refresh works", limitations).

    Args:
        heaviest: The largest weight of what is to be replaced.
    """
    most = WHOLE if preferences.max_healthy is None else preferences.max_healthy
    floor = -(-desired * preferences.min_healthy // WHOLE)
    surge = desired * most // WHOLE - desired
    if surge == 0 and floor > desired - heaviest:
        if preferences.min_healthy == WHOLE or preferences.max_healthy is not None:
            surge = heaviest
        else:
            floor = max(0, desired - heaviest)
    return Bounds(floor=floor, surge=max(surge, heaviest) if surge else 0)
