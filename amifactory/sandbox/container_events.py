"""Docker's events about a sandbox's containers, none missed and none fatal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""How long to wait before asking Docker again for events."""
_NANOSECONDS = 1_000_000_000


def follow_events(
    subscribe: Callable[[str], Iterable[Mapping[str, Any]]],
    handle: Callable[[Mapping[str, Any]], None],
    *,
    since: int,
    stop: threading.Event,
    retry_seconds: float = RETRY_SECONDS,
) -> None:
    """Handles every event until ``stop`` is set, whatever one raises and however often Docker hangs up.

    Args:
        subscribe: Returns the events from a moment on, given as Docker writes it: ``seconds.nanoseconds``.
        handle: Called with each event once; what it raises is logged.
        since: Nanoseconds since 1970.
        stop: Looked at between events.
        retry_seconds: The pause before subscribing again.
    """
    while not stop.is_set():
        try:
            for event in subscribe(f"{since // _NANOSECONDS}.{since % _NANOSECONDS:09d}"):
                if stop.is_set():
                    return
                since = event["timeNano"] + 1
                _handle(handle, event)
        except Exception:
            log.exception("Docker's events ended")
        stop.wait(retry_seconds)


def _handle(handle: Callable[[Mapping[str, Any]], None], event: Mapping[str, Any]) -> None:
    try:
        handle(event)
    except Exception:
        log.exception("an event was not dealt with: %s", event)
