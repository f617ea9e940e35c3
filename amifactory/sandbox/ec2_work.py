"""Runs what machines do in the background: in order for one machine, at once for several."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


class Work:
    """Background jobs, one at a time and in order of submission per key (an instance or AMI id)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, threading.Thread] = {}
        self._closed = threading.Event()

    def submit(self, key: str, job: Callable[[], None]) -> None:
        """Starts ``job`` once every earlier job of ``key`` is done; what it raises is logged.

        Nothing is started any more after `close`.
        """
        with self._lock:
            before = self._last.get(key)
            thread = threading.Thread(target=self._run, args=(before, key, job), name=key, daemon=True)
            self._last[key] = thread
            thread.start()

    def wait(self, timeout: float) -> None:
        """Waits until all jobs submitted so far are done, at most ``timeout`` seconds for each."""
        with self._lock:
            threads = list(self._last.values())
        for thread in threads:
            thread.join(timeout)

    def close(self, timeout: float) -> None:
        """Starts no more jobs and waits for those under way, at most ``timeout`` seconds for all."""
        self._closed.set()
        deadline = time.monotonic() + timeout
        with self._lock:
            threads = list(self._last.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        late = sorted(thread.name for thread in threads if thread.is_alive())
        if late:
            log.warning("not waiting any longer for the work of %s", ", ".join(late))

    def _run(self, before: threading.Thread | None, key: str, job: Callable[[], None]) -> None:
        if before is not None:
            before.join()
        try:
            if not self._closed.is_set():
                job()
        except Exception:
            log.exception("background work for %s failed", key)
        with self._lock:
            if self._last.get(key) is threading.current_thread():
                del self._last[key]
