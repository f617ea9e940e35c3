"""Things the sandbox does later by itself: the end of a notice's time, of a lifecycle hook's patience."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


class Alarms:
    """One alarm for each key; safe from several threads. None rings after `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: dict[str, tuple[threading.Timer, float]] = {}

    def set(self, key: str, seconds: float, ring: Callable[[], None]) -> None:
        """Calls ``ring`` after so many seconds, in a thread of its own; replaces the alarm of that key."""
        self.cancel(key)
        timer = threading.Timer(max(0.0, seconds), self._ring, args=(key, ring))
        timer.name, timer.daemon = f"alarm-{key}", True
        with self._lock:
            self._set[key] = (timer, time.monotonic() + seconds)
        timer.start()

    def left(self, key: str) -> float | None:
        """Returns the seconds until an alarm rings, None when it is not set."""
        with self._lock:
            found = self._set.get(key)
        return found[1] - time.monotonic() if found else None

    def ring(self, key: str) -> None:
        """Rings an alarm now, for tests that will not wait."""
        with self._lock:
            timer, _ = self._set[key]
        timer.cancel()
        timer.function(*timer.args, **timer.kwargs)

    def cancel(self, key: str) -> None:
        """Forgets an alarm, if it is set."""
        with self._lock:
            found = self._set.pop(key, None)
        if found:
            found[0].cancel()

    def close(self) -> None:
        """Forgets all alarms."""
        for key in list(self._set):
            self.cancel(key)

    def _ring(self, key: str, ring: Callable[[], None]) -> None:
        with self._lock:
            self._set.pop(key, None)
        try:
            ring()
        except Exception:
            log.exception("alarm %s failed", key)
