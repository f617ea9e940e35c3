"""One call of the Auto Scaling API, as operations get it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from amifactory.sandbox.scaling.errors import ScalingError, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Group

Item = TypeVar("Item")

MOST_RECORDS, FEWER_RECORDS = 100, 50


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call whose parameters are parsed by AWS's own model of the API; the world's lock is held.

    Attributes:
        given: Parameters by their names in the API reference; what was not given is not there.
    """

    engine: Engine
    account: str
    region: str
    given: dict[str, Any]

    def group(self) -> Group:
        """Returns the group the call names; raises ValidationError when there is none."""
        return self.engine.named(self.account, self.region, self.given["AutoScalingGroupName"])

    def page(
        self, items: Sequence[Item], identity: Callable[[Item], str]
    ) -> tuple[list[Item], dict[str, str]]:
        """Returns one page of items, and ``{"NextToken": …}`` when there are more.

        Raises:
            ScalingError: InvalidNextToken; ValidationError when MaxRecords is not 1 to 100 (default 50).
        """
        most = self.given.get("MaxRecords", FEWER_RECORDS)
        if not 1 <= most <= MOST_RECORDS:
            raise validation_error(f"The value of MaxRecords is 1 to {MOST_RECORDS}, not {most}")
        start = self._start(items, identity)
        found = list(items[start : start + most])
        if start + most >= len(items):
            return found, {}
        return found, {"NextToken": base64.urlsafe_b64encode(identity(found[-1]).encode()).decode()}

    def _start(self, items: Sequence[Item], identity: Callable[[Item], str]) -> int:
        token = self.given.get("NextToken")
        if not token:
            return 0
        try:
            last = base64.urlsafe_b64decode(token).decode()
            return [identity(item) for item in items].index(last) + 1
        except (binascii.Error, ValueError) as error:
            raise ScalingError("InvalidNextToken", f"The token '{token}' is invalid.") from error
