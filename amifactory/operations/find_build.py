"""Which build somebody means: by its AMI's id, or the newest of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.domain.staleness import newest_first
from amifactory.errors import UsageError
from amifactory.operations.plan import with_ancestors
from amifactory.operations.records import AMI_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amifactory.config.models import Configuration
    from amifactory.domain.model import Architecture, Build


def find_build(
    configuration: Configuration,
    builds: Iterable[Build],
    wanted: str,
    *,
    architecture: Architecture | None = None,
) -> Build:
    """Returns the build with that AMI id, or the newest of the image with that name, whatever its verdict.

    Args:
        configuration: The factory.
        builds: Every build of it.
        wanted: AMI id or image.
        architecture: Which one, for an image that is built for several.

    Raises:
        UsageError: There is none, or it could be of several architectures.
    """
    usable = _usable(builds)
    if wanted.startswith(AMI_PREFIX):
        for build in usable:
            if build.ami_id == wanted:
                return build
        raise UsageError(f"{wanted} is not a build of this factory", hint="Run: amifactory images")
    with_ancestors(configuration, [wanted])  # refuses a name that is no image
    histories = {
        target: history
        for target, history in newest_first(usable).items()
        if target.image == wanted and architecture in {None, target.architecture}
    }
    if not histories:
        only = f"{architecture} " if architecture else ""
        raise UsageError(f"no {only}build of {wanted} yet", hint=f"Run: amifactory build {wanted}")
    if len(histories) > 1:
        several = sorted(target.architecture for target in histories)
        raise UsageError(
            f"{wanted} has builds for {' and '.join(several)}", hint=f"Add: --architecture {several[0]}"
        )
    ((newest, *_),) = histories.values()
    return newest


def builds_before(builds: Iterable[Build], build: Build) -> tuple[Build, ...]:
    """Returns the builds of the same target that were made earlier, newest first."""
    history = newest_first(_usable(builds))[build.target]
    return history[history.index(build) + 1 :]


def is_newest(builds: Iterable[Build], build: Build) -> bool:
    """Returns whether it is the one that `amifactory verify` proves."""
    return newest_first(_usable(builds))[build.target][0] == build


def _usable(builds: Iterable[Build]) -> tuple[Build, ...]:
    return tuple(build for build in builds if build.available and build.tagged)
