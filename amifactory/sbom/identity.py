"""Which build an SBOM is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from amifactory.domain.model import AmiId, Fingerprint, Target

PREFIX = "amifactory:"
"""What the names of our properties start with."""


@dataclass(frozen=True, kw_only=True)
class BuildIdentity:
    """Which build an inventory is of.

    Attributes:
        parent: Id of the AMI it was built on.
        verified_at: When the instance was looked at.
    """

    target: Target
    ami_id: AmiId
    parent: AmiId
    fingerprint: Fingerprint
    region: str
    verified_at: datetime
