"""SSM parameters that name AMIs: those launch templates read, and those that are published for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.aws.session import aws_errors
from amifactory.domain.model import AmiId
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta

    from amifactory.aws.session import AwsSession

DATA_TYPE = "aws:ec2:image"
AT_ONCE = 10
"""The most GetParameters takes (Systems Manager API reference, GetParameters)."""


class ImageParameters:
    """Parameters of one account and region whose value is an AMI id.

    Args:
        session: The account and region.
        clock: Monotonic seconds.
        pause: Sleeps that many seconds.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        session: AwsSession,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], object],
        interval: float = 2.0,
    ) -> None:
        self._session = session
        self._clock = clock
        self._pause = pause
        self._interval = interval

    def values(self, names: Collection[str]) -> dict[str, AmiId]:
        """Returns the values of parameters by name, a call for each ten; without those that do not exist.

        Args:
            names: Names, each with ``:version`` or ``:label`` if that is meant.

        Raises:
            AwsError: The call was refused.
        """
        found: dict[str, AmiId] = {}
        wanted = sorted(names)
        for start in range(0, len(wanted), AT_ONCE):
            with aws_errors("ssm"):
                answer = self._session.ssm.get_parameters(Names=wanted[start : start + AT_ONCE])
            for parameter in answer["Parameters"]:
                selector = parameter.get("Selector", "").removeprefix(":")
                name = f"{parameter['Name']}:{selector}" if selector else parameter["Name"]
                found[name] = AmiId(parameter["Value"])
        return found

    def set(self, name: str, ami_id: AmiId, *, label: str | None = None, timeout: timedelta) -> None:
        """Makes a parameter name an AMI, and waits until it does.

        AWS checks the AMI after it has answered, and then keeps or drops the value (Systems Manager user
        guide, "Native parameter support for Amazon Machine Image IDs").

        Args:
            label: Moved to the new version, if given.

        Raises:
            AwsError: The call was refused, or the value was not there in time.
        """
        with aws_errors("ssm"):
            version = self._session.ssm.put_parameter(
                Name=name, Value=ami_id, Type="String", DataType=DATA_TYPE, Overwrite=True
            )["Version"]
        deadline = self._clock() + timeout.total_seconds()
        while not self._has(name, ami_id):
            if self._clock() >= deadline:
                raise AwsError(
                    f"SSM parameter {name} did not take the value {ami_id}: AWS found no such AMI",
                    hint=f"Look at it: aws ssm get-parameter-history --name {name}",
                )
            self._pause(self._interval)
        if label:
            with aws_errors("ssm"):
                self._session.ssm.label_parameter_version(Name=name, ParameterVersion=version, Labels=[label])

    def delete(self, name: str) -> None:
        """Removes a parameter, if it is there.

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("ssm"):
            self._session.ssm.delete_parameters(Names=[name])

    def _has(self, name: str, ami_id: AmiId) -> bool:
        return self.values([name]).get(name) == ami_id
