"""Calls that wait: for a test to release them, or for their client to be gone."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.failures_model import Effect

POLL_SECONDS = 0.05
"""How soon it is noticed that a client is gone."""


@dataclass(frozen=True, kw_only=True)
class HeldCall:
    """A call that waits; ``number`` and ``change`` as in `amifactory.sandbox.failures_model.Call`."""

    service: str
    operation: str
    region: str
    effect: Effect
    number: int | None
    change: int | None


class HeldCalls:
    """The calls that wait now; safe from several threads."""

    def __init__(self) -> None:
        self._released = threading.Condition()
        self._held: list[HeldCall] = []

    def now(self) -> list[HeldCall]:
        """Returns the calls that wait, in the order in which they came."""
        with self._released:
            return list(self._held)

    def release(self) -> int:
        """Lets all go on, and returns how many that were."""
        with self._released:
            released = len(self._held)
            self._held.clear()
            self._released.notify_all()
            return released

    def hold(self, call: HeldCall, is_gone: Callable[[], bool]) -> bool:
        """Waits; returns whether the call was released, and False when its client is gone."""
        with self._released:
            self._held.append(call)
            while any(held is call for held in self._held):
                if is_gone():
                    self._held = [held for held in self._held if held is not call]
                    return False
                self._released.wait(POLL_SECONDS)
        return True


def is_gone(environ: dict[str, Any]) -> bool:
    """Returns whether the client of a WSGI request, all of which was received, has closed the connection."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is None or not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def hang_up(environ: dict[str, Any]) -> NoReturn:
    """Closes the connection of a WSGI request without an answer.

    Raises:
        ConnectionAbortedError: Always: the server gives up the request, and its client finds it closed.
    """
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("closed without an answer, as was asked")
