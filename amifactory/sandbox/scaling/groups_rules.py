"""What CreateAutoScalingGroup, UpdateAutoScalingGroup and DeleteAutoScalingGroup refuse.

Their API reference; texts are those that clients in the field report, where AWS documents none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling.errors import ScalingError, not_in_the_sandbox, validation_error

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.model import Group

KEPT = (
    "AvailabilityZoneDistribution",
    "CapacityRebalance",
    "Context",
    "DefaultCooldown",
    "DeletionProtection",
    "DesiredCapacityType",
    "HealthCheckType",
    "MaxInstanceLifetime",
    "PlacementGroup",
    "ServiceLinkedRoleARN",
)
"""What is kept in `Group.other`."""
MISSING = (
    "AvailabilityZoneIds",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityReservationSpecification",
    "InstanceId",
    "InstanceLifecyclePolicy",
    "LaunchConfigurationName",
    "LoadBalancerNames",
    "Operator",
    "TargetGroupARNs",
    "TrafficSources",
)
POLICIES = (
    "AllocationStrategy",
    "ClosestToNextInstanceHour",
    "Default",
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchConfiguration",
    "OldestLaunchTemplate",
)
PROTECTIONS = ("none", "prevent-force-deletion", "prevent-all-deletion")
SHORTEST_LIFETIME = 86_400


def check_supported(given: dict[str, Any]) -> None:
    """Refuses what the sandbox has not got, and values that the API reference does not allow.

    Raises:
        ScalingError: ValidationError.
    """
    for name in MISSING:
        if given.get(name):
            raise not_in_the_sandbox(name)
    if unknown := sorted(set(given.get("TerminationPolicies") or ()) - set(POLICIES)):
        raise validation_error(f"Invalid termination policy: {unknown[0]}")
    if given.get("DeletionProtection", "none") not in PROTECTIONS:
        raise validation_error(f"DeletionProtection must be one of {', '.join(PROTECTIONS)}.")
    if 0 < given.get("MaxInstanceLifetime", 0) < SHORTEST_LIFETIME:
        raise validation_error(
            "Max Instance Lifetime must be 0 or equal to or greater than 86400 seconds (1 day)."
        )
    check_maintenance_policy(given.get("InstanceMaintenancePolicy") or {})


def check_maintenance_policy(policy: dict[str, int]) -> None:
    """Refuses percentages that InstanceMaintenancePolicy does not allow; -1 and -1 clear the policy.

    "You must specify both", 0 to 100 and 100 to 200, and "the difference can't be greater than 100": API
    reference, InstanceMaintenancePolicy.

    Raises:
        ScalingError: ValidationError.
    """
    if not policy or policy == {"MinHealthyPercentage": -1, "MaxHealthyPercentage": -1}:
        return
    low, high = policy.get("MinHealthyPercentage", -1), policy.get("MaxHealthyPercentage", -1)
    if not (0 <= low <= 100 <= high <= 200):  # noqa: PLR2004
        raise validation_error(
            "MinHealthyPercentage must be between 0 and 100 and MaxHealthyPercentage between 100 and 200; "
            "to clear the policy, specify -1 for both."
        )
    if high - low > 100:  # noqa: PLR2004
        raise validation_error(
            "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100."
        )


def check_sizes(smallest: int, largest: int, desired: int) -> None:
    """Refuses a minimum above the maximum, and a desired capacity outside of both.

    Raises:
        ScalingError: ValidationError.
    """
    if smallest > largest:
        raise validation_error(
            f"Max bound, {largest}, must be greater than or equal to min bound, {smallest}"
        )
    if not smallest <= desired <= largest:
        raise validation_error(
            f"Desired capacity:{desired} must be between the specified min size:{smallest} "
            f"and max size:{largest}"
        )
    if smallest < 0:
        raise validation_error("MinSize must be at least 0")


def check_desired(group: Group, desired: int) -> None:
    """Refuses a desired capacity outside the group's limits, as SetDesiredCapacity does.

    Raises:
        ScalingError: ValidationError.
    """
    if group.smallest <= desired <= group.largest:
        return
    above = desired > group.largest
    limit = f"above max value {group.largest}" if above else f"below min value {group.smallest}"
    raise validation_error(f"New SetDesiredCapacity value {desired} is {limit} for the AutoScalingGroup.")


def zones_of(backend: Any, given: dict[str, Any]) -> tuple[list[str], list[str]] | None:
    """Returns subnets and zones that a request gives, or None when it gives neither.

    Raises:
        ScalingError: ValidationError: a subnet or zone that is not there, or one outside of the other.
    """
    subnets = [part.strip() for part in given.get("VPCZoneIdentifier", "").split(",") if part.strip()]
    zones = list(given.get("AvailabilityZones") or [])
    if not subnets and not zones:
        return None
    known = {zone.name for zone in backend.describe_availability_zones()}
    if missing := sorted(set(zones) - known):
        raise validation_error(f"One or more Availability Zones are invalid: [{missing[0]}]")
    of_subnets = sorted({subnet.availability_zone for subnet in _subnets(backend, subnets)})
    if zones and of_subnets and set(zones) != set(of_subnets):
        raise validation_error(
            "The availability zones of the specified subnets and the Auto Scaling group do not match"
        )
    return subnets, of_subnets or sorted(zones)


def _subnets(backend: Any, subnet_ids: list[str]) -> list[Any]:
    known = {subnet.id: subnet for zones in backend.subnets.values() for subnet in zones.values()}
    if missing := [subnet_id for subnet_id in subnet_ids if subnet_id not in known]:
        raise validation_error(f"The subnet ID '{missing[0]}' does not exist")
    return [known[subnet_id] for subnet_id in subnet_ids]


def refuse_deletion(group: Group, *, force: bool) -> None:
    """Refuses to delete a group that has instances, or is protected.

    Raises:
        ScalingError: ResourceInUse, as the API reference has it; ValidationError for a protected one, for
            which AWS documents no code.
    """
    protection = group.other.get("DeletionProtection", "none")
    if protection == PROTECTIONS[2] or (force and protection == PROTECTIONS[1]):
        raise validation_error(
            f"The Auto Scaling group cannot be deleted: its deletion protection is {protection}"
        )
    if group.members and not force:
        raise ScalingError(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
            "request(s) still in the group.",
        )
