"""Shows a change of a channel on stderr: a line for each step of each fleet."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from amifactory.cli.output import duration

if TYPE_CHECKING:
    from collections.abc import Callable


class FleetLines:
    """One line for each step's beginning and each end; safe from several threads."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._began = clock()
        self._steps: dict[str, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Returns itself; there is nothing to set up."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves what was printed."""

    def step(self, fleet: str, what: str) -> None:
        """Says what a fleet is at, once."""
        with self._lock:
            if self._steps.get(fleet) == what:
                return
            self._steps[fleet] = what
            self._say(f"[{duration(self._clock() - self._began) or '0:00':>5}] {fleet}: {what}")

    def finished(self, fleet: str, what: str) -> None:
        """Says how a fleet ended."""
        self.step(fleet, what)
