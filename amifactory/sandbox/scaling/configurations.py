"""What a request makes of a group's configuration: a launch template or a mixed instances policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling import refresh, requirements, templates
from amifactory.sandbox.scaling.errors import not_in_the_sandbox, validation_error

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.model import Configuration, Group

BLOCKED = (
    "An active instance refresh with a desired configuration exists. All configuration options derived from "
    "the desired configuration are not available for update while the instance refresh is active."
)


def new_configuration(
    backend: Any, given: dict[str, Any], group: Group | None = None
) -> Configuration | None:
    """Returns the configuration that a request gives a group, or None when it leaves it as it is.

    A request has a launch template or a mixed instances policy, never both; what a policy leaves out
    (InstancesDistribution or LaunchTemplate) stays as it is in a group that has a policy already.

    Raises:
        ScalingError: ValidationError.
    """
    named = [name for name in ("LaunchTemplate", "MixedInstancesPolicy") if name in given]
    if len(named) > 1 or (group is None and not named):
        raise validation_error(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter."
        )
    if not named:
        return None
    asked: Configuration = {named[0]: given[named[0]]}
    if "MixedInstancesPolicy" in asked:
        before = group.configuration.get("MixedInstancesPolicy", {}) if group else {}
        asked = {"MixedInstancesPolicy": {**before_as_given(before), **asked["MixedInstancesPolicy"]}}
    configuration = templates.normalised(backend, asked)
    _check_policy(backend, configuration)
    return configuration


def before_as_given(policy: dict[str, Any]) -> dict[str, Any]:
    """Returns a kept policy as a request would give it: with template ids and no names."""
    if not policy:
        return {}
    launch = policy["LaunchTemplate"]
    overrides = [
        {**override, "LaunchTemplateSpecification": _by_id(override["LaunchTemplateSpecification"])}
        if "LaunchTemplateSpecification" in override
        else override
        for override in launch["Overrides"]
    ]
    own = _by_id(launch["LaunchTemplateSpecification"])
    distribution = dict(policy["InstancesDistribution"])
    if distribution["OnDemandAllocationStrategy"] == templates.first_strategy(launch["Overrides"]):
        del distribution["OnDemandAllocationStrategy"]  # the default is another one by attributes
    return {
        "LaunchTemplate": {"LaunchTemplateSpecification": own, "Overrides": overrides},
        "InstancesDistribution": distribution,
    }


def refuse_while_refreshing(group: Group, given: dict[str, Any]) -> None:
    """Refuses a new configuration while a refresh with a desired one is active: user guide, "Considerations".

    Raises:
        ScalingError: ValidationError.
    """
    named = {"LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName"} & set(given)
    running = refresh.active(group)
    if named and running is not None and running.desired is not None:
        raise validation_error(BLOCKED)


def _by_id(specification: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in specification.items() if name != "LaunchTemplateName"}


def _check_policy(backend: Any, configuration: Configuration) -> None:
    """Refuses what cannot go into a mixed instances policy: user guide, "Setup overview", Prerequisites."""
    if "MixedInstancesPolicy" not in configuration:
        return
    overrides = templates.overrides_of(configuration)
    for override in overrides:
        if "InstanceRequirements" in override:
            requirements.check(override["InstanceRequirements"])
        if "ImageId" in override:
            raise not_in_the_sandbox("Overrides[].ImageId")
    if configuration["MixedInstancesPolicy"]["InstancesDistribution"].get("DistributionSegments"):
        raise not_in_the_sandbox("InstancesDistribution.DistributionSegments")
    _, version = templates.find(backend, templates.specification_of(configuration))
    if version.data.get("InstanceMarketOptions"):
        raise validation_error(
            "Incompatible launch template: You cannot use a launch template that is set to request Spot "
            "Instances (InstanceMarketOptions) when you configure an Auto Scaling group with a mixed "
            "instances policy."
        )
