"""One lock around moto, which has none of its own."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class MotoLock:
    """Held for every look at or change of moto's state; let go of while a machine does something slow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Lets others in while the holder waits for a machine, then takes the lock back."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()
