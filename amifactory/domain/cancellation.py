"""How the wish to stop reaches everything that runs: once to stop in order, twice to stop at once."""

from __future__ import annotations

from enum import IntEnum

from amifactory.errors import AmifactoryError, ExitCode


class CancellationLevel(IntEnum):
    """How urgently a run should stop."""

    NONE = 0
    ORDERLY = 1
    AT_ONCE = 2


class Cancellation:
    """Counts requests to stop; safe to call from a signal handler and to read from any thread.

    It holds no lock on purpose: Python runs signal handlers in the main thread between two
    instructions, where a lock that thread already holds would never be released. Only one thread
    requests; the others read.

    Args:
        of: What this is a part of: it stops when that does.
    """

    def __init__(self, of: Cancellation | None = None) -> None:
        self._level = CancellationLevel.NONE
        self._of = of

    @property
    def level(self) -> CancellationLevel:
        """Returns how urgently to stop."""
        return max(self._level, self._of.level) if self._of else self._level

    def request(self) -> CancellationLevel:
        """Asks once more to stop, and returns the new level."""
        self._level = CancellationLevel(min(self._level + 1, CancellationLevel.AT_ONCE))
        return self._level

    def check(self) -> None:
        """Raises `CancelledError` when a stop has been requested."""
        if self.level > CancellationLevel.NONE:
            raise CancelledError("cancelled")


class CancelledError(AmifactoryError):
    """The run was told to stop, and stopped."""

    exit_code = ExitCode.INTERRUPTED
