"""Auto Scaling groups: what they start, whom they have, and how they are pointed at another version."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from amifactory.aws.session import aws_errors
from amifactory.domain.fleet import Group, TemplateId, TemplateUse, Worker
from amifactory.domain.model import AmiId

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from amifactory.aws.session import AwsSession

GROUPS_AT_ONCE = 100
"""The most DescribeAutoScalingGroups returns in one answer (Auto Scaling API reference)."""
FILTER_VALUES = 200
"""The most values a request's filters take (EC2 user guide, "List and filter using the CLI and API")."""
LAUNCHING = "Launching a new EC2 instance"
"""How the description of such an activity begins (Auto Scaling user guide, "Verify a scaling activity")."""


class ScalingGroups:
    """The Auto Scaling groups of one account and region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        """Returns groups by name, a call for each hundred; those that do not exist are left out.

        Raises:
            AwsError: The call was refused.
        """
        found: dict[str, Group] = {}
        wanted = sorted(names)
        for start in range(0, len(wanted), GROUPS_AT_ONCE):
            some = wanted[start : start + GROUPS_AT_ONCE]
            with aws_errors("autoscaling"):
                paginator = self._session.autoscaling.get_paginator("describe_auto_scaling_groups")
                pages = paginator.paginate(
                    AutoScalingGroupNames=some, PaginationConfig={"PageSize": GROUPS_AT_ONCE}
                )
                for page in pages:
                    for group in page["AutoScalingGroups"]:
                        found[group["AutoScalingGroupName"]] = _to_group(group)
        return found

    def repoint(self, group: Group, versions: Mapping[TemplateId, str]) -> None:
        """Makes a group start other versions of its launch templates; running workers stay as they are.

        Args:
            group: As it is now.
            versions: Number, ``$Default`` or ``$Latest`` by template id.

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("autoscaling"):
            self._session.autoscaling.update_auto_scaling_group(
                AutoScalingGroupName=group.name, **configuration_of(group, versions)
            )

    def amis(self, workers: Collection[str]) -> dict[str, AmiId]:
        """Returns the AMI that each of these workers was started from, a call for each 200.

        Workers that are gone meanwhile are left out.

        Raises:
            AwsError: The call was refused.
        """
        found: dict[str, AmiId] = {}
        wanted = sorted(workers)
        for start in range(0, len(wanted), FILTER_VALUES):
            some = wanted[start : start + FILTER_VALUES]
            with aws_errors("ec2"):
                paginator = self._session.ec2.get_paginator("describe_instances")
                # a filter and no ids: an id that is gone would make AWS refuse them all
                pages = paginator.paginate(Filters=[{"Name": "instance-id", "Values": some}])
                reservations = [reservation for page in pages for reservation in page["Reservations"]]
            for reservation in reservations:
                for instance in reservation["Instances"]:
                    found[instance["InstanceId"]] = AmiId(instance["ImageId"])
        return found

    def boot_seconds(self, name: str, workers: Collection[str]) -> tuple[float, ...]:
        """Returns how long each of these workers took from its launch until it was in service.

        Told from the group's newest hundred activities.

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("autoscaling"):
            answer = self._session.autoscaling.describe_scaling_activities(
                AutoScalingGroupName=name, MaxRecords=100
            )
        return tuple(
            _seconds(activity["StartTime"], activity["EndTime"])
            for activity in answer["Activities"]
            if activity.get("EndTime")
            and activity["StatusCode"] == "Successful"
            and activity.get("Description", "").startswith(LAUNCHING)
            and activity["Description"].rpartition(" ")[2] in workers
        )


def configuration_of(group: Group, versions: Mapping[TemplateId, str]) -> dict[str, Any]:
    """Returns what a group starts with other versions, as UpdateAutoScalingGroup and a refresh take it.

    AWS gives both id and name of a template and takes only one of them back.
    """
    if group.policy is None:
        (use,) = group.uses
        version = versions.get(use.template_id, use.version)
        return {"LaunchTemplate": {"LaunchTemplateId": use.template_id, "Version": version}}
    policy = copy.deepcopy(dict(group.policy))
    template = policy["LaunchTemplate"]
    for place in (template, *template.get("Overrides", [])):
        if specification := place.get("LaunchTemplateSpecification"):
            specification.pop("LaunchTemplateName", None)
            template_id = specification["LaunchTemplateId"]
            if template_id in versions:
                specification["Version"] = versions[template_id]
    return {"MixedInstancesPolicy": policy}


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()


def _to_group(group: Any) -> Group:
    policy = group.get("MixedInstancesPolicy")
    return Group(
        name=group["AutoScalingGroupName"],
        uses=_uses(group, policy),
        desired=group["DesiredCapacity"],
        smallest=group["MinSize"],
        largest=group["MaxSize"],
        workers=tuple(_to_worker(instance) for instance in group.get("Instances", [])),
        by_attributes="InstanceRequirements" in str(policy or ""),
        suspended=frozenset(process["ProcessName"] for process in group.get("SuspendedProcesses", [])),
        protects_new=group.get("NewInstancesProtectedFromScaleIn", False),
        policy=policy,
    )


def _uses(group: Any, policy: Any) -> tuple[TemplateUse, ...]:
    if policy is None:
        own = group.get("LaunchTemplate")
        return (_to_use(own),) if own else ()
    overrides = policy["LaunchTemplate"].get("Overrides", [])
    inherited = [override["InstanceType"] for override in overrides if _inherits(override)]
    found = [_to_use(policy["LaunchTemplate"]["LaunchTemplateSpecification"], types=inherited)]
    for index, override in enumerate(overrides):
        if specification := override.get("LaunchTemplateSpecification"):
            types = [override["InstanceType"]] if override.get("InstanceType") else []
            found.append(_to_use(specification, override=index, types=types))
    return tuple(found)


def _inherits(override: Any) -> bool:
    return bool(override.get("InstanceType")) and not override.get("LaunchTemplateSpecification")


def _to_use(specification: Any, *, types: Collection[str] = (), override: int | None = None) -> TemplateUse:
    return TemplateUse(
        template_id=TemplateId(specification["LaunchTemplateId"]),
        template_name=specification.get("LaunchTemplateName", ""),
        version=specification.get("Version") or "$Default",
        override=override,
        instance_types=tuple(types),
    )


def _to_worker(instance: Any) -> Worker:
    template = instance.get("LaunchTemplate", {})
    version = template.get("Version", "")
    return Worker(
        instance_id=instance["InstanceId"],
        template_id=TemplateId(template["LaunchTemplateId"]) if template else None,
        version=int(version) if version.isdecimal() else None,
        state=instance["LifecycleState"],
        protected=instance.get("ProtectedFromScaleIn", False),
    )
