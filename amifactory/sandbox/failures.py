"""What tests ask of the sandbox: which calls it got, and what shall go wrong with those to come."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.failures_held import HeldCalls
from amifactory.sandbox.failures_model import MACHINE, Call, Failure, changes_something, read_failure
from amifactory.sandbox.moto_errors import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.moto_requests import AwsRequest

KEPT_CALLS = 10_000


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A call that came in: its numbers (see `Call`), and the failure it shall have.

    Attributes:
        place: Orders calls by when they came.
        since: Grows whenever the calls are forgotten.
    """

    request: AwsRequest
    place: int
    since: int
    number: int | None
    changes: bool
    change: int | None
    failure: Failure | None


class Ledger:
    """The calls so far, those that are held, and the failures to come; safe from several threads."""

    def __init__(self) -> None:
        self.held = HeldCalls()
        self._lock = threading.Lock()
        self._calls: deque[tuple[int, Call]] = deque(maxlen=KEPT_CALLS)
        self._failures: list[Failure] = []
        self._place = self._since = self._number = self._change = 0

    def arrive(self, request: AwsRequest, *, own: bool = True) -> Arrival:
        """Numbers a call and chooses the failure it shall have; ``own`` is whether it is this machine's.

        Calls of instances come when they come, so they have no numbers.
        """
        changes = changes_something(request)
        with self._lock:
            self._place += 1
            number = change = None
            if own:
                self._number += 1
                number = self._number
            if own and changes:
                self._change += 1
                change = self._change
            failure = self._choose(
                request.service, request.operation, changes=changes, number=number, change=change
            )
            return Arrival(
                request=request,
                place=self._place,
                since=self._since,
                number=number,
                changes=changes,
                change=change,
                failure=failure,
            )

    def record(self, arrival: Arrival, status: int) -> None:
        """Keeps a call that was dealt with, unless calls have been forgotten since it came."""
        call = Call(
            service=arrival.request.service,
            operation=arrival.request.operation,
            region=arrival.request.region,
            status=status,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            number=arrival.number,
            changes=arrival.changes,
            change=arrival.change,
            fault=arrival.failure.effect if arrival.failure else None,
        )
        with self._lock:
            if arrival.since == self._since:
                self._calls.append((arrival.place, call))

    def take(self, operation: str) -> Failure | None:
        """Returns the failure a machine's operation shall have, if one was asked for, and counts it."""
        with self._lock:
            return self._choose(MACHINE, operation, changes=True, number=None, change=None)

    def _choose(
        self, service: str, operation: str, *, changes: bool, number: int | None, change: int | None
    ) -> Failure | None:
        """Returns the first failure that is due; all that meet the call count it."""
        chosen: Failure | None = None
        left: list[Failure | None] = []
        for failure in self._failures:
            if not failure.meets(service, operation, changes=changes):
                left.append(failure)
            elif chosen is None and failure.is_due(number=number, change=change):
                chosen = failure
                left.append(failure.spent())
            else:
                left.append(failure.passed())
        self._failures[:] = [failure for failure in left if failure is not None]
        return chosen

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """Answers an admin request about health, calls, failures or held calls."""
        handlers: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "health"): lambda: {"ok": True},
            ("GET", "calls"): self._told_calls,
            ("DELETE", "calls"): self._forget_calls,
            ("GET", "failures"): lambda: [asdict(failure) for failure in self._failures],
            ("DELETE", "failures"): self._failures.clear,
            ("POST", "failures"): lambda: self._failures.append(read_failure(json.loads(body))),
            ("GET", "held"): lambda: [asdict(call) for call in self.held.now()],
            ("DELETE", "held"): lambda: {"released": self.held.release()},
        }
        handler = handlers.get((method, path))
        if handler is None:
            return json_reply(404, {"error": f"no {method} /amifactory/{path}"})
        try:
            with self._lock:
                return json_reply(200, handler())
        except (TypeError, ValueError) as error:
            return json_reply(400, {"error": str(error)})

    def _told_calls(self) -> list[dict[str, Any]]:
        return [asdict(call) for _, call in sorted(self._calls, key=lambda placed: placed[0])]

    def _forget_calls(self) -> None:
        self._calls.clear()
        self._number = self._change = 0
        self._since += 1


def json_reply(status: int, document: Any) -> Reply:
    """Returns a JSON answer."""
    body = json.dumps(document).encode()
    headers = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return Reply(status=status, headers=headers, body=body)
