"""What a group launches next: which override, of which type, On-Demand or Spot, in which subnet.

API reference, InstancesDistribution: OnDemandBaseCapacity first, then OnDemandPercentageAboveBaseCapacity.
Instance types are taken in the order of the overrides, as ``prioritized`` does: the sandbox has no prices.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.scaling import requirements, templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.sandbox.scaling.model import Group

FEW = 3
"""How many of the types that fit attributes are tried."""


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One way to launch a member.

    Attributes:
        instance_type: None for the template's own.
    """

    override: int | None = None
    instance_type: str | None = None
    spot: bool = False
    weight: int = 1


def picks(backend: Any, group: Group) -> Iterator[Pick]:
    """Yields the ways to launch the next member, best first.

    Raises:
        ScalingError: There is no such template (any more).
        moto.core.exceptions.ServiceException: There is no such AMI.
    """
    configuration = group.launches
    policy = configuration.get("MixedInstancesPolicy")
    if policy is None:
        yield Pick(spot=_asks_for_spot(backend, configuration))
        return
    spot = _spot_next(group, policy["InstancesDistribution"])
    overrides = templates.overrides_of(configuration)
    if not overrides:
        yield Pick(spot=spot)
    for index, override in enumerate(overrides):
        weight = int(override.get("WeightedCapacity") or 1)
        for kind in _types(backend, configuration, index):
            yield Pick(override=index, instance_type=kind, spot=spot, weight=weight)


def subnet(backend: Any, group: Group) -> Any:
    """Returns the subnet in whose zone the group has the fewest members."""
    members = Counter(member.zone for member in group.members if member.counts)
    if group.subnets:
        subnets = [backend.get_subnet(subnet_id) for subnet_id in group.subnets]
    else:
        subnets = [backend.get_subnet(backend.default_subnet_id(zone)) for zone in group.zones]
    return min(subnets, key=lambda found: members[found.availability_zone])


def _types(backend: Any, configuration: dict[str, Any], index: int) -> list[str | None]:
    override = templates.overrides_of(configuration)[index]
    required = override.get("InstanceRequirements")
    if required is None:
        return [override.get("InstanceType")]
    _, version = templates.find(backend, templates.specification_of(configuration, index))
    ami = backend.image(version.data.get("ImageId"))
    return list(requirements.matching(required, ami.architecture)[:FEW])


def _spot_next(group: Group, distribution: dict[str, Any]) -> bool:
    counted = [member for member in group.members if member.counts]
    total = sum(member.weight for member in counted) + 1
    base = min(total, int(distribution["OnDemandBaseCapacity"]))
    share = int(distribution["OnDemandPercentageAboveBaseCapacity"]) / 100
    on_demand = base + math.ceil((total - base) * share)
    return sum(member.weight for member in counted if not member.spot) >= on_demand


def _asks_for_spot(backend: Any, configuration: dict[str, Any]) -> bool:
    _, version = templates.find(backend, templates.specification_of(configuration))
    market = version.data.get("InstanceMarketOptions") or {}
    return bool(market.get("MarketType") == "spot")
