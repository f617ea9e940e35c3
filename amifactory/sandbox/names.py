"""What one sandbox's Docker objects, bridge and firewall rules are called, so that each is found again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LABEL = "amifactory.sandbox"
"""The label every Docker object of a sandbox carries; its value is the sandbox's id."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names that follow from a sandbox's id; no two sandboxes on a machine share any."""

    sandbox_id: str

    @classmethod
    def of(cls, root: Path) -> Names:
        """Returns the names for the sandbox of the factory in ``root``."""
        return cls(sandbox_id=hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8])

    @property
    def seed(self) -> int:
        """A number that differs between most sandboxes."""
        return int(self.sandbox_id, 16)

    @property
    def prefix(self) -> str:
        """How every Docker object's name starts."""
        return f"amifactory-{self.sandbox_id}"

    @property
    def network(self) -> str:
        """The Docker network."""
        return self.prefix

    @property
    def bridge(self) -> str:
        """The network interface of that network; Linux allows fifteen characters."""
        return f"amif-{self.sandbox_id}"

    @property
    def rule_comment(self) -> str:
        """The comment on its firewall rules."""
        return self.prefix

    @property
    def source_image(self) -> str:
        """The Docker image of the source AMI's disk."""
        return f"{self.prefix}-source:latest"

    @property
    def registry(self) -> str:
        """The container registry's container, its volume and its Docker image."""
        return f"{self.prefix}-registry"

    def instance(self, instance_id: str) -> str:
        """The container of an instance, and its volume."""
        return f"{self.prefix}-{instance_id}"

    def ami(self, image_id: str) -> str:
        """The Docker image that holds a snapshot of an instance's root disk."""
        return f"{self.prefix}-ami:{image_id}"

    def snapshot(self, image_id: str) -> str:
        """The volume that holds a snapshot of an instance's ``/var/lib/docker``."""
        return f"{self.prefix}-{image_id}"
