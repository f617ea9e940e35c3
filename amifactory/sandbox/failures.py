"""What tests ask of the sandbox: which calls it got, and errors it shall answer."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.moto_errors import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.moto_requests import AwsRequest

KEPT_CALLS = 10_000
MACHINE = "machine"
"""The service name under which the driver's methods fail, see `failures_machine`."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error that an operation answers instead of doing anything, a number of times."""

    operation: str
    code: str
    message: str
    service: str | None = None
    status: int = 400
    times: int = 1

    def meets(self, service: str, operation: str) -> bool:
        """Returns whether this operation shall fail; a machine's only when it is named."""
        named = self.service == service or (self.service is None and service != MACHINE)
        return named and self.operation in {operation, "*"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call the sandbox answered; ``time`` is ISO 8601, UTC."""

    service: str
    operation: str
    region: str
    status: int
    time: str


class Ledger:
    """The calls so far and the failures to come; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._failures: list[Failure] = []

    def record(self, request: AwsRequest, status: int) -> None:
        """Keeps a call that was answered."""
        call = Call(
            service=request.service,
            operation=request.operation,
            region=request.region,
            status=status,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        with self._lock:
            self._calls.append(call)

    def take(self, service: str, operation: str) -> Failure | None:
        """Returns the failure an operation shall have, if one was asked for, and counts it."""
        with self._lock:
            for index, failure in enumerate(self._failures):
                if failure.meets(service, operation):
                    left = [replace(failure, times=failure.times - 1)] if failure.times > 1 else []
                    self._failures[index : index + 1] = left
                    return failure
        return None

    def failure_for(self, request: AwsRequest) -> Reply | None:
        """Returns the error this request shall have, if one was asked for."""
        failure = self.take(request.service, request.operation)
        if failure is None:
            return None
        return error_reply(request, code=failure.code, message=failure.message, status=failure.status)

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """Answers an admin request: GET or DELETE calls; GET, POST or DELETE failures; GET health."""
        handlers: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "health"): lambda: {"ok": True},
            ("GET", "calls"): lambda: [asdict(call) for call in self._calls],
            ("DELETE", "calls"): self._calls.clear,
            ("GET", "failures"): lambda: [asdict(failure) for failure in self._failures],
            ("DELETE", "failures"): self._failures.clear,
            ("POST", "failures"): lambda: self._failures.append(Failure(**json.loads(body))),
        }
        handler = handlers.get((method, path))
        if handler is None:
            return json_reply(404, {"error": f"no {method} /amifactory/{path}"})
        try:
            with self._lock:
                return json_reply(200, handler())
        except (TypeError, ValueError) as error:
            return json_reply(400, {"error": str(error)})


def json_reply(status: int, document: Any) -> Reply:
    """Returns a JSON answer."""
    body = json.dumps(document).encode()
    headers = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return Reply(status=status, headers=headers, body=body)
