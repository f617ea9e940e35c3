"""Ctrl-C, SIGTERM and a closed terminal become a `Cancellation`: first politely, the second time at once."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from amifactory.domain.cancellation import Cancellation
from amifactory.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

CODES = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.TERMINATED,  # the terminal is gone; Packer must still clean up
}


class Interrupted(Cancellation):
    """A cancellation that remembers which signal asked for it."""

    exit_code: ExitCode | None = None


@contextmanager
def cancellation(say: Callable[[str], None]) -> Iterator[Interrupted]:
    """Listens to SIGINT, SIGTERM and SIGHUP while the block runs."""
    cancelled = Interrupted()

    def on_signal(number: int, _: FrameType | None) -> None:
        cancelled.exit_code = cancelled.exit_code or CODES[signal.Signals(number)]
        cancelled.request()
        say(
            "Killing what still runs."
            if cancelled.level > 1
            else "Stopping; once more to not wait for clean-up."
        )

    before = {number: signal.signal(number, on_signal) for number in CODES}
    try:
        yield cancelled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
