"""CloudWatch's metric alarms. They evaluate no metrics: SetAlarmState says what they say. API reference."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.exceptions import CloudWatchException, ValidationError
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_PAGE = 100
PAGE = 50
"""DescribeAlarms, MaxRecords: 1 to 100. AWS does not document how many it is without."""

_put_in_moto = CloudWatchResponse.put_metric_alarm


class InvalidNextTokenError(CloudWatchException):
    """DescribeAlarms, "Errors"."""

    __module__ = "moto.cloudwatch.exceptions"  # moto finds the service here
    code = "InvalidNextToken"


def put_metric_alarm(response: Any) -> Any:
    """PutMetricAlarm: a new alarm has insufficient data, and one that is changed keeps its state.

    "When this operation creates an alarm, the alarm state is immediately set to INSUFFICIENT_DATA. [...] When
    you update an existing alarm, its state is left unchanged".
    """
    backend, name = response.cloudwatch_backend, response._get_param("AlarmName")  # noqa: SLF001 - moto's way in
    before = backend.alarms.get(name)
    answer = _put_in_moto(response)
    alarm = backend.alarms[name]
    if before is None:
        alarm.state_value = "INSUFFICIENT_DATA"
        return answer
    for field in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
        setattr(alarm, field, getattr(before, field))
    return answer


def describe_alarms(response: Any) -> Any:
    """DescribeAlarms: what fits all that is asked for, by name, in pages."""
    asked = {name: response._get_param(name) for name in FILTERS}  # noqa: SLF001
    if asked["AlarmNames"] and asked["AlarmNamePrefix"]:
        raise ValidationError("AlarmNames and AlarmNamePrefix cannot be specified together.")
    alarms = [
        alarm
        for _, alarm in sorted(response.cloudwatch_backend.alarms.items())
        if all(fits(alarm, asked[name]) for name, fits in FILTERS.items() if asked[name])
    ]
    kinds = response._get_param("AlarmTypes") or ["MetricAlarm"]  # noqa: SLF001
    size = int(response._get_param("MaxRecords") or PAGE)  # noqa: SLF001
    if not 1 <= size <= LARGEST_PAGE:
        raise ValidationError(f"MaxRecords is between 1 and {LARGEST_PAGE}, not {size}.")
    token = response._get_param("NextToken")  # noqa: SLF001
    after = _read_token(token) if token else ""
    left = [alarm for alarm in alarms if alarm.name > after] if "MetricAlarm" in kinds else []
    following = None
    if len(left) > size:
        following = base64.urlsafe_b64encode(left[size - 1].name.encode()).decode()
    return ActionResult({"MetricAlarms": left[:size], "CompositeAlarms": [], "NextToken": following})


FILTERS: dict[str, Callable[[Any, Any], bool]] = {
    "ActionPrefix": lambda alarm, prefix: any(action.startswith(prefix) for action in alarm.alarm_actions),
    "AlarmNamePrefix": lambda alarm, prefix: alarm.name.startswith(prefix),
    "AlarmNames": lambda alarm, names: alarm.name in names,
    "StateValue": lambda alarm, state: alarm.state_value == state,
}


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise InvalidNextTokenError("The next token specified is invalid.") from error


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "describe_alarms": describe_alarms,
    "put_metric_alarm": put_metric_alarm,
}
