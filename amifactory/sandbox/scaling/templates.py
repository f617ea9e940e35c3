"""Launch template specifications: what a group's configuration means in the EC2 of its account and Region."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException

from amifactory.sandbox.scaling.errors import ScalingError, validation_error

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.model import Configuration, Member

ALIAS = "resolve:ssm:"
SPOKEN = ("$Latest", "$Default")
MOST_OVERRIDES, MOST_REQUIREMENTS, MOST_TEMPLATES, HEAVIEST = 40, 4, 20, 999
"""API reference, LaunchTemplateOverrides."""
DISTRIBUTION = {
    "OnDemandBaseCapacity": 0,
    "OnDemandPercentageAboveBaseCapacity": 100,
    "SpotAllocationStrategy": "lowest-price",
}
"""API reference, InstancesDistribution: the defaults, which a description of the group has."""


def normalised(backend: Any, configuration: Configuration) -> Configuration:
    """Returns a configuration as groups keep it, everything that it leaves out filled in.

    Raises:
        ScalingError: ValidationError, where the API reference forbids it.
    """
    if "LaunchTemplate" in configuration:
        return {"LaunchTemplate": _specification(backend, configuration["LaunchTemplate"])}
    policy = deepcopy(configuration["MixedInstancesPolicy"])
    launch = policy.get("LaunchTemplate") or {}
    launch["LaunchTemplateSpecification"] = _specification(
        backend, launch.get("LaunchTemplateSpecification") or {}
    )
    overrides = [_override(backend, override) for override in launch.get("Overrides") or []]
    check_overrides(overrides)
    launch["Overrides"] = overrides
    distribution = _distribution(policy.get("InstancesDistribution") or {}, overrides)
    result = {"MixedInstancesPolicy": {"LaunchTemplate": launch, "InstancesDistribution": distribution}}
    _refuse_alias_by_attributes(backend, result)
    return result


def check_overrides(overrides: list[dict[str, Any]]) -> None:
    """Refuses overrides that the API reference, LaunchTemplateOverrides, does not allow.

    Raises:
        ScalingError: ValidationError; AWS documents no texts for these.
    """
    kinds = [override.get("InstanceType") for override in overrides if override.get("InstanceType")]
    weights = [override.get("WeightedCapacity") for override in overrides]
    if len(overrides) > MOST_OVERRIDES or len(set(kinds)) != len(kinds):
        raise validation_error(f"Overrides can name up to {MOST_OVERRIDES} instance types, each once.")
    if any(weights) and not all(weights):
        raise validation_error(
            "If you specify WeightedCapacity for one instance type, you must specify it for all of them."
        )
    if not all(str(weight).isdigit() and 1 <= int(weight) <= HEAVIEST for weight in weights if weight):
        raise validation_error(f"WeightedCapacity must be in the range of 1-{HEAVIEST}.")
    required = [override for override in overrides if "InstanceRequirements" in override]
    if len(required) > MOST_REQUIREMENTS or (required and kinds):
        raise validation_error(
            f"Up to {MOST_REQUIREMENTS} sets of InstanceRequirements can be specified, without InstanceType."
        )


def by_attributes(overrides: list[dict[str, Any]]) -> bool:
    """Returns whether overrides choose instance types by attributes."""
    return any("InstanceRequirements" in override for override in overrides)


def overrides_of(configuration: Configuration) -> list[dict[str, Any]]:
    """Returns the overrides of a configuration's mixed policy: none for a launch template alone."""
    policy = configuration.get("MixedInstancesPolicy") or {}
    found: list[dict[str, Any]] = policy.get("LaunchTemplate", {}).get("Overrides") or []
    return found


def specification_of(configuration: Configuration, override_index: int | None = None) -> dict[str, Any]:
    """Returns which template a launch is from: an override's own one, where it has one."""
    if "LaunchTemplate" in configuration:
        found: dict[str, Any] = configuration["LaunchTemplate"]
        return found
    launch = configuration["MixedInstancesPolicy"]["LaunchTemplate"]
    override = launch["Overrides"][override_index] if override_index is not None else {}
    own: dict[str, Any] = override.get("LaunchTemplateSpecification") or launch["LaunchTemplateSpecification"]
    return own


