"""What Auto Scaling keeps: groups, their members, hooks and activities. Guarded by the world's lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

PENDING, PENDING_WAIT, PENDING_PROCEED = "Pending", "Pending:Wait", "Pending:Proceed"
IN_SERVICE = "InService"
TERMINATING, TERMINATING_WAIT, TERMINATING_PROCEED = "Terminating", "Terminating:Wait", "Terminating:Proceed"
TERMINATED = "Terminated"
ENTERING_STANDBY, STANDBY = "EnteringStandby", "Standby"
"""Lifecycle states: user guide, "Amazon EC2 Auto Scaling instance lifecycle"."""

COUNTED = frozenset({PENDING, PENDING_WAIT, PENDING_PROCEED, IN_SERVICE})
LEAVING = frozenset({TERMINATING, TERMINATING_WAIT, TERMINATING_PROCEED, TERMINATED})

LAUNCHING_TRANSITION = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING_TRANSITION = "autoscaling:EC2_INSTANCE_TERMINATING"

Configuration = dict[str, Any]
"""What a group launches, in the API's words: ``{"LaunchTemplate": {"LaunchTemplateId", "Version"}}`` or
``{"MixedInstancesPolicy": {…}}``; template ids are always there, versions are kept as they were given."""


@dataclass(kw_only=True)
class Member:
    """An instance of a group.

    Attributes:
        template_id: What it was launched from, with the number the version had then; neither ever changes.
        in_service_at: By the sandbox's clock; None until it is in service.
        hook: Name of the lifecycle hook that holds it, with the action's token and when the hook lapses.
        held_until: When its hooks let go of it at the latest, signs of life or not.
        launching: Its launch as a scaling activity; None once that has ended.
        terminating: Its end as a scaling activity; None before.
    """

    instance_id: str
    instance_type: str
    zone: str
    template_id: str
    template_name: str
    template_version: int
    image_id: str
    state: str = PENDING
    healthy: bool = True
    protected: bool = False
    spot: bool = False
    weight: int = 1
    launched_at: float = 0.0
    in_service_at: float | None = None
    hook: str | None = None
    token: str | None = None
    lapses_at: float | None = None
    held_until: float | None = None
    passed_hooks: set[str] = field(default_factory=set)
    launching: Activity | None = None
    terminating: Activity | None = None

    @property
    def counts(self) -> bool:
        """Returns whether it is part of the group's capacity: on its way in or in service."""
        return self.state in COUNTED

    @property
    def leaving(self) -> bool:
        """Returns whether it is on its way out for good."""
        return self.state in LEAVING


@dataclass(kw_only=True)
class Hook:
    """A lifecycle hook; seconds are the sandbox's clock's."""

    name: str
    transition: str
    heartbeat_timeout: int = 3600
    default_result: str = "ABANDON"
    metadata: str | None = None
    target_arn: str | None = None
    role_arn: str | None = None


@dataclass(kw_only=True)
class Activity:
    """A scaling activity, as DescribeScalingActivities tells it."""

    activity_id: str
    group: str
    description: str
    cause: str
    started_at: datetime
    ended_at: datetime | None = None
    status: str = "InProgress"
    message: str | None = None
    progress: int = 0
    instance_id: str | None = None


@dataclass(kw_only=True)
class Group:
    """An Auto Scaling group.

    Attributes:
        configuration: The saved one: what UpdateAutoScalingGroup sets and a successful refresh replaces.
        pending_configuration: The desired configuration of an active refresh: what is launched meanwhile.
        surge: How many instances more than desired an active refresh wants for now.
        refreshes: Newest first; belongs to `amifactory.sandbox.scaling.refresh`.
        suspended: Names of suspended processes; ``suspensions`` has AWS's words for each.
        subnets: Of VPCZoneIdentifier; without them the default subnets of ``zones`` are used.
        other: What is kept and told and makes no difference here, by its name in the API.
        failures: Launches that have failed one after another; the next try is not before ``retry_at``.
        because: The sentence of an activity's cause that says who changed the desired capacity.
        scaled_at: When a scaling activity ended last, for HonorCooldown.
    """

    name: str
    arn: str
    region: str
    account: str
    configuration: Configuration
    desired: int
    smallest: int
    largest: int
    created_at: datetime
    members: list[Member] = field(default_factory=list)
    hooks: dict[str, Hook] = field(default_factory=dict)
    suspended: set[str] = field(default_factory=set)
    tags: list[dict[str, Any]] = field(default_factory=list)
    protect_new: bool = False
    grace_period: int = 0
    default_warmup: int | None = None
    maintenance_policy: dict[str, int] | None = None
    termination_policies: list[str] = field(default_factory=lambda: ["Default"])
    subnets: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    other: dict[str, Any] = field(default_factory=dict)
    pending_configuration: Configuration | None = None
    surge: int = 0
    refreshes: list[Any] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    deleting: bool = False
    suspensions: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    retry_at: float = 0.0
    scaled_at: float | None = None
    because: str = ""

    @property
    def launches(self) -> Configuration:
        """Returns what a new member is launched from now."""
        return self.pending_configuration or self.configuration

    @property
    def overrides(self) -> list[dict[str, Any]]:
        """Returns the overrides of its mixed-instances policy."""
        policy = self.configuration.get("MixedInstancesPolicy") or {}
        found: list[dict[str, Any]] = policy.get("LaunchTemplate", {}).get("Overrides") or []
        return found

    @property
    def capacity(self) -> int:
        """Returns how much of the desired capacity its members make up, in the units of their weights."""
        return sum(member.weight for member in self.members if member.counts)

    @property
    def by_attributes(self) -> bool:
        """Returns whether it chooses instance types by attributes (InstanceRequirements)."""
        return any("InstanceRequirements" in override for override in self.overrides)

    def member(self, instance_id: str) -> Member | None:
        """Returns a member by its instance's id."""
        return next((member for member in self.members if member.instance_id == instance_id), None)
