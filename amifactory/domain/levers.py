"""What on AWS makes instances of an AMI start faster, and what it costs.

A volume made from a snapshot is empty at first: each block comes from S3 before it can be read (EBS User
Guide, "Initialize Amazon EBS volumes"). That is what a cold start waits for.

Prices are those in AWS's public documents as of late 2025; where they name none for a region, it is
unknown here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from amifactory.domain.cold_start import READY, overruns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from amifactory.domain.cold_start import Budget, ColdStart, EarlierStart, Overrun

_FAST_RESTORE_PER_HOUR: Mapping[str, float] = {"us-east-1": 0.75}
"""US dollars for one snapshot in one Availability Zone ("How AWS Pricing Works", Amazon EBS; Amazon EBS
pricing, example 8)."""
_INITIALIZATION_EXAMPLE = "USD 0.0036 per GiB of snapshot data at 300 MiB/s"
"""Amazon EBS pricing, example 12, which does not say of which region; billed once for each volume."""
_GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Lever:
    """Something that would make an instance start faster.

    Attributes:
        helps: Which of the slow times, and how.
        price_per_hour: US dollars; None when it is unknown, or not charged by the hour: the note tells.
        note: What it costs when not by the hour, where it is set, and when it does not help.
    """

    name: str
    helps: str
    price_per_hour: float | None
    note: str

    @property
    def price(self) -> str:
        """Returns what it costs by the hour, in words."""
        if self.price_per_hour is None:
            return "unknown"
        return f"{self.price_per_hour:g} USD per hour" if self.price_per_hour else "nothing"

    def as_json(self) -> dict[str, object]:
        """Returns the fields, for the report."""
        return asdict(self)


def levers_for(
    measured: ColdStart,
    budget: Budget,
    *,
    region: str,
    previous: EarlierStart | None = None,
    sizes: Mapping[str, int] | None = None,
) -> tuple[Lever, ...]:
    """Returns what would help a build that starts too slowly on AWS; empty when it does not.

    Args:
        measured: Its cold start.
        budget: What it may take.
        region: Where it runs; prices differ.
        previous: The verified build before, to know what became slower.
        sizes: Bytes of the pre-pulled images, by reference, as far as they are known.
    """
    slow = overruns(measured, budget, previous)
    if not slow:
        return ()
    what = _what_is_slow(slow)
    return (
        Lever(
            name="VolumeInitializationRate",
            helps=f"copies the snapshot to the volume at 100 to 300 MiB/s while the instance boots: {what}",
            price_per_hour=None,
            note=(
                "Billed once for each instance started, by its snapshot's data and the rate, "
                f"in AWS's example {_INITIALIZATION_EXAMPLE}; what {region} charges is unknown. "
                "Set it in the launch template: an AMI cannot carry it."
            ),
        ),
        Lever(
            name="fast snapshot restore",
            helps=f"gives volumes that are complete from the start: {what}",
            price_per_hour=_FAST_RESTORE_PER_HOUR.get(region),
            note=(
                "For each snapshot and Availability Zone, all the time that it is on. "
                "Good for as many instances an hour as the snapshot's GiB go into 1024, at most 10. "
                "A VolumeInitializationRate overrides it."
            ),
        ),
        *_shorter_prepull_list(measured, slow, sizes or {}),
    )


def _what_is_slow(slow: Sequence[Overrun]) -> str:
    names = dict.fromkeys(overrun.what for overrun in slow)
    return ", ".join("the ready signal" if name == READY else f"first run of {name}" for name in names)


def _shorter_prepull_list(
    measured: ColdStart, slow: Sequence[Overrun], sizes: Mapping[str, int]
) -> Iterator[Lever]:
    """Yields a lever when images run too late: for the largest, or the slowest when no size is known."""
    late = {overrun.what for overrun in slow} - {READY}
    if not late:
        return
    worst = max(sorted(late), key=lambda name: (sizes.get(name, 0), measured.first_run[name]))
    size = f", {sizes[worst] / _GIB:.1f} GiB" if worst in sizes else ""
    yield Lever(
        name="a smaller pre-pull list",
        helps=f"{worst} costs most: {measured.first_run[worst]:.1f} s{size}",
        price_per_hour=0.0,
        note=(
            "Take a slimmer variant of it, or leave it out when few jobs use it; "
            "every GiB less is also copied from the snapshot sooner."
        ),
    )
