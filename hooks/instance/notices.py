"""What AWS tells an instance before it takes it away, read from the instance's metadata.

EC2 user guide, "Spot Instance interruption notices" and "EC2 instance rebalance recommendations";
Auto Scaling user guide, "Retrieve the target lifecycle state through instance metadata".
"""

from __future__ import annotations

import calendar
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from instance_metadata import ReadMetadata

SPOT, REBALANCE, TERMINATION = "spot", "rebalance", "termination"
PATHS = {
    SPOT: "meta-data/spot/instance-action",
    REBALANCE: "meta-data/events/recommendations/rebalance",
    TERMINATION: "meta-data/autoscaling/target-lifecycle-state",
}
FINAL = {SPOT, TERMINATION}
"""After these the instance goes; a rebalance recommendation alone may come to nothing."""
LEAVING = {"Terminated", "Warmed:Terminated"}


@dataclass(frozen=True)
class Notice:
    """One thing that AWS said.

    Attributes:
        text: For people.
        at: When the instance is taken away, in seconds since the epoch, where that was said.
    """

    text: str
    at: float | None = None


def read_notices(read: ReadMetadata, kinds: Iterable[str]) -> dict[str, Notice]:
    """Returns the notices of these kinds that the instance has now.

    Raises:
        MetadataError: The metadata service does not answer.
    """
    found = {}
    for kind in kinds:
        said = read(PATHS[kind])
        notice = READERS[kind](said.strip()) if said is not None else None
        if notice is not None:
            found[kind] = notice
    return found


def _spot(said: str) -> Notice | None:
    """A hibernation is no end: the instance is frozen at once, jobs and all, and thawed later."""
    try:
        document = json.loads(said)
        action, at = str(document["action"]), str(document["time"])
        seconds = float(calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ")))
    except (KeyError, TypeError, ValueError):
        return Notice(f"Spot interruption: {said}")
    return Notice(f"Spot interruption ({action}) at {at}", seconds) if action != "hibernate" else None


def _rebalance(said: str) -> Notice:
    try:
        return Notice(f"rebalance recommendation of {json.loads(said)['noticeTime']}")
    except (KeyError, TypeError, ValueError):
        return Notice(f"rebalance recommendation: {said}")


def _termination(said: str) -> Notice | None:
    return Notice("termination by the Auto Scaling group") if said in LEAVING else None


READERS: dict[str, Callable[[str], Notice | None]] = {
    SPOT: _spot,
    REBALANCE: _rebalance,
    TERMINATION: _termination,
}
