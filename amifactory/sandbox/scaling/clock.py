"""The sandbox's own time, in which an hour's wait can take seconds."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Seconds that only grow, as fast as they are told to.

    What Auto Scaling waits for (hooks, warm-up, checkpoints, bake time, the hour after which a blocked
    refresh fails) is waited for by this clock; booting an instance takes as long as it takes.

    Args:
        monotonic: Real seconds.
        speed: Seconds of this clock for each real one.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, speed: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._speed = speed
        self._since = monotonic()
        self._then = 0.0
        self._began = datetime.now(UTC)

    @property
    def speed(self) -> float:
        """Returns how many seconds pass here in each real one."""
        return self._speed

    def now(self) -> float:
        """Returns seconds since the clock was made."""
        with self._lock:
            return self._now()

    def utc(self) -> datetime:
        """Returns the same as a date."""
        return self._began + timedelta(seconds=self.now())

    def run_at(self, speed: float) -> None:
        """Makes time pass that much faster from now on.

        Raises:
            ValueError: The speed is not positive.
        """
        if speed <= 0:
            raise ValueError(f"the clock's speed is more than 0, not {speed}")
        with self._lock:
            self._then, self._since, self._speed = self._now(), self._monotonic(), speed

    def advance(self, seconds: float) -> None:
        """Jumps ahead.

        Raises:
            ValueError: Back in time.
        """
        if seconds < 0:
            raise ValueError(f"the clock goes forward only, not by {seconds} s")
        with self._lock:
            self._then, self._since = self._now() + seconds, self._monotonic()

    def _now(self) -> float:
        return self._then + (self._monotonic() - self._since) * self._speed
