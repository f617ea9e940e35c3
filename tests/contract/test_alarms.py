"""CloudWatch's metric alarms. API reference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ALARM = {
    "Namespace": "Example/Runners",
    "MetricName": "FailedJobs",
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluationPeriods": 2,
    "Period": 60,
    "Statistic": "Sum",
    "Threshold": 2.5,
    "Dimensions": [{"Name": "Fleet", "Value": "docker"}],
}


@pytest.fixture
def cloudwatch(client: Callable[..., Any]) -> Any:
    return client("cloudwatch")


@pytest.fixture
def alarm(cloudwatch: Any, request: pytest.FixtureRequest) -> str:
    """Makes an alarm and returns its name."""
    name = f"{request.node.name} jobs fail"
    cloudwatch.put_metric_alarm(AlarmName=name, **ALARM)
    return name


def state(cloudwatch: Any, name: str) -> str:
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


def test_what_an_alarm_says_of_itself(cloudwatch: Any, alarm: str) -> None:
    """DescribeAlarms, over the protocol that the client library chooses by itself."""
    (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert {key: found[key] for key in ALARM} == ALARM
    assert found["AlarmArn"].endswith(f":alarm:{alarm}")
    assert abs((datetime.now(UTC) - found["StateUpdatedTimestamp"]).total_seconds()) < 60


def test_an_alarm_begins_without_data_and_is_set(cloudwatch: Any, alarm: str) -> None:
    """PutMetricAlarm: "the alarm state is immediately set to INSUFFICIENT_DATA. [...] When you update an
    existing alarm, its state is left unchanged"; SetAlarmState.
    """
    seen = [state(cloudwatch, alarm)]
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="the test says so")
    seen.append(state(cloudwatch, alarm))
    cloudwatch.put_metric_alarm(AlarmName=alarm, **{**ALARM, "Threshold": 9})
    seen.append(state(cloudwatch, alarm))
    (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert seen == ["INSUFFICIENT_DATA", "ALARM", "ALARM"]
    assert (found["Threshold"], found["StateReason"]) == (9, "the test says so")


def test_which_alarms_are_told(cloudwatch: Any, alarm: str, code: Callable[..., str]) -> None:
    """DescribeAlarms: AlarmNamePrefix, StateValue, ActionPrefix; a prefix goes with no AlarmNames."""
    cloudwatch.put_metric_alarm(
        AlarmName=f"{alarm} too", **ALARM, AlarmActions=["arn:aws:sns:eu-central-1:123456789012:ops"]
    )
    cloudwatch.set_alarm_state(AlarmName=f"{alarm} too", StateValue="OK", StateReason="r")

    def found(**asked: Any) -> list[str]:
        told = cloudwatch.describe_alarms(**asked)
        assert told["CompositeAlarms"] == []
        return [each["AlarmName"] for each in told["MetricAlarms"]]

    assert found(AlarmNamePrefix=alarm) == [alarm, f"{alarm} too"]
    assert found(AlarmNamePrefix=alarm, StateValue="OK") == [f"{alarm} too"]
    assert found(AlarmNamePrefix=alarm, ActionPrefix="arn:aws:sns") == [f"{alarm} too"]
    assert found(AlarmNames=["nobody"]) == []
    assert found(AlarmNames=[alarm], AlarmTypes=["CompositeAlarm"]) == []
    assert code(cloudwatch.describe_alarms, AlarmNames=[alarm], AlarmNamePrefix=alarm) == "ValidationError"


def test_pages_of_alarms(cloudwatch: Any, alarm: str, code: Callable[..., str]) -> None:
    """DescribeAlarms, MaxRecords and NextToken."""
    for number in range(4):
        cloudwatch.put_metric_alarm(AlarmName=f"{alarm} {number}", **ALARM)
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=alarm, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["MetricAlarms"]) for page in pages] == [2, 2, 1]
    assert code(cloudwatch.describe_alarms, NextToken="?") == "InvalidNextToken"


def test_wrong_names_do_not_keep_others_from_being_deleted(cloudwatch: Any, alarm: str) -> None:
    """DeleteAlarms: "If you specify any incorrect alarm names, the alarms you specify with correct names are
    still deleted."
    """
    cloudwatch.delete_alarms(AlarmNames=[alarm, "nobody"])
    assert cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"] == []


def test_an_alarm_that_is_not_there(cloudwatch: Any, code: Callable[..., str]) -> None:
    """SetAlarmState: ResourceNotFound."""
    wrong = {"AlarmName": "nobody", "StateValue": "OK", "StateReason": "r"}
    assert code(cloudwatch.set_alarm_state, **wrong) == "ResourceNotFound"


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.0}]}),
        ("put_composite_alarm", {"AlarmName": "both", "AlarmRule": "ALARM(one)"}),
        ("describe_alarm_history", {}),
        ("enable_alarm_actions", {"AlarmNames": ["one"]}),
    ],
)
def test_the_rest_of_cloudwatch_is_not_there(
    cloudwatch: Any, code: Callable[..., str], operation: str, arguments: dict[str, Any]
) -> None:
    assert code(getattr(cloudwatch, operation), **arguments) == "UnknownOperationException"
