"""Instance types: which architectures each can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.aws.session import aws_errors
from amifactory.domain.model import Architecture

if TYPE_CHECKING:
    from collections.abc import Collection

    from amifactory.aws.session import AwsSession

AT_ONCE = 100
"""The most DescribeInstanceTypes takes (EC2 API reference, DescribeInstanceTypes)."""


class InstanceTypes:
    """The instance types of one Region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def architectures(self, names: Collection[str]) -> dict[str, frozenset[Architecture]]:
        """Returns the architectures of each instance type, a call for each hundred.

        Types that the Region has not got are refused by AWS.

        Raises:
            AwsError: The call was refused.
        """
        found: dict[str, frozenset[Architecture]] = {}
        wanted = sorted(names)
        for start in range(0, len(wanted), AT_ONCE):
            with aws_errors("ec2"):
                answer = self._session.ec2.describe_instance_types(
                    InstanceTypes=wanted[start : start + AT_ONCE]  # type: ignore[arg-type]
                )
            for described in answer["InstanceTypes"]:
                supported = described["ProcessorInfo"]["SupportedArchitectures"]
                known = {Architecture(name) for name in supported if name in set(Architecture)}
                found[described["InstanceType"]] = frozenset(known)
        return found
