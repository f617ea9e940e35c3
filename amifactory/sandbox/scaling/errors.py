"""Errors that Auto Scaling answers. AWS documents codes; most texts are what clients in the field report."""

from __future__ import annotations


class ScalingError(Exception):
    """A call that Auto Scaling refuses.

    Attributes:
        code: Of the API reference, such as ``ValidationError``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def validation_error(message: str) -> ScalingError:
    """Returns the error for a request that makes no sense."""
    return ScalingError("ValidationError", message)


def no_group(name: str) -> ScalingError:
    """Returns the error for a group that is not there."""
    return validation_error(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")


def not_in_the_sandbox(what: str) -> ScalingError:
    """Returns the error for a part of Auto Scaling that the sandbox lacks: refused, never taken for done."""
    return validation_error(f"The sandbox has not got {what} of Auto Scaling groups; it works on AWS only.")
