"""Instance refreshes: AWS's way to replace the running workers of a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.aws.scaling_groups import configuration_of
from amifactory.aws.session import aws_errors, error_code
from amifactory.domain.fleet import Group, Refresh, TemplateId
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amifactory.aws.session import AwsSession


@dataclass(frozen=True, kw_only=True)
class RefreshOptions:
    """How a refresh replaces workers, in the API's units: percentages, and seconds; None is not sent.

    Attributes:
        protected: What becomes of workers protected from scale-in: ``Wait``, ``Ignore`` or ``Refresh``.
        standby: Likewise of those in standby: ``Wait``, ``Ignore`` or ``Terminate``.
        alarms: CloudWatch alarms that end it.
    """

    min_healthy: int | None = None
    max_healthy: int | None = None
    warmup: int | None = None
    checkpoints: tuple[int, ...] = ()
    checkpoint_delay: int | None = None
    bake_time: int = 0
    protected: str = "Ignore"
    standby: str = "Ignore"
    skip_matching: bool = True
    auto_rollback: bool = True
    alarms: tuple[str, ...] = ()


class InstanceRefreshes:
    """The instance refreshes of one account's groups."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def newest(self, group: str) -> Refresh | None:
        """Returns a group's newest instance refresh; None if there was none in six weeks.

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("autoscaling"):
            answer = self._session.autoscaling.describe_instance_refreshes(
                AutoScalingGroupName=group, MaxRecords=1
            )
        found = answer["InstanceRefreshes"]
        return _to_refresh(found[0]) if found else None

    def refresh(self, group: str, refresh_id: str) -> Refresh:
        """Returns one refresh.

        Raises:
            AwsError: The call was refused, or AWS does not know it (any more).
        """
        with aws_errors("autoscaling"):
            answer = self._session.autoscaling.describe_instance_refreshes(
                AutoScalingGroupName=group, InstanceRefreshIds=[refresh_id]
            )
        if not answer["InstanceRefreshes"]:
            raise AwsError(f"instance refresh {refresh_id} of {group} is gone")
        return _to_refresh(answer["InstanceRefreshes"][0])

    def start(
        self, group: Group, options: RefreshOptions, *, versions: Mapping[TemplateId, str] | None
    ) -> str | None:
        """Starts a refresh and returns its id; None when one is under way already.

        A repeated call whose first answer was lost is told so too: there is no ClientToken.

        Args:
            versions: What the group shall start from then on; None: what it starts now.

        Raises:
            AwsError: The call was refused.
        """
        request: dict[str, Any] = {
            "AutoScalingGroupName": group.name,
            "Preferences": _preferences(options, with_rollback=versions is not None),
        }
        if versions is not None:
            request["DesiredConfiguration"] = configuration_of(group, versions)
        try:
            with aws_errors("autoscaling"):
                return str(self._session.autoscaling.start_instance_refresh(**request)["InstanceRefreshId"])
        except AwsError as error:
            if error_code(error) in {"InstanceRefreshInProgress", "InstanceRefreshInProgressFault"}:
                return None
            raise

    def cancel(self, group: str) -> None:
        """Ends the refresh under way, if there is one; what it has replaced stays replaced.

        Raises:
            AwsError: The call was refused.
        """
        self._end("cancel_instance_refresh", group)

    def roll_back(self, group: str) -> bool:
        """Makes AWS undo the refresh under way; returns whether it will.

        Raises:
            AwsError: The call was refused for another reason than that it is over or cannot be undone.
        """
        return self._end("rollback_instance_refresh", group)

    def _end(self, operation: str, group: str) -> bool:
        try:
            with aws_errors("autoscaling"):
                getattr(self._session.autoscaling, operation)(AutoScalingGroupName=group)
        except AwsError as error:
            code = str(error_code(error)).removesuffix("Fault")
            if code in {"ActiveInstanceRefreshNotFound", "IrreversibleInstanceRefresh"}:
                return False
            raise
        return True


def _preferences(options: RefreshOptions, *, with_rollback: bool) -> dict[str, Any]:
    given: dict[str, Any] = {
        "MinHealthyPercentage": options.min_healthy,
        "MaxHealthyPercentage": options.max_healthy,
        "InstanceWarmup": options.warmup,
        "CheckpointPercentages": list(options.checkpoints) or None,
        "CheckpointDelay": options.checkpoint_delay,
        "BakeTime": options.bake_time or None,
        "SkipMatching": options.skip_matching,
        "AutoRollback": options.auto_rollback and with_rollback,
        "ScaleInProtectedInstances": options.protected,
        "StandbyInstances": options.standby,
        "AlarmSpecification": {"Alarms": list(options.alarms)} if options.alarms else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _to_refresh(refresh: Any) -> Refresh:
    return Refresh(
        refresh_id=refresh["InstanceRefreshId"],
        status=refresh["Status"],
        percentage=refresh.get("PercentageComplete", 0),
        reason=refresh.get("StatusReason") or refresh.get("RollbackDetails", {}).get("RollbackReason", ""),
        started_at=refresh.get("StartTime"),
        versions=_versions(refresh.get("DesiredConfiguration", {})),
    )


def _versions(configuration: Any) -> dict[str, str]:
    template = configuration.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    places = [configuration.get("LaunchTemplate"), template.get("LaunchTemplateSpecification")]
    places += [override.get("LaunchTemplateSpecification") for override in template.get("Overrides", [])]
    return {place["LaunchTemplateId"]: place["Version"] for place in places if place and "Version" in place}
