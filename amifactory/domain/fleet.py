"""A fleet as AWS has it: its group, the launch templates it starts workers from, its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from amifactory.domain.model import AmiId, Architecture

TemplateId = NewType("TemplateId", str)
PARAMETER_PREFIX = "resolve:ssm:"
"""How a launch template names an AMI by an SSM parameter (EC2 user guide, "Use a Systems Manager parameter
instead of an AMI ID")."""

SERVING = frozenset({"InService", "Pending", "Pending:Wait", "Pending:Proceed"})
"""Lifecycle states of workers that serve or soon will; the others are on their way out or set aside."""
PAUSING = frozenset({"InstanceRefresh", "Launch", "Terminate"})
"""Processes without which an instance refresh waits for ever and does not say so (Auto Scaling user guide,
"Suspend and resume processes")."""
ACTIVE = frozenset({"Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress"})
"""States of an instance refresh that is not over (API reference, InstanceRefresh)."""


class Pointer(StrEnum):
    """How a group says which version of a launch template it starts."""

    NUMBER = "pinned"
    DEFAULT = "$Default"
    LATEST = "$Latest"


@dataclass(frozen=True, kw_only=True)
class TemplateUse:
    """One place in which a group names a launch template.

    Attributes:
        version: As the group has it: a number, ``$Default`` or ``$Latest``.
        override: Index in the policy's overrides; None for the group's, or the policy's, own.
        instance_types: Those the group asks for in this place; empty: the template's.
    """

    template_id: TemplateId
    template_name: str
    version: str
    override: int | None = None
    instance_types: tuple[str, ...] = ()

    @property
    def pointer(self) -> Pointer:
        """Returns how the version is named."""
        return Pointer(self.version) if self.version.startswith("$") else Pointer.NUMBER


@dataclass(frozen=True, kw_only=True)
class Worker:
    """An instance of a group; ``version`` is the number its template's version had at its launch."""

    instance_id: str
    template_id: TemplateId | None
    version: int | None
    state: str
    protected: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    """An Auto Scaling group.

    Attributes:
        by_attributes: Chooses instance types by attributes (``InstanceRequirements``).
        suspended: Names of suspended processes.
        policy: Its mixed-instances policy in AWS's words, only to be given back to AWS.
    """

    name: str
    uses: tuple[TemplateUse, ...]
    desired: int
    smallest: int = 0
    largest: int = 0
    workers: tuple[Worker, ...] = ()
    by_attributes: bool = False
    suspended: frozenset[str] = frozenset()
    protects_new: bool = False
    policy: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        """Returns whether there is no worker to replace, and none is wanted."""
        return self.desired == 0 and not self.workers

    def versions_in_use(self, versions: Mapping[TemplateId, int]) -> tuple[int, int]:
        """Returns how many serving workers are of the given versions, and how many of others."""
        serving = [worker for worker in self.workers if worker.state in SERVING]
        current = sum(is_of(worker, versions) for worker in serving)
        return current, len(serving) - current


def is_of(worker: Worker, versions: Mapping[TemplateId, int]) -> bool:
    """Returns whether a worker was launched from one of the given versions."""
    return worker.template_id is not None and versions.get(worker.template_id) == worker.version


@dataclass(frozen=True, kw_only=True)
class Template:
    """A launch template and the numbers of two of its versions."""

    template_id: TemplateId
    name: str
    default: int
    latest: int


@dataclass(frozen=True, kw_only=True)
class TemplateVersion:
    """A version of a launch template; its content never changes (EC2 user guide, "Launch template versions").

    Attributes:
        image: As the template has it: an AMI id, or ``resolve:ssm:`` and a parameter.
    """

    template_id: TemplateId
    number: int
    image: str
    instance_type: str | None = None
    description: str = ""

    @property
    def parameter(self) -> Parameter | None:
        """Returns the parameter that names the AMI, if one does."""
        if not self.image.startswith(PARAMETER_PREFIX):
            return None
        name, _, selector = self.image.removeprefix(PARAMETER_PREFIX).partition(":")
        return Parameter(name=name, selector=selector)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """An SSM parameter that names an AMI; ``selector`` is a version, a label or empty."""

    name: str
    selector: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.selector}" if self.selector else self.name

    @property
    def label(self) -> str | None:
        """Returns the label that chooses the value; None without one."""
        return self.selector if self.selector and not self.selector.isdecimal() else None

    @property
    def fixed(self) -> bool:
        """Returns whether it is bound to one version, so that nothing can move it."""
        return self.selector.isdecimal()


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """An instance refresh.

    Attributes:
        versions: Launch-template versions it wants, by template id, if it has a desired configuration.
    """

    refresh_id: str
    status: str
    percentage: int = 0
    reason: str = ""
    started_at: datetime | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Returns whether it is not over."""
        return self.status in ACTIVE


@dataclass(frozen=True, kw_only=True)
class InEffect:
    """What a place in a group starts now.

    Attributes:
        number: The version in effect.
        image: Its AMI as the template has it.
        ami_id: The AMI that means; None if its parameter has no value.
        architecture: The AMI's; None if the AMI is gone.
        instance_type: The version's own.
        unfit_types: Instance types that the group asks for here and that cannot run the AMI's architecture.
    """

    use: TemplateUse
    number: int
    image: str
    ami_id: AmiId | None
    architecture: Architecture | None
    parameter: Parameter | None = None
    instance_type: str | None = None
    unfit_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FleetFacts:
    """Everything that was found out about one fleet's group before anything is planned.

    Attributes:
        group: None when there is no such group.
        refresh: The newest instance refresh, if there has been one.
    """

    name: str
    group: Group | None
    in_effect: tuple[InEffect, ...] = ()
    refresh: Refresh | None = None
