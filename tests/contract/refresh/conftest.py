"""Groups to refresh, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.sandbox.ec2_world import World


@dataclass(frozen=True, kw_only=True)
class Workers:
    """A group whose template has three versions, and what a client asks of it."""

    name: str
    scaling: Any
    settle: Callable[..., None]
    clock: Callable[..., Any]

    def start(self, version: str | None = "2", **preferences: Any) -> str:
        """Starts a refresh to a version of the group's own template and returns the refresh's id."""
        given = {} if version is None else {"DesiredConfiguration": self.to(version)}
        answer = self.scaling.start_instance_refresh(
            AutoScalingGroupName=self.name, Preferences=preferences, **given
        )
        return str(answer["InstanceRefreshId"])

    def refresh(self, version: str | None = "2", **preferences: Any) -> dict[str, Any]:
        """Starts a refresh, waits until nothing moves any more and returns the refresh."""
        self.start(version, **preferences)
        return self.settled()

    def settled(self, seconds: float = 0) -> dict[str, Any]:
        """Lets time pass, waits until nothing moves any more and returns the newest refresh."""
        self.settle(seconds)
        self.clock()
        return self.newest()

    def newest(self) -> dict[str, Any]:
        found = self.scaling.describe_instance_refreshes(AutoScalingGroupName=self.name)
        return dict(found["InstanceRefreshes"][0])

    def group(self) -> dict[str, Any]:
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        return dict(found["AutoScalingGroups"][0])

    def to(self, version: str) -> dict[str, Any]:
        """Returns the configuration with another version of the group's template."""
        template_id = self.group()["LaunchTemplate"]["LaunchTemplateId"]
        return {"LaunchTemplate": {"LaunchTemplateId": template_id, "Version": version}}

    def saved(self) -> str:
        """Returns the version in the group's own configuration."""
        return str(self.group()["LaunchTemplate"]["Version"])

    def ids(self, state: str = "InService") -> set[str]:
        return {
            found["InstanceId"] for found in self.group()["Instances"] if found["LifecycleState"] == state
        }

    def versions(self) -> list[str]:
        """Returns the template version of every instance in service."""
        return sorted(
            found["LaunchTemplate"]["Version"]
            for found in self.group()["Instances"]
            if found["LifecycleState"] == "InService"
        )


@pytest.fixture
def three_versions(template: Callable[..., str], new_version: Callable[..., int]) -> Callable[..., str]:
    """Makes a launch template of three versions, each of another instance type, and returns its id."""

    def three_versions(**data: Any) -> str:
        made = template(InstanceType="t3.micro", **data)
        for kind in ("t3.small", "t3.medium"):
            new_version(made, InstanceType=kind)
        return made

    return three_versions


@pytest.fixture
def workers(
    make_group: Callable[..., str],
    three_versions: Callable[..., str],
    scaling: Any,
    settle: Callable[..., None],
    clock: Callable[..., Any],
) -> Callable[..., Workers]:
    """Makes a group of so many instances, of version 1 unless told otherwise."""

    def workers(size: int = 0, *, version: str = "1", **options: Any) -> Workers:
        if not {"LaunchTemplate", "MixedInstancesPolicy"} & options.keys():
            options["LaunchTemplate"] = {"LaunchTemplateId": three_versions(), "Version": version}
        name = make_group(DesiredCapacity=size, **options)
        return Workers(name=name, scaling=scaling, settle=settle, clock=clock)

    return workers


@pytest.fixture
def alarm(client: Callable[..., Any], world: World) -> Iterator[Callable[[str], None]]:
    """Puts the alarm ``errors`` into a state; it goes afterwards."""
    del world
    cloudwatch = client("cloudwatch")

    def alarm(state: str) -> None:
        cloudwatch.put_metric_alarm(
            AlarmName="errors",
            MetricName="Errors",
            Namespace="Example",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="a test")

    yield alarm
    cloudwatch.delete_alarms(AlarmNames=["errors"])
