"""What StartInstanceRefresh and RollbackInstanceRefresh refuse, and preferences with their defaults.

Ranges: API reference, RefreshPreferences, and its model. The text for AutoRollback without a desired
configuration and the form of "validation errors detected" are what clients in the field report; AWS documents
the other refusals, not their texts, and not whether what "isn't supported" is refused or fails later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling.errors import ScalingError, not_in_the_sandbox, validation_error
from amifactory.sandbox.scaling.refresh_batches import WHOLE
from amifactory.sandbox.scaling.refresh_state import (
    Preferences,
    Protected,
    Standby,
    numbered,
    specifications,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.sandbox.scaling.engine import Engine
    from amifactory.sandbox.scaling.model import Configuration, Group
    from amifactory.sandbox.scaling.refresh_state import Refresh

RANGES: dict[str, tuple[int, int | None]] = {
    "MinHealthyPercentage": (0, 100),
    "MaxHealthyPercentage": (100, 200),
    "InstanceWarmup": (0, None),
    "CheckpointDelay": (0, 172800),
    "BakeTime": (0, 172800),
}
CHOICES = {
    "ScaleInProtectedInstances": ["Refresh", "Ignore", "Wait"],
    "StandbyInstances": ["Terminate", "Ignore", "Wait"],
}
STRATEGIES = ["Rolling", "ReplaceRootVolume"]
MOST_ALARMS = 10
MOST_APART = 100

ALIAS = "resolve:ssm:"

IRREVERSIBLE = (
    "The request failed because a desired configuration was not found or an incompatible launch template "
    "(uses a Systems Manager parameter instead of an AMI ID) or launch template version ($Latest or "
    "$Default) is present on the Auto Scaling group."
)
"""API reference, RollbackInstanceRefresh, errors."""


def check_shape(given: dict[str, Any]) -> None:
    """Refuses values that the API's model does not allow.

    Raises:
        ScalingError: ValidationError.
    """
    found = list(_violations(given))
    if found:
        many = "s" if len(found) > 1 else ""
        raise validation_error(f"{len(found)} validation error{many} detected: {'; '.join(found)}")


def check_strategy(given: dict[str, Any]) -> None:
    """Refuses the strategy ReplaceRootVolume, which the sandbox lacks."""
    if given.get("Strategy") == "ReplaceRootVolume":
        raise not_in_the_sandbox("the instance refresh strategy ReplaceRootVolume")


def desired_configuration(engine: Engine, group: Group, given: dict[str, Any]) -> Configuration | None:
    """Returns the request's desired configuration as groups keep configurations; None when it has none.

    Raises:
        ScalingError: ValidationError: no or two kinds of it, no such template or version; the group or the
            desired configuration selects instance types by attributes, or the AMI by a parameter.
    """
    desired = given.get("DesiredConfiguration")
    if desired is None:
        return None
    named = [kind for kind in ("LaunchTemplate", "MixedInstancesPolicy") if kind in desired]
    if len(named) != 1:
        raise validation_error(
            "The desired configuration must have either a launch template or a mixed instances policy."
        )
    _refuse_attributes(group, desired, "DesiredConfiguration")
    configuration = engine.normalised(group, {named[0]: desired[named[0]]})
    _refuse_parameter(engine, group, configuration, "DesiredConfiguration")
    return configuration


def preferences(engine: Engine, group: Group, given: dict[str, Any]) -> Preferences:
    """Returns a request's preferences; what it leaves out is the group's, or AWS's default.

    Raises:
        ScalingError: ValidationError: they contradict each other or the group.
    """
    asked = given.get("Preferences") or {}
    desired = given.get("DesiredConfiguration")
    policy = group.maintenance_policy or {}
    lowest = asked.get("MinHealthyPercentage", policy.get("MinHealthyPercentage", 90))
    highest = asked.get("MaxHealthyPercentage", policy.get("MaxHealthyPercentage"))
    _check_bounds(asked, lowest, highest)
    _check_checkpoints(asked)
    alarms = tuple((asked.get("AlarmSpecification") or {}).get("Alarms") or ())
    if len(alarms) > MOST_ALARMS:
        raise validation_error(f"You can specify up to {MOST_ALARMS} alarms.")
    if asked.get("SkipMatching") and not desired:
        _refuse_attributes(group, {}, "SkipMatching")
        _refuse_parameter(engine, group, group.configuration, "SkipMatching")
    if asked.get("AutoRollback"):
        _check_auto_rollback(engine, group, desired)
    own_warmup = group.grace_period if group.default_warmup is None else group.default_warmup
    return Preferences(
        min_healthy=lowest,
        max_healthy=highest,
        warmup=asked.get("InstanceWarmup", own_warmup),
        checkpoints=tuple(asked.get("CheckpointPercentages") or ()),
        checkpoint_delay=asked.get("CheckpointDelay", 3600),
        skip_matching=bool(asked.get("SkipMatching")),
        auto_rollback=bool(asked.get("AutoRollback")),
        protected=Protected(asked.get("ScaleInProtectedInstances", "Wait")),
        standby=Standby(asked.get("StandbyInstances", "Wait")),
        alarms=alarms,
        bake=asked.get("BakeTime", 0),
        given=dict(asked),
    )


def check_rollback(engine: Engine, group: Group, refresh: Refresh) -> None:
    """Refuses to roll a refresh back that has no way back.

    Raises:
        ScalingError: IrreversibleInstanceRefresh.
    """
    if refresh.desired is None or not _reversible(engine, group):
        raise ScalingError("IrreversibleInstanceRefresh", IRREVERSIBLE)


def _violations(given: dict[str, Any]) -> Iterator[str]:
    asked = given.get("Preferences") or {}
    if given.get("Strategy", STRATEGIES[0]) not in STRATEGIES:
        yield _not_among("strategy", given["Strategy"], STRATEGIES)
    for name, (least, most) in RANGES.items():
        yield from _outside(_path(name), asked.get(name), least, most)
    for percent in asked.get("CheckpointPercentages") or []:
        yield from _outside(_path("CheckpointPercentages"), percent, 1, WHOLE)
    for name, choices in CHOICES.items():
        if name in asked and asked[name] not in choices:
            yield _not_among(_path(name), asked[name], choices)


def _path(name: str) -> str:
    return f"preferences.{name[0].lower()}{name[1:]}"


def _outside(path: str, value: int | None, least: int, most: int | None) -> Iterator[str]:
    failed = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value"
    if value is not None and value < least:
        yield f"{failed} greater than or equal to {least}"
    if value is not None and most is not None and value > most:
        yield f"{failed} less than or equal to {most}"


def _not_among(path: str, value: str, choices: list[str]) -> str:
    failed = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set:"
    return f"{failed} [{', '.join(choices)}]"


def _check_bounds(asked: dict[str, Any], lowest: int, highest: int | None) -> None:
    """API reference, RefreshPreferences, MaxHealthyPercentage."""
    if "MaxHealthyPercentage" in asked and "MinHealthyPercentage" not in asked:
        raise validation_error(
            "If you specify MaxHealthyPercentage, you must also specify MinHealthyPercentage."
        )
    if highest is not None and highest - lowest > MOST_APART:
        raise validation_error(
            "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than "
            f"{MOST_APART}."
        )


def _check_checkpoints(asked: dict[str, Any]) -> None:
    """API reference, RefreshPreferences, CheckpointPercentages and CheckpointDelay."""
    percentages = asked.get("CheckpointPercentages") or []
    if list(percentages) != sorted(set(percentages)):
        raise validation_error("The CheckpointPercentages must be unique and in ascending order.")
    if "CheckpointDelay" in asked and not percentages:
        raise validation_error("If you specify CheckpointDelay, you must also specify CheckpointPercentages.")


def _check_auto_rollback(engine: Engine, group: Group, desired: dict[str, Any] | None) -> None:
    """API reference, RefreshPreferences, AutoRollback."""
    if not desired:
        raise validation_error(
            "The request isn't valid. The AutoRollback parameter cannot be set to true when the "
            "DesiredConfiguration parameter is empty. Set AutoRollback to false or specify a desired "
            "configuration and try again."
        )
    if not _reversible(engine, group):
        raise validation_error(
            "The AutoRollback parameter cannot be set to true when the Auto Scaling group uses the launch "
            "template's $Latest or $Default version, or a Systems Manager parameter instead of an AMI ID."
        )


def _reversible(engine: Engine, group: Group) -> bool:
    """Returns whether the saved configuration says for good what is launched from it."""
    return numbered(group.configuration) and not _by_parameter(engine, group, group.configuration)


def _by_parameter(engine: Engine, group: Group, configuration: Configuration) -> bool:
    return any(
        engine.image_of(group, {"LaunchTemplate": given}).startswith(ALIAS)
        for given in specifications(configuration)
    )


def _refuse_attributes(group: Group, desired: dict[str, Any], what: str) -> None:
    """User guide, "How an instance refresh works", limitations: attribute-based instance selection."""
    policy = desired.get("MixedInstancesPolicy") or {}
    overrides = (policy.get("LaunchTemplate") or {}).get("Overrides") or []
    if group.by_attributes or any("InstanceRequirements" in override for override in overrides):
        raise validation_error(
            f"The {what} parameter isn't supported for an Auto Scaling group with attribute-based instance "
            "type selection (InstanceRequirements). Start the instance refresh without it."
        )


def _refuse_parameter(engine: Engine, group: Group, configuration: Configuration, what: str) -> None:
    """User guide, "Use AWS Systems Manager parameters instead of AMI IDs", limitations."""
    if _by_parameter(engine, group, configuration):
        raise validation_error(
            f"The {what} parameter isn't supported for a launch template that specifies a Systems Manager "
            "parameter instead of an AMI ID. Start the instance refresh without it."
        )
