"""What is kept of each build beside its tags: the names of the files, and the recipes it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from amifactory.domain.model import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.domain.model import Recipe

BUILD = "build.json"
"""What Packer did, and when."""
REPORT = "report.json"
"""What the gates said."""
SBOM = "sbom.cdx.json"
JUNIT = "junit.xml"
AMI_PREFIX = "ami-"


class Records(Protocol):
    """Where these files are; the state bucket is one such place."""

    def report(self, ami_id: str, name: str) -> bytes | None:
        """Returns one file of what is known of a build."""

    def recipe(self, fingerprint: Fingerprint) -> Recipe | None:
        """Returns what decided a build's content."""


def recipes_below(recipe: Recipe, find: Callable[[Fingerprint], Recipe | None]) -> Iterator[Recipe]:
    """Yields a recipe, its parent's, and so on to the source AMI, or as far as they are found."""
    current: Recipe | None = recipe
    while current is not None:
        yield current
        if current.parent.startswith(AMI_PREFIX):
            return
        current = find(Fingerprint(current.parent))
