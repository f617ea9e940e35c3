"""What a test can ask to go wrong, and what the sandbox keeps of each call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amifactory.sandbox.moto_requests import AwsRequest

MACHINE = "machine"
"""The service name under which the driver's methods fail, see `failures_machine`."""
READING = (
    "AssumeRole",
    "BatchGet",
    "Decrypt",
    "Describe",
    "Get",
    "Head",
    "List",
    "Search",
    "Simulate",
    "Verify",
)
"""How the names of operations begin that change nothing; those of REST protocols are told by their method."""


class Effect(StrEnum):
    """What happens to a call.

    ``ERROR`` and ``THROTTLE`` answer an error and do nothing; ``REFUSED`` does nothing and closes the
    connection; ``LOST_RESPONSE`` does what is asked and closes the connection; ``LATENCY`` is late only.
    ``HOLD_BEFORE`` and ``HOLD_AFTER`` wait, before or after it is done, until held calls are released or the
    client is gone; before, a call whose client is gone is not done.
    """

    ERROR = "error"
    THROTTLE = "throttle"
    REFUSED = "refused"
    LOST_RESPONSE = "lost-response"
    LATENCY = "latency"
    HOLD_BEFORE = "hold-before"
    HOLD_AFTER = "hold-after"


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """The error a service answers when it gets too many requests."""

    code: str
    message: str = "Rate exceeded"
    status: int = 400


THROTTLES = {
    "ec2": Throttle(code="RequestLimitExceeded", message="Request limit exceeded.", status=503),
    "kms": Throttle(code="ThrottlingException"),
    "s3": Throttle(code="SlowDown", message="Please reduce your request rate.", status=503),
    "secretsmanager": Throttle(code="ThrottlingException"),
    "ssm": Throttle(code="ThrottlingException"),
}
"""EC2 developer guide, "Request throttling"; S3 and each service's API reference, "Error responses"."""
THROTTLING = Throttle(code="Throttling")
"""What the others answer: "Common errors" of Auto Scaling, CloudWatch, IAM and STS."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Something that goes wrong with calls that match, a number of times.

    Attributes:
        operation: An operation's name, or ``*`` for all.
        service: As in the credential's scope (CloudWatch's is ``monitoring``); None for all but `MACHINE`.
        code: The error's, with ``message`` and ``status``, for `Effect.ERROR`.
        times: How many calls, one after the other.
        nth: Which matching call from now on is the first of them; 1 is the next.
        call: Instead of ``nth``: the number it has among all this machine's calls since they were forgotten,
            or among those that change something where ``changing`` is set.
        changing: Only calls that change something match.
        latency: Seconds by which the call is late, before anything else happens to it.
    """

    operation: str = "*"
    service: str | None = None
    code: str = ""
    message: str = ""
    status: int = 400
    times: int = 1
    nth: int = 1
    call: int | None = None
    changing: bool = False
    effect: Effect = Effect.ERROR
    latency: float = 0.0

    def meets(self, service: str, operation: str, *, changes: bool) -> bool:
        """Returns whether it is about calls like this one; about a machine's only when that is named."""
        named = self.service == service or (self.service is None and service != MACHINE)
        return named and self.operation in {operation, "*"} and (changes or not self.changing)

    def is_due(self, *, number: int | None, change: int | None) -> bool:
        """Returns whether a call it meets is the one; with the call's numbers, see `Call`."""
        if self.call is None:
            return self.nth == 1
        return self.call == (change if self.changing else number)

    def spent(self) -> Failure | None:
        """Returns what is left of it after a call had it."""
        if self.times == 1:
            return None
        return replace(self, times=self.times - 1, call=None if self.call is None else self.call + 1)

    def passed(self) -> Failure:
        """Returns what is left of it after a call it meets went by."""
        return replace(self, nth=max(1, self.nth - 1))


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call the sandbox got.

    Attributes:
        status: HTTP's; 0 when nothing was done and nothing answered.
        time: When it was dealt with, ISO 8601, UTC.
        number: Runs from 1 over this machine's calls since they were forgotten, in the order in which they
            came; None for an instance's call.
        changes: Whether it is one that changes something.
        change: Like ``number``, over those that change something.
        fault: The effect it had, if one was asked for.
    """

    service: str
    operation: str
    region: str
    status: int
    time: str
    number: int | None = None
    changes: bool = False
    change: int | None = None
    fault: Effect | None = None


def read_failure(document: Any) -> Failure:
    """Returns the failure that JSON asks for; ``effect`` is what its other fields say when it is not given.

    Raises:
        TypeError: It has a field that is not known, or is no object.
        ValueError: A field's value is out of range, or makes no sense with the others.
    """
    given = {"effect": Effect.LATENCY if _is_only_late(document) else Effect.ERROR, **document}
    failure = Failure(**{**given, "effect": Effect(given["effect"])})
    if failure.effect == Effect.ERROR and not failure.code:
        raise ValueError("a failure has a code, a latency, or an effect: " + ", ".join(Effect))
    counts = (failure.times, failure.nth, 1 if failure.call is None else failure.call)
    if min(counts) < 1 or failure.latency < 0:
        raise ValueError("times, nth and call count from 1, and latency is not negative")
    if failure.service == MACHINE and (failure.effect != Effect.ERROR or failure.latency):
        raise ValueError("a machine fails with an error only")
    return failure


def _is_only_late(document: dict[str, Any]) -> bool:
    return "latency" in document and "code" not in document


def changes_something(request: AwsRequest) -> bool:
    """Returns whether a call is one that changes something, by its name or, in REST, its method."""
    if request.protocol.startswith("rest"):
        return request.method not in {"GET", "HEAD"}
    return not request.operation.startswith(READING)
