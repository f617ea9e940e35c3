"""Alarms: metric and composite ones, and those that do not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.aws.alarms import Alarms

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession


def test_states_by_name_a_hundred_at_a_time(cloudwatch: Stubber, session: AwsSession) -> None:
    """API reference, DescribeAlarms: at most 100; without AlarmTypes only metric alarms are answered."""
    names = [f"a-{number:03}" for number in range(101)]
    answers = (
        {
            "MetricAlarms": [{"AlarmName": "a-000", "StateValue": "OK"}],
            "CompositeAlarms": [{"AlarmName": "a-001", "StateValue": "ALARM"}],
        },
        {"MetricAlarms": [{"AlarmName": "a-100", "StateValue": "INSUFFICIENT_DATA"}]},
    )
    for some, answer in zip((names[:100], names[100:]), answers, strict=True):
        cloudwatch.add_response(
            "describe_alarms",
            answer,
            {"AlarmNames": some, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 100},
        )
    assert Alarms(session).states(names) == {
        "a-000": "OK",
        "a-001": "ALARM",
        "a-100": "INSUFFICIENT_DATA",
    }


def test_without_names_nothing_is_asked(cloudwatch: Stubber, session: AwsSession) -> None:
    del cloudwatch
    assert Alarms(session).states([]) == {}
