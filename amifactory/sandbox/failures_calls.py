"""Answers AWS calls, and has go wrong with them what was asked for."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from amifactory.sandbox.failures_held import HeldCall, hang_up, is_gone
from amifactory.sandbox.failures_model import THROTTLES, THROTTLING, Effect
from amifactory.sandbox.moto_errors import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.failures import Arrival, Ledger
    from amifactory.sandbox.failures_model import Failure
    from amifactory.sandbox.moto_requests import AwsRequest

LOOPBACK = "127.0.0.1"
"""Where this machine's calls come from; instances' come from their own addresses."""
NOT_DONE = 0
"""The status of a call that was neither done nor answered."""


class FaultyCalls:
    """Does calls one by one, numbered and recorded in the ledger.

    Args:
        sleep: Waits for seconds.
    """

    def __init__(self, ledger: Ledger, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._ledger = ledger
        self._sleep = sleep

    def answer(self, request: AwsRequest, environ: dict[str, Any], do: Callable[[], Reply]) -> Reply:
        """Returns the answer to a request; ``do`` does what it asks for.

        Raises:
            ConnectionAbortedError: The connection was closed without an answer.
        """
        arrival = self._ledger.arrive(request, own=environ.get("REMOTE_ADDR") == LOOPBACK)
        fault = arrival.failure
        if fault is None:
            return self._done(arrival, do())
        self._sleep(fault.latency)
        if fault.effect in {Effect.ERROR, Effect.THROTTLE}:
            return self._done(arrival, error_of(fault, request))
        if fault.effect == Effect.REFUSED:
            self._give_up(arrival, environ)
        if fault.effect == Effect.HOLD_BEFORE and not self._hold(arrival, environ):
            self._give_up(arrival, environ)
        reply = self._done(arrival, do())
        lost = fault.effect == Effect.LOST_RESPONSE
        if lost or (fault.effect == Effect.HOLD_AFTER and not self._hold(arrival, environ)):
            hang_up(environ)
        return reply

    def _done(self, arrival: Arrival, reply: Reply) -> Reply:
        self._ledger.record(arrival, reply.status)
        return reply

    def _give_up(self, arrival: Arrival, environ: dict[str, Any]) -> NoReturn:
        self._ledger.record(arrival, NOT_DONE)
        hang_up(environ)

    def _hold(self, arrival: Arrival, environ: dict[str, Any]) -> bool:
        """Waits; returns False when the client is gone."""
        request, fault = arrival.request, arrival.failure
        held = HeldCall(
            service=request.service,
            operation=request.operation,
            region=request.region,
            effect=fault.effect if fault else Effect.HOLD_BEFORE,
            number=arrival.number,
            change=arrival.change,
        )
        return self._ledger.held.hold(held, partial(is_gone, environ))


def error_of(fault: Failure, request: AwsRequest) -> Reply:
    """Returns the error document a fault asks for."""
    if fault.effect == Effect.THROTTLE:
        throttle = THROTTLES.get(request.service, THROTTLING)
        return error_reply(request, code=throttle.code, message=throttle.message, status=throttle.status)
    return error_reply(request, code=fault.code, message=fault.message, status=fault.status)
