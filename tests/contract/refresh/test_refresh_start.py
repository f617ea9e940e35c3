"""What StartInstanceRefresh takes and refuses.

API reference, StartInstanceRefresh, RefreshPreferences and DesiredConfiguration; user guide, "How an instance
refresh works in an Auto Scaling group", limitations. Where AWS documents no text, the tests look for words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = "ami-0debdebdebdebdeb0"
REQUIREMENTS = {"VCpuCount": {"Min": 2}, "MemoryMiB": {"Min": 1024}}
HOUR = 3600

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 201}, "less than or equal to 200"),
    ({"CheckpointPercentages": [50], "CheckpointDelay": 172801}, "less than or equal to 172800"),
    ({"BakeTime": 172801}, "less than or equal to 172800"),
    ({"CheckpointPercentages": [50, 101]}, "less than or equal to 100"),
    ({"ScaleInProtectedInstances": "Kill"}, "enum value set: [Refresh, Ignore, Wait]"),
    ({"StandbyInstances": ""}, "enum value set: [Terminate, Ignore, Wait]"),
    ({"MaxHealthyPercentage": 120}, "must also specify MinHealthyPercentage"),
    ({"MinHealthyPercentage": 50, "MaxHealthyPercentage": 151}, "difference"),
    ({"CheckpointPercentages": [50, 20]}, "ascending"),
    ({"CheckpointPercentages": [20, 20]}, "unique"),
    ({"CheckpointDelay": 60}, "must also specify CheckpointPercentages"),
    ({"AlarmSpecification": {"Alarms": [f"alarm-{number}" for number in range(11)]}}, "up to 10 alarms"),
]
"""Preferences, and words of what is said of them."""


def mixed(template_id: str, *overrides: dict[str, Any]) -> dict[str, Any]:
    specification = {"LaunchTemplateId": template_id, "Version": "1"}
    return {"LaunchTemplate": {"LaunchTemplateSpecification": specification, "Overrides": list(overrides)}}


def with_parameter(parameter: str, desired: dict[str, Any]) -> dict[str, Any]:
    """Returns what StartInstanceRefresh is given: a desired configuration, or SkipMatching alone."""
    if parameter == "DesiredConfiguration":
        return {"DesiredConfiguration": desired}
    return {"Preferences": {"SkipMatching": True}}


def test_a_group_that_is_not_there(scaling: Any, refusal: Callable[..., tuple[str, str]]) -> None:
    code, text = refusal(scaling.start_instance_refresh, AutoScalingGroupName="none")
    assert code == "ValidationError"
    assert text == "AutoScalingGroup name not found - AutoScalingGroup 'none' not found"


def test_what_is_not_given_has_defaults(workers: Callable[..., Any]) -> None:
    """User guide, "Understand the default values for an instance refresh"."""
    fleet = workers()
    refresh_id = fleet.start(None)
    found = fleet.newest()
    assert found["InstanceRefreshId"] == refresh_id
    assert found["AutoScalingGroupName"] == fleet.name
    assert found["Strategy"] == "Rolling"
    assert "DesiredConfiguration" not in found
    assert found["Preferences"] == {
        "MinHealthyPercentage": 90,
        "InstanceWarmup": 0,
        "SkipMatching": False,
        "AutoRollback": False,
    }


@pytest.mark.parametrize(
    ("options", "warmup"),
    [
        ({"HealthCheckGracePeriod": 120}, 120),
        ({"HealthCheckGracePeriod": 120, "DefaultInstanceWarmup": 45}, 45),
        ({"HealthCheckGracePeriod": 120, "DefaultInstanceWarmup": 0}, 0),
    ],
)
def test_the_warm_up_is_the_groups(workers: Callable[..., Any], options: dict[str, int], warmup: int) -> None:
    """InstanceWarmup: DefaultInstanceWarmup if defined, "or the HealthCheckGracePeriod […] otherwise"."""
    fleet = workers(**options)
    fleet.start(None)
    assert fleet.newest()["Preferences"]["InstanceWarmup"] == warmup


def test_the_maintenance_policy_has_the_percentages(workers: Callable[..., Any]) -> None:
    """ "The default is 90 percent, or the percentage set in the instance maintenance policy"."""
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}
    fleet = workers(InstanceMaintenancePolicy=policy)
    fleet.start(None)
    assert policy.items() <= fleet.newest()["Preferences"].items()


def test_preferences_are_told_as_given(workers: Callable[..., Any]) -> None:
    fleet = workers()
    preferences = {
        "MinHealthyPercentage": 50,
        "MaxHealthyPercentage": 150,
        "InstanceWarmup": 5,
        "CheckpointPercentages": [50, 100],
        "CheckpointDelay": 60,
        "SkipMatching": True,
        "AutoRollback": True,
        "ScaleInProtectedInstances": "Ignore",
        "StandbyInstances": "Terminate",
        "AlarmSpecification": {"Alarms": ["errors"]},
        "BakeTime": 7,
    }
    fleet.start("2", **preferences)
    found = fleet.newest()
    assert found["Preferences"] == preferences
    assert found["DesiredConfiguration"] == fleet.to("2")


def test_one_at_a_time(workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]) -> None:
    """InstanceRefreshInProgress; the text is what clients report. Other groups are not concerned."""
    fleet, other = workers(1), workers()
    fleet.start(InstanceWarmup=HOUR)
    code, text = refusal(fleet.scaling.start_instance_refresh, AutoScalingGroupName=fleet.name)
    assert code == "InstanceRefreshInProgress"
    assert text == (
        "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."
    )
    other.start()


def test_a_value_out_of_its_range(
    workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """The text is of the form in which AWS refuses what its model of the API does not allow."""
    code, text = refusal(workers().start, MinHealthyPercentage=101)
    assert code == "ValidationError"
    assert text == (
        "1 validation error detected: Value '101' at 'preferences.minHealthyPercentage' failed to satisfy "
        "constraint: Member must have value less than or equal to 100"
    )


def test_preferences_that_are_refused(
    workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    fleet = workers()
    for preferences, words in REFUSED:
        code, text = refusal(fleet.start, **preferences)
        assert (code, words in text) == ("ValidationError", True), text


def test_several_values_that_are_refused_are_told_together(
    workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    _, text = refusal(workers().start, ScaleInProtectedInstances="", StandbyInstances="")
    assert text.startswith(
        "2 validation errors detected: Value '' at 'preferences.scaleInProtectedInstances'"
    )
    assert "; Value '' at 'preferences.standbyInstances'" in text


def test_auto_rollback_needs_a_desired_configuration(
    workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """RefreshPreferences, AutoRollback; the text is what clients report."""
    code, text = refusal(workers().start, version=None, AutoRollback=True)
    assert code == "ValidationError"
    assert text == (
        "The request isn't valid. The AutoRollback parameter cannot be set to true when the "
        "DesiredConfiguration parameter is empty. Set AutoRollback to false or specify a desired "
        "configuration and try again."
    )


@pytest.mark.parametrize("version", ["$Latest", "$Default"])
def test_auto_rollback_needs_a_saved_configuration_that_stays(
    workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]], version: str
) -> None:
    """Not supported when "the Auto Scaling group uses the launch template's $Latest or $Default version"."""
    code, text = refusal(workers(version=version).start, AutoRollback=True)
    assert (code, "AutoRollback" in text) == ("ValidationError", True)


def test_the_strategy_replace_root_volume_is_not_in_the_sandbox(
    scaling: Any, workers: Callable[..., Any], refusal: Callable[..., tuple[str, str]]
) -> None:
    """AWS has it; the sandbox says that it has not."""
    start, name = scaling.start_instance_refresh, workers().name
    code, text = refusal(start, AutoScalingGroupName=name, Strategy="ReplaceRootVolume")
    assert code == "ValidationError"
    assert {"ReplaceRootVolume", "sandbox"} <= set(text.split())
    code, text = refusal(start, AutoScalingGroupName=name, Strategy="Blue")
    assert (code, "[Rolling, ReplaceRootVolume]" in text) == ("ValidationError", True)


def test_a_desired_configuration_is_one_of_two_kinds(
    scaling: Any, workers: Callable[..., Any], template: Callable[..., str], refusal: Callable[..., Any]
) -> None:
    """API reference, DesiredConfiguration and LaunchTemplateSpecification."""
    fleet, template_id = workers(), template()
    both = {"LaunchTemplate": {"LaunchTemplateId": template_id}, "MixedInstancesPolicy": mixed(template_id)}
    for desired in (both, {"LaunchTemplate": {"Version": "1"}}, fleet.to("99")):
        code, _ = refusal(
            scaling.start_instance_refresh, AutoScalingGroupName=fleet.name, DesiredConfiguration=desired
        )
        assert code == "ValidationError"


@pytest.mark.parametrize("parameter", ["SkipMatching", "DesiredConfiguration"])
def test_attribute_based_groups(
    workers: Callable[..., Any], template: Callable[..., str], refusal: Callable[..., Any], parameter: str
) -> None:
    """ "An instance refresh will fail if you start it with the […] parameter"; without them it is taken."""
    policy = mixed(template(), {"InstanceRequirements": REQUIREMENTS})
    fleet = workers(MixedInstancesPolicy=policy)
    given = with_parameter(parameter, {"MixedInstancesPolicy": policy})
    code, text = refusal(fleet.scaling.start_instance_refresh, AutoScalingGroupName=fleet.name, **given)
    assert (code, parameter in text) == ("ValidationError", True)
    fleet.start(None)


@pytest.mark.parametrize("parameter", ["SkipMatching", "DesiredConfiguration"])
def test_an_image_by_parameter(
    client: Callable[..., Any],
    workers: Callable[..., Any],
    template: Callable[..., str],
    refusal: Callable[..., Any],
    parameter: str,
) -> None:
    """User guide, "Use AWS Systems Manager parameters instead of AMI IDs", limitations."""
    client("ssm").put_parameter(
        Name="/images/worker", Type="String", Value=SOURCE, Overwrite=True, DataType="aws:ec2:image"
    )
    chosen = {"LaunchTemplateId": template(ImageId="resolve:ssm:/images/worker"), "Version": "1"}
    fleet = workers(LaunchTemplate=chosen)
    given = with_parameter(parameter, {"LaunchTemplate": chosen})
    code, text = refusal(fleet.scaling.start_instance_refresh, AutoScalingGroupName=fleet.name, **given)
    assert (code, parameter in text) == ("ValidationError", True)
    fleet.start(None)
