"""Attribute-based instance type selection: which instance types have the attributes that are asked for.

API reference, InstanceRequirements. AWS takes the cheapest; the sandbox knows no prices and takes the
smallest. A requirement that it cannot judge is refused when the group is made.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from amifactory.sandbox.scaling.errors import not_in_the_sandbox, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024
MANUFACTURERS = {"AMD": "amd", "AWS": "amazon-web-services", "Apple": "apple", "Intel": "intel"}

Type = dict[str, Any]


def check(requirements: dict[str, Any]) -> None:
    """Refuses requirements that lack what is required, or that the sandbox cannot judge.

    Raises:
        ScalingError: ValidationError.
    """
    for name in ("VCpuCount", "MemoryMiB"):
        if "Min" not in (requirements.get(name) or {}):
            raise validation_error(f"InstanceRequirements must specify {name} with a Min.")
    if requirements.get("AllowedInstanceTypes") and requirements.get("ExcludedInstanceTypes"):
        raise validation_error("You can't specify both AllowedInstanceTypes and ExcludedInstanceTypes.")
    if unknown := sorted(set(requirements) - set(TESTS) - WITHOUT_EFFECT):
        raise not_in_the_sandbox(f"InstanceRequirements.{unknown[0]}")


def matching(requirements: dict[str, Any], architecture: str) -> list[str]:
    """Returns the names of the instance types that fit, for AMIs of an architecture; smallest first."""
    asked = {"BareMetal": "excluded", "BurstablePerformance": "excluded", **requirements}
    found = [
        kind
        for kind in INSTANCE_TYPES.values()
        if architecture in kind["ProcessorInfo"]["SupportedArchitectures"]
        and all(TESTS[name](kind, value) for name, value in asked.items() if name in TESTS)
    ]
    found.sort(key=lambda kind: (_cpus(kind), _memory(kind), kind["InstanceType"]))
    return [str(kind["InstanceType"]) for kind in found]


def _cpus(kind: Type) -> int:
    return int(kind["VCpuInfo"]["DefaultVCpus"])


def _memory(kind: Type) -> int:
    return int(kind["MemoryInfo"]["SizeInMiB"])


def _within(value: float, limits: dict[str, float]) -> bool:
    return limits.get("Min", value) <= value <= limits.get("Max", value)


def _named(kind: Type, patterns: list[str]) -> bool:
    return any(fnmatchcase(kind["InstanceType"], pattern) for pattern in patterns)


def _may_be(flag: str) -> Callable[[Type, str], bool]:
    """Returns the test for a property that is ``included``, ``required`` or ``excluded``."""

    def test(kind: Type, asked: str) -> bool:
        return asked == "included" or bool(kind.get(flag)) == (asked == "required")

    return test


def _generation(kind: Type, asked: list[str]) -> bool:
    return ("current" if kind["CurrentGeneration"] else "previous") in asked


def _manufacturer(kind: Type, asked: list[str]) -> bool:
    return MANUFACTURERS.get(kind["ProcessorInfo"].get("Manufacturer", "")) in asked


TESTS: dict[str, Callable[[Type, Any], bool]] = {
    "VCpuCount": lambda kind, limits: _within(_cpus(kind), limits),
    "MemoryMiB": lambda kind, limits: _within(_memory(kind), limits),
    "MemoryGiBPerVCpu": lambda kind, limits: _within(_memory(kind) / MIB / _cpus(kind), limits),
    "AllowedInstanceTypes": lambda kind, patterns: not patterns or _named(kind, patterns),
    "ExcludedInstanceTypes": lambda kind, patterns: not _named(kind, patterns),
    "BareMetal": _may_be("BareMetal"),
    "BurstablePerformance": _may_be("BurstablePerformanceSupported"),
    "LocalStorage": _may_be("InstanceStorageSupported"),
    "InstanceGenerations": _generation,
    "CpuManufacturers": _manufacturer,
}
WITHOUT_EFFECT = {
    "MaxSpotPriceAsPercentageOfOptimalOnDemandPrice",
    "OnDemandMaxPricePercentageOverLowestPrice",
    "SpotMaxPricePercentageOverLowestPrice",
}
"""Limits to prices, which the sandbox does not have."""