def find(backend: Any, specification: dict[str, Any]) -> tuple[Any, Any]:
    """Returns EC2's launch template and the version of it that a specification means now.

    Raises:
        ScalingError: ValidationError, when there is none.
    """
    template_id = specification.get("LaunchTemplateId")
    name = specification.get("LaunchTemplateName")
    what = f"with template ID {template_id}" if template_id else f"with template name {name}"
    try:
        if template_id:
            template = backend.get_launch_template(template_id)
        else:
            template = backend.get_launch_template_by_name(name)
    except ServiceException as error:
        raise _unusable(f"The specified launch template, {what}, does not exist.") from error
    version = str(specification.get("Version") or "$Default")
    if version not in SPOKEN and not version.isdigit():
        raise _unusable(f"The specified launch template version, {version}, is not valid.")
    try:
        found = None if version == "0" else template.get_version(version)
    except ServiceException:
        found = None
    if found is None:
        raise _unusable(f"The specified launch template, {what}, and version {version} does not exist.")
    return template, found


def version_of(
    backend: Any, configuration: Configuration, override_index: int | None = None
) -> tuple[str, int]:
    """Returns id and number of the template version that a launch would use now; see `Engine.version_of`."""
    template, version = find(backend, specification_of(configuration, override_index))
    return str(template.id), int(version.number)


def image_of(backend: Any, configuration: Configuration) -> str:
    """Returns the ImageId of a configuration's template version, unresolved; empty when it has none."""
    _, version = find(backend, specification_of(configuration))
    return str(version.data.get("ImageId") or "")


def matches(backend: Any, member: Member, configuration: Configuration) -> bool:
    """Returns whether a member is what a launch would make now: see `Engine.matches`."""
    launched = (member.template_id, member.template_version)
    overrides = overrides_of(configuration)
    fitting: list[int | None] = [
        index
        for index, override in enumerate(overrides)
        if override.get("InstanceType") in {None, member.instance_type}
    ]
    try:
        indices = fitting if overrides else [None]
        return any(version_of(backend, configuration, index) == launched for index in indices)
    except ScalingError:
        return False


def _specification(backend: Any, given: dict[str, Any]) -> dict[str, str]:
    """Returns a specification with id, name and version.

    "You must specify either a LaunchTemplateId or a LaunchTemplateName", and "the default value is
    $Default": API reference, LaunchTemplateSpecification. The text for both or neither is the field's.
    """
    if bool(given.get("LaunchTemplateId")) == bool(given.get("LaunchTemplateName")):
        raise validation_error("Valid requests must contain either launchTemplateId or LaunchTemplateName")
    template, _ = find(backend, given)
    return {
        "LaunchTemplateId": str(template.id),
        "LaunchTemplateName": str(template.name),
        "Version": str(given.get("Version") or "$Default"),
    }


def first_strategy(overrides: list[dict[str, Any]]) -> str:
    """Returns the default OnDemandAllocationStrategy, which is another one by attributes."""
    return "lowest-price" if by_attributes(overrides) else "prioritized"


def _distribution(given: dict[str, Any], overrides: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns how On-Demand and Spot share the capacity, by API reference, InstancesDistribution."""
    distribution = {**DISTRIBUTION, "OnDemandAllocationStrategy": first_strategy(overrides), **given}
    if by_attributes(overrides) and distribution["OnDemandAllocationStrategy"] == "prioritized":
        raise validation_error(
            "The prioritized allocation strategy cannot be used with InstanceRequirements."
        )
    if distribution["SpotAllocationStrategy"] == "lowest-price":
        distribution.setdefault("SpotInstancePools", 2)
    if not 0 <= distribution["OnDemandPercentageAboveBaseCapacity"] <= 100:  # noqa: PLR2004
        raise validation_error("OnDemandPercentageAboveBaseCapacity must be between 0 and 100.")
    return distribution


def _override(backend: Any, given: dict[str, Any]) -> dict[str, Any]:
    override = dict(given)
    if "LaunchTemplateSpecification" in given:
        override["LaunchTemplateSpecification"] = _specification(
            backend, given["LaunchTemplateSpecification"]
        )
    return override


def _refuse_alias_by_attributes(backend: Any, configuration: Configuration) -> None:
    """Refuses attribute-based selection with an AMI by parameter.

    "Attribute-based instance type selection" is among what cannot be used with a Systems Manager parameter
    instead of an AMI id: user guide, "Use AWS Systems Manager parameters instead of AMI IDs", Limitations.
    """
    for index, override in enumerate(overrides_of(configuration)):
        if "InstanceRequirements" not in override:
            continue
        _, version = find(backend, specification_of(configuration, index))
        if str(version.data.get("ImageId") or "").startswith(ALIAS):
            raise validation_error(
                "You can't use a launch template that specifies a Systems Manager parameter for the AMI ID "
                "in a mixed instances policy with InstanceRequirements."
            )


def _unusable(why: str) -> ScalingError:
    return validation_error(f"You must use a valid fully-formed launch template. {why}")
