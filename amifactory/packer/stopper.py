"""When to interrupt Packer, and when to kill it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from amifactory.domain.cancellation import Cancellation, CancellationLevel

if TYPE_CHECKING:
    from collections.abc import Callable


class StopReason(StrEnum):
    """Why a run was stopped from outside."""

    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


class Stoppable(Protocol):
    """What the stopper needs of a process."""

    def interrupt(self) -> None:
        """Tells it to stop and clean up."""

    def kill(self) -> None:
        """Ends it at once."""


class Stopper:
    """Interrupts a process once, and kills it once when that did not do.

    After a cancellation Packer may take the time it needs to clean up: the person waiting can ask a
    second time. After a timeout nobody may be watching, so a grace period ends it.

    Args:
        timeout: Seconds the process may take.
        grace: Seconds it may take to clean up after a timeout.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        process: Stoppable,
        *,
        cancellation: Cancellation,
        timeout: float,
        grace: float,
        clock: Callable[[], float],
    ) -> None:
        self.reason: StopReason | None = None
        self.was_killed = False
        self._process = process
        self._cancellation = cancellation
        self._clock = clock
        self._grace = grace
        self._deadline = clock() + timeout

    def check(self) -> None:
        """Does what is due now."""
        level = self._cancellation.level
        is_late = self._clock() >= self._deadline
        if level is CancellationLevel.AT_ONCE or (self.reason is StopReason.TIMEOUT and is_late):
            self._kill()
        elif self.reason is None and level is CancellationLevel.ORDERLY:
            self._interrupt(StopReason.CANCELLED)
        elif self.reason is None and is_late:
            self._interrupt(StopReason.TIMEOUT)

    def _interrupt(self, reason: StopReason) -> None:
        self.reason = reason
        self._deadline = self._clock() + self._grace
        self._process.interrupt()

    def _kill(self) -> None:
        if not self.was_killed:
            self.reason = self.reason or StopReason.CANCELLED
            self.was_killed = True
            self._process.kill()
