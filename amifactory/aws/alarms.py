"""CloudWatch alarms: which of them are raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.aws.session import aws_errors

if TYPE_CHECKING:
    from collections.abc import Collection

    from amifactory.aws.session import AwsSession

AT_ONCE = 100
"""The most DescribeAlarms takes and returns (CloudWatch API reference, DescribeAlarms)."""


class Alarms:
    """The alarms of one account and region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def states(self, names: Collection[str]) -> dict[str, str]:
        """Returns ``OK``, ``ALARM`` or ``INSUFFICIENT_DATA`` by name; those that do not exist are left out.

        Raises:
            AwsError: The call was refused.
        """
        found: dict[str, str] = {}
        wanted = sorted(names)
        for start in range(0, len(wanted), AT_ONCE):
            with aws_errors("cloudwatch"):
                answer = self._session.cloudwatch.describe_alarms(
                    AlarmNames=wanted[start : start + AT_ONCE],
                    AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                    MaxRecords=AT_ONCE,
                )
            for alarm in [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]:
                found[alarm["AlarmName"]] = alarm["StateValue"]
        return found
