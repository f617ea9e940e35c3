"""What the ``channel`` and ``fleet`` blocks of ``factory.hcl`` may say.

Ranges and defaults of the ``refresh`` block are those of the Auto Scaling API (API reference,
RefreshPreferences and AlarmSpecification), except for the defaults of ``protected``, ``standby``,
``skip_matching`` and ``auto_rollback``: there they are the console's, or safer.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from amifactory.config import grammar
from amifactory.config.fields import (
    Duration,
    InstanceType,
    KeyConflictError,
    Model,
    Name,
    Text,
    Wait,
    at_most,
    key,
    matching,
    percent,
)
from amifactory.domain.release import Rollout

_AWS_WAIT = at_most(timedelta(hours=48), "48h")
"""BakeTime and CheckpointDelay: at most 172800 s (API reference, RefreshPreferences)."""


class Channel(Model):
    """A named pointer to a release, such as `staging`; fleets follow it."""

    name: Name = key("What the channel is called in commands.", example="staging", label=True)
    order: Annotated[StrictInt, Field(ge=1)] = key(
        "Its place among the channels: a release goes from one to the next.",
        example=2,
        default=1,
        default_text="its place in the file, from 1",
    )
    soak: Wait = key(
        "How long a release must have been current in the channel before this one.",
        example="24h",
        default=timedelta(0),
    )
    approval: Annotated[StrictStr, AfterValidator(grammar.file_name)] | None = key(
        "Executable in `hooks/factory/` that has to succeed before anything is changed.",
        example="approve-change",
        default=None,
        default_text="none",
    )


class RefreshPreferences(Model):
    """How an instance refresh replaces the workers; only with `rollout = "refresh"`."""

    min_healthy: Annotated[int, percent(0, 100)] | None = key(
        "How much of the desired capacity stays in service. `100%` launches before it terminates.",
        type_text="percentage",
        example="90%",
        default=None,
        default_text="the group's maintenance policy, else `90%`",
    )
    max_healthy: Annotated[int, percent(100, 200)] | None = key(
        "How much of the desired capacity may be in service or pending: at most 100 above `min_healthy`, "
        "which it needs. `100%` is not the same as leaving it out: it launches first where both cannot hold.",
        type_text="percentage",
        example="110%",
        default=None,
        default_text="the group's maintenance policy, else `100%`",
    )
    warmup: Wait | None = key(
        "How long a new worker has to be in service until it counts.",
        example="60s",
        default=None,
        default_text="the group's default warm-up, else its grace period",
    )
    checkpoints: tuple[Annotated[int, percent(1, 100)], ...] = key(
        "Where the refresh pauses: ascending, the last one is `100%`.",
        type_text="list of percentage",
        example=["25%", "100%"],
        default=(),
    )
    checkpoint_delay: Annotated[Wait, _AWS_WAIT] | None = key(
        "How long it pauses at each checkpoint, at most 48h. Needs `checkpoints`.",
        example="10m",
        default=None,
        default_text='`"1h"` if there are checkpoints',
    )
    bake_time: Annotated[Wait, _AWS_WAIT] = key(
        "How long the refresh watches its alarms after the last replacement, at most 48h.",
        example="5m",
        default=timedelta(0),
    )
    protected: Literal["wait", "ignore", "refresh"] = key(
        "Workers protected from scale-in. `wait`: fail after an hour; `ignore`: leave them; `refresh`: "
        "replace them, running jobs or not, which needs `kill_jobs = true`.",
        default="ignore",
    )
    standby: Literal["wait", "ignore", "terminate"] = key(
        "Workers in standby. `wait`: fail after an hour; `ignore`: leave them; `terminate`: terminate them.",
        default="ignore",
    )
    skip_matching: StrictBool = key("Leave workers alone that already are of the new version.", default=True)
    auto_rollback: StrictBool = key(
        "Go back if the refresh fails: AWS does where it can, amifactory where AWS cannot.", default=True
    )

    @model_validator(mode="after")
    def _limits_go_together(self) -> Self:
        """Max needs min and is at most 100 above it (API reference, RefreshPreferences)."""
        if self.max_healthy is None:
            return self
        if self.min_healthy is None:
            raise KeyConflictError('"max_healthy" needs "min_healthy"; give both or neither', "max_healthy")
        if self.max_healthy - self.min_healthy > 100:  # noqa: PLR2004 - said above
            message = (
                f'"max_healthy" is {self.max_healthy - self.min_healthy} above "min_healthy"; '
                "it can be at most 100 above"
            )
            raise KeyConflictError(message, "max_healthy")
        return self

    @model_validator(mode="after")
    def _checkpoints_lead_to_the_end(self) -> Self:
        """Ascending, unique, and 100 last, or workers of the old version stay (same page)."""
        if any(one >= other for one, other in pairwise(self.checkpoints)):
            raise KeyConflictError('"checkpoints" must be in ascending order, none twice', "checkpoints")
        if self.checkpoints and self.checkpoints[-1] != 100:  # noqa: PLR2004 - said above
            raise KeyConflictError('the last of "checkpoints" must be "100%"', "checkpoints")
        if self.checkpoint_delay is not None and not self.checkpoints:
            raise KeyConflictError('"checkpoint_delay" needs "checkpoints"', "checkpoint_delay")
        return self


class Health(Model):
    """What has to hold after a rollout; else the fleet goes back."""

    alarms: Annotated[tuple[Annotated[Text, Field(max_length=255)], ...], Field(max_length=10)] = key(
        "CloudWatch alarms, at most 10: none of them may be in alarm.",
        example=["ci-node-errors"],
        default=(),
    )
    command: tuple[Text, ...] = key(
        "Program and arguments, run in the factory's folder: exit code 0 is healthy.",
        example=["hooks/factory/check-fleet"],
        default=(),
    )
    workers: Annotated[StrictInt, Field(ge=1)] | None = key(
        "So many workers of the new version have to come up. Needs `for`.",
        example=2,
        default=None,
    )
    duration: Duration | None = key(
        "So long those workers have to stay up. Needs `workers`.", example="5m", default=None, alias="for"
    )
    slower_by: Annotated[float, BeforeValidator(grammar.percentage)] | None = key(
        "New workers may take so much longer from launch to service than under the release before.",
        type_text="percentage",
        example="20%",
        default=None,
        default_text="no limit",
    )

    @model_validator(mode="after")
    def _nothing_twice_or_alone(self) -> Self:
        twice = next((name for name in self.alarms if self.alarms.count(name) > 1), None)
        if twice is not None:
            raise KeyConflictError(f'alarms has "{twice}" twice', "alarms")
        if self.workers is not None and self.duration is None:
            raise KeyConflictError('"workers" needs "for", how long they have to stay up', "workers")
        if self.duration is not None and self.workers is None:
            raise KeyConflictError('"for" needs "workers", how many have to stay up', "for")
        return self


class SandboxGroup(Model):
    """What the sandbox makes this fleet's group of. AWS never sees it."""

    version: Literal["pinned", "$Default", "$Latest", "parameter"] = key(
        "How the group names what it starts: a numbered version of its launch template, the default or "
        "latest one, or an SSM parameter in the template (`resolve:ssm`).",
        default="pinned",
    )
    workers: Annotated[StrictInt, Field(ge=0)] = key("Desired capacity.", example=2, default=0)
    max: Annotated[StrictInt, Field(ge=0)] = key(
        "Maximum capacity.", example=4, default=None, default_text="`workers`, at least 4"
    )
    attributes: StrictBool = key("Choose Spot instance types by their attributes.", default=False)
    protected: StrictBool = key("New workers are protected from scale-in.", default=False)
    termination_hook: Annotated[StrictStr, matching(r"[A-Za-z0-9_/-]{1,255}", "drain")] | None = key(
        "Name of the group's termination lifecycle hook.",
        example="drain",
        default=None,
        default_text="none",
    )

    @model_validator(mode="before")
    @classmethod
    def _max_follows_workers(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("max") is None:
            workers = given.get("workers", 0)
            return {**given, "max": max(workers, 4) if isinstance(workers, int) else 4}
        return given

    @model_validator(mode="after")
    def _aws_would_take_it(self) -> Self:
        """A group that chooses by attributes cannot name its AMI by a parameter.

        Source: Auto Scaling user guide, "Use AWS Systems Manager parameters instead of AMI IDs in launch
        templates", limitations.
        """
        if self.max < self.workers:
            raise KeyConflictError(f'"max" is {self.max}, but "workers" is {self.workers}', "max")
        if self.attributes and self.version == "parameter":
            message = 'AWS has no group with "attributes" whose template names its AMI by a parameter'
            raise KeyConflictError(f"{message}; choose another version", "version")
        return self


class Fleet(Model):
    """One worker Auto Scaling group, and how a release gets into it."""

    name: Name = key("What the fleet is called in commands.", example="node", label=True)
    image: Text = key("Image of this factory that its workers start.", example="node")
    group: Annotated[StrictStr, AfterValidator(grammar.group_name)] = key(
        "Name of the Auto Scaling group; no two fleets share one.", example="ci-node"
    )
    channel: Text = key("Channel whose releases it gets.", example="staging")
    rollout: Rollout = key(
        "How workers that already run get replaced. `passive`: they leave by themselves; `drain`: the "
        "manager gives them no more jobs; `refresh`: an instance refresh.",
        example="refresh",
        default=Rollout.PASSIVE,
    )
    canary: StrictBool = key("Promote it before the channel's other fleets.", default=False)
    deadline: Duration = key("How long its rollout may take.", default=timedelta(hours=2))
    kill_jobs: StrictBool = key(
        "An instance refresh may replace workers protected from scale-in, running jobs or not.", default=False
    )
    instance_type: InstanceType | None = key(
        "Instance type to set in the new launch-template version.",
        example="m7i.large",
        default=None,
        default_text="inherited",
    )
    refresh: RefreshPreferences = key("How an instance refresh goes.", default=RefreshPreferences())
    health: Health = key("What has to hold after the rollout.", default=Health())
    sandbox: SandboxGroup = key("What the sandbox makes its group of.", default=SandboxGroup())

    @model_validator(mode="after")
    def _refresh_fits_the_rollout(self) -> Self:
        if "refresh" in self.model_fields_set and self.rollout is not Rollout.REFRESH:
            message = f'a "refresh" block needs rollout = "refresh", not "{self.rollout}"'
            raise KeyConflictError(message, "refresh")
        if self.refresh.protected == "refresh" and not self.kill_jobs:
            message = 'protected = "refresh" replaces workers with running jobs; it needs kill_jobs = true'
            raise KeyConflictError(message, "refresh", "protected")
        return self
