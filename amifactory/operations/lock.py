"""One run at a time for each image and architecture of a checkout."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from amifactory.domain.model import Target


@contextmanager
def target_lock(work: Path, target: Target) -> Iterator[int]:
    """Holds a target's lock; yields its file descriptor, for a child process to hold it too.

    The kernel gives the lock back when the last process that holds it has ended, so none is left behind.
    A Packer that outlives a killed run keeps it until its AMI is there to be adopted.

    Args:
        work: The factory's working directory.
        target: What is about to be built or verified.

    Raises:
        AmifactoryError: Another run holds it.
    """
    file = work / "locks" / f"{target.image}-{target.architecture}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AmifactoryError(
                f"another run is at work on {target}, or the Packer of one that was killed",
                hint="Wait until it is done and run this again: what it has made is then used.",
            ) from None
        yield held.fileno()
