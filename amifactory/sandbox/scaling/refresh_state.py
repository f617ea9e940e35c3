"""What an instance refresh is: its preferences, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from amifactory.sandbox.scaling.model import Configuration, Group


class Status(StrEnum):
    """API reference, InstanceRefresh, Status."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    BAKING = "Baking"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    ROLLBACK_FAILED = "RollbackFailed"
    ROLLBACK_SUCCESSFUL = "RollbackSuccessful"


ACTIVE = frozenset(
    {Status.PENDING, Status.IN_PROGRESS, Status.BAKING, Status.CANCELLING, Status.ROLLBACK_IN_PROGRESS}
)


class Protected(StrEnum):
    """What becomes of instances protected from scale-in."""

    WAIT = "Wait"
    IGNORE = "Ignore"
    REFRESH = "Refresh"


class Standby(StrEnum):
    """What becomes of instances in Standby."""

    WAIT = "Wait"
    IGNORE = "Ignore"
    TERMINATE = "Terminate"


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """Preferences of a refresh with every default filled in (API reference, RefreshPreferences).

    Attributes:
        max_healthy: None when neither the request nor the group's maintenance policy says, which is not the
            same as 100.
        warmup, checkpoint_delay, bake: Seconds of the sandbox's clock.
        checkpoints: Percentages, ascending.
        given: As the request had them.
    """

    min_healthy: int = 90
    max_healthy: int | None = None
    warmup: int = 0
    checkpoints: tuple[int, ...] = ()
    checkpoint_delay: int = 3600
    skip_matching: bool = False
    auto_rollback: bool = False
    protected: Protected = Protected.WAIT
    standby: Standby = Standby.WAIT
    alarms: tuple[str, ...] = ()
    bake: int = 0
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A rollback, and how far the refresh was when it began (API reference, RollbackDetails)."""

    reason: str
    started_at: datetime
    percent: int
    to_update: int


@dataclass(kw_only=True)
class Patience:
    """Since when, by the clock, a refresh cannot go on, and why.

    Attributes:
        blocked: Only instances are left that it has to wait for.
        short: Instances that are wanted were not launched.
        troubled: A new instance was unhealthy or gone before it was ready, and none became ready since.
        unproven: New instances that were not ready yet when last looked at.
        proven: New instances that were ready once.
    """

    blocked: float | None = None
    short: float | None = None
    troubled: float | None = None
    unproven: set[str] = field(default_factory=set)
    proven: set[str] = field(default_factory=set)

    def rest(self) -> None:
        """Forgets what was waited for: a paused refresh does not run out of time."""
        self.blocked = self.short = self.troubled = None


@dataclass(kw_only=True)
class Refresh:
    """An instance refresh of one group.

    Attributes:
        desired: The desired configuration as groups keep configurations; None when none was given.
        desired_given: The same as the request had it.
        status_reason: Of the status; texts are not documented by AWS except for the warm-up's.
        before: Ids of the instances there were when replacing began; all others are new.
        originals: Ids of the instances to replace.
        terminated: Ids of the instances that it terminated.
        checkpoints: Percentages not reached yet.
        hold_until, bake_until: By the clock; None when there is nothing to wait for.
        to_update: Instances that are still to be replaced.
    """

    refresh_id: str
    group: str
    preferences: Preferences
    desired: Configuration | None = None
    desired_given: Configuration | None = None
    status: Status = Status.PENDING
    status_reason: str | None = None
    started_at: datetime | None = None
    started: float = 0.0
    ended_at: datetime | None = None
    ended: float | None = None
    percent: int = 0
    to_update: int = 0
    before: set[str] = field(default_factory=set)
    originals: set[str] = field(default_factory=set)
    terminated: set[str] = field(default_factory=set)
    checkpoints: tuple[int, ...] = ()
    hold_until: float | None = None
    bake_until: float | None = None
    rollback: Rollback | None = None
    patience: Patience = field(default_factory=Patience)


def active(group: Group) -> Refresh | None:
    """Returns the group's refresh that has not ended yet; there is at most one."""
    newest = group.refreshes[0] if group.refreshes else None
    return newest if isinstance(newest, Refresh) and newest.status in ACTIVE else None


def specifications(configuration: Configuration) -> list[dict[str, str]]:
    """Returns every launch template specification in a configuration, the overrides' own ones too."""
    if "LaunchTemplate" in configuration:
        return [configuration["LaunchTemplate"]]
    template = configuration.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    found = [template.get("LaunchTemplateSpecification")]
    found += [override.get("LaunchTemplateSpecification") for override in template.get("Overrides") or []]
    return [specification for specification in found if specification]


def numbered(configuration: Configuration) -> bool:
    """Returns whether every template version is a number, so that launches cannot change by themselves."""
    return all(str(given.get("Version", "")).isdigit() for given in specifications(configuration))
