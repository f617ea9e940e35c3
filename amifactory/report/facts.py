"""What a report is made from: a build and all that is kept about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from amifactory.domain.cold_start import Budget
    from amifactory.domain.comparison import Comparison
    from amifactory.domain.inventory import Inventory
    from amifactory.domain.model import AmiId, Build, Recipe


@dataclass(frozen=True, kw_only=True)
class Ancestor:
    """An AMI that a build stands on.

    Attributes:
        name: The image it was made of; of a source AMI its own name, if it can still be seen.
        build: None for a source AMI, and for a build that is gone.
    """

    ami_id: AmiId
    name: str | None
    build: Build | None = None


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier build of the same target, with the report of its last verification."""

    build: Build
    report: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known of a build.

    Attributes:
        ancestors: What it stands on, the source AMI first, its parent last.
        report: ``report.json``; empty for a build that was never verified.
        made: ``build.json``; empty when it is not kept.
        earlier: Builds of the same target before it, oldest first.
        inventory: What a fresh instance has; None when it was not listed.
        comparison: With the build before; None for the reason that ``not_compared`` gives.
        budget: What ``image.hcl`` lets a cold start take.
        places: What can be looked at elsewhere, and where that is.
        now: When the facts were gathered.
    """

    factory: str
    build: Build
    ancestors: tuple[Ancestor, ...]
    report: Mapping[str, Any]
    made: Mapping[str, Any]
    recipe: Recipe | None
    earlier: tuple[Earlier, ...]
    inventory: Inventory | None
    comparison: Comparison | None
    not_compared: str | None
    budget: Budget
    places: tuple[tuple[str, str], ...]
    now: datetime
