"""Groups and members as the API describes them. API reference, AutoScalingGroup, Instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amifactory.sandbox.scaling.model import Group, Member

DEFAULTS = {"DefaultCooldown": 300, "HealthCheckType": "EC2"}


def group_view(group: Group, *, instances: bool = True) -> dict[str, Any]:
    """Returns a group as DescribeAutoScalingGroups has it; what is not set is left out."""
    view = {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "MinSize": group.smallest,
        "MaxSize": group.largest,
        "DesiredCapacity": group.desired,
        "AvailabilityZones": group.zones,
        "LoadBalancerNames": [],
        "TargetGroupARNs": [],
        "TrafficSources": [],
        "HealthCheckGracePeriod": group.grace_period,
        "Instances": [instance_view(member) for member in group.members] if instances else [],
        "CreatedTime": group.created_at,
        "SuspendedProcesses": [
            {"ProcessName": name, "SuspensionReason": group.suspensions.get(name, "")}
            for name in sorted(group.suspended)
        ],
        "VPCZoneIdentifier": ",".join(group.subnets),
        "EnabledMetrics": [],
        "Tags": [tag_view(group, tag) for tag in group.tags],
        "TerminationPolicies": group.termination_policies,
        "NewInstancesProtectedFromScaleIn": group.protect_new,
        "DefaultInstanceWarmup": group.default_warmup,
        "InstanceMaintenancePolicy": group.maintenance_policy,
        "Status": "Delete in progress" if group.deleting else None,
        **DEFAULTS,
        **group.other,
        **group.configuration,
    }
    return {name: value for name, value in view.items() if value is not None}


def instance_view(member: Member) -> dict[str, Any]:
    """Returns a member as the group's description has it."""
    view: dict[str, Any] = {
        "InstanceId": member.instance_id,
        "InstanceType": member.instance_type,
        "AvailabilityZone": member.zone,
        "LifecycleState": member.state,
        "HealthStatus": "Healthy" if member.healthy else "Unhealthy",
        "LaunchTemplate": {
            "LaunchTemplateId": member.template_id,
            "LaunchTemplateName": member.template_name,
            "Version": str(member.template_version),
        },
        "ProtectedFromScaleIn": member.protected,
    }
    if member.weight > 1:
        view["WeightedCapacity"] = str(member.weight)
    return view


def details_view(group: Group, member: Member) -> dict[str, Any]:
    """Returns a member as DescribeAutoScalingInstances has it, where health is in capitals."""
    view = instance_view(member)
    return {**view, "AutoScalingGroupName": group.name, "HealthStatus": view["HealthStatus"].upper()}


def tag_view(group: Group, tag: dict[str, Any]) -> dict[str, Any]:
    """Returns a group's tag as the API has it."""
    return {"ResourceId": group.name, "ResourceType": "auto-scaling-group", **tag}
