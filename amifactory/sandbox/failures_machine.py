"""Machines that fail when a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.driver import DriverError

if TYPE_CHECKING:
    from amifactory.sandbox.driver import InstanceDriver
    from amifactory.sandbox.failures import Ledger

NOTHING = "Nothing"
"""The code of a failure that does nothing and says nothing: an instance "launched" so never answers."""


class FailingDriver:
    """A driver that asks the ledger before each method whether it shall work.

    A failure of service ``machine`` names the method (``launch``, ``snapshot``, …) as its operation.
    """

    def __init__(self, driver: InstanceDriver, ledger: Ledger) -> None:
        self._driver = driver
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        wanted = getattr(self._driver, name)
        if not callable(wanted):
            return wanted

        def call(*arguments: object) -> object:
            failure = self._ledger.take(name)
            if failure is None:
                return wanted(*arguments)
            if failure.code == NOTHING:
                return None
            raise DriverError(failure.message)

        return call
