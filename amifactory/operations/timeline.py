"""When each phase of a build or a verification began and how long it took; it can be written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase; ``seconds`` is its wall time."""

    name: str
    started_at: datetime
    seconds: float


class Timeline:
    """Phases one after the other: each ends where the next begins.

    Args:
        now: The time.
        clock: Monotonic seconds.
    """

    def __init__(self, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._now = now
        self._clock = clock
        self._done: list[Phase] = []
        self._current: tuple[str, datetime, float] | None = None

    def begin(self, name: str) -> None:
        """Ends the phase before; does nothing when that has the same name."""
        if self._current and self._current[0] == name:
            return
        self.end()
        self._current = (name, self._now(), self._clock())

    def end(self) -> None:
        """Ends the current phase, if there is one."""
        if self._current:
            name, started_at, began = self._current
            self._done.append(Phase(name=name, started_at=started_at, seconds=self._clock() - began))
            self._current = None

    def as_json(self) -> list[dict[str, object]]:
        """Returns the phases that ended."""
        return [
            {
                "name": phase.name,
                "started_at": phase.started_at.isoformat(),
                "seconds": round(phase.seconds, 3),
            }
            for phase in self._done
        ]
