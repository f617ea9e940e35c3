"""What of moto the sandbox serves. The rest is refused: moto would often pretend, and nothing be done."""

from __future__ import annotations

SERVICES = frozenset({"autoscaling", "ec2", "iam", "kms", "monitoring", "s3", "secretsmanager", "ssm", "sts"})

AUTOSCALING = frozenset(
    {
        "CancelInstanceRefresh",
        "CompleteLifecycleAction",
        "CreateAutoScalingGroup",
        "CreateOrUpdateTags",
        "DeleteAutoScalingGroup",
        "DeleteLifecycleHook",
        "DeleteTags",
        "DescribeAutoScalingGroups",
        "DescribeAutoScalingInstances",
        "DescribeInstanceRefreshes",
        "DescribeLifecycleHooks",
        "DescribeScalingActivities",
        "DescribeTags",
        "DetachInstances",
        "EnterStandby",
        "ExitStandby",
        "PutLifecycleHook",
        "RecordLifecycleActionHeartbeat",
        "ResumeProcesses",
        "RollbackInstanceRefresh",
        "SetDesiredCapacity",
        "SetInstanceHealth",
        "SetInstanceProtection",
        "StartInstanceRefresh",
        "SuspendProcesses",
        "TerminateInstanceInAutoScalingGroup",
        "UpdateAutoScalingGroup",
    }
)
"""Groups, their instances, hooks and refreshes; not moto's, see `amifactory.sandbox.scaling`."""

AUTOSCALING_INSTEAD = {
    "AttachInstances": "have the group launch its instances",
    "CreateLaunchConfiguration": "use a launch template",
    "LaunchInstances": "use SetDesiredCapacity",
    "PutScalingPolicy": "use SetDesiredCapacity",
    "PutScheduledUpdateGroupAction": "use SetDesiredCapacity",
}
"""What to do without some of the rest."""

CLOUDWATCH = frozenset({"DeleteAlarms", "DescribeAlarms", "PutMetricAlarm", "SetAlarmState"})
"""Metric alarms, which an instance refresh looks at. Their state is what SetAlarmState says."""

SSM = frozenset(
    {
        "AddTagsToResource",
        "DeleteParameter",
        "DeleteParameters",
        "DescribeParameters",
        "GetParameter",
        "GetParameterHistory",
        "GetParameters",
        "GetParametersByPath",
        "LabelParameterVersion",
        "ListTagsForResource",
        "PutParameter",
        "RemoveTagsFromResource",
        "UnlabelParameterVersion",
    }
)
"""Parameter Store only: moto reports commands as successful without running them."""

EC2 = frozenset(
    {
        "AssociateIamInstanceProfile",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CopyImage",
        "CreateImage",
        "CreateKeyPair",
        "CreateLaunchTemplate",
        "CreateLaunchTemplateVersion",
        "CreateSecurityGroup",
        "CreateTags",
        "DeleteKeyPair",
        "DeleteLaunchTemplate",
        "DeleteLaunchTemplateVersions",
        "DeleteSecurityGroup",
        "DeleteSnapshot",
        "DeleteTags",
        "DeleteVolume",
        "DeregisterImage",
        "DescribeAccountAttributes",
        "DescribeAvailabilityZones",
        "DescribeIamInstanceProfileAssociations",
        "DescribeImageAttribute",
        "DescribeImages",
        "DescribeInstanceAttribute",
        "DescribeInstanceStatus",
        "DescribeInstanceTypeOfferings",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeKeyPairs",
        "DescribeLaunchTemplateVersions",
        "DescribeLaunchTemplates",
        "DescribeNetworkInterfaces",
        "DescribeRegions",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeSnapshotAttribute",
        "DescribeSnapshots",
        "DescribeSubnets",
        "DescribeTags",
        "DescribeVolumes",
        "DescribeVpcAttribute",
        "DescribeVpcs",
        "DisableImage",
        "DisableImageDeprecation",
        "DisableImageDeregistrationProtection",
        "DisassociateIamInstanceProfile",
        "EnableImage",
        "EnableImageDeprecation",
        "EnableImageDeregistrationProtection",
        "GetConsoleOutput",
        "GetInstanceMetadataDefaults",
        "GetLaunchTemplateData",
        "ImportKeyPair",
        "ModifyImageAttribute",
        "ModifyInstanceAttribute",
        "ModifyInstanceMetadataDefaults",
        "ModifyInstanceMetadataOptions",
        "ModifyLaunchTemplate",
        "ModifySnapshotAttribute",
        "RebootInstances",
        "ReplaceIamInstanceProfileAssociation",
        "ResetImageAttribute",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "RunInstances",
        "StartInstances",
        "StopInstances",
        "TerminateInstances",
    }
)
"""What is done or told as on AWS. Security groups are kept and filter nothing."""

EC2_INSTEAD = {
    "AllocateAddress": "an Elastic IP address would lead nowhere",
    "AttachVolume": "its instances have one disk",
    "CopySnapshot": "copy the AMI instead",
    "CreateFleet": "use RunInstances",
    "CreateSnapshot": "it keeps disks as AMIs only, by CreateImage",
    "CreateSnapshots": "it keeps disks as AMIs only, by CreateImage",
    "CreateSubnet": "its instances are in the default VPC",
    "CreateVolume": "its instances have one disk",
    "CreateVpc": "its instances are in the default VPC",
    "ImportImage": "it makes AMIs by CreateImage and CopyImage only",
    "ImportSnapshot": "it makes AMIs by CreateImage and CopyImage only",
    "RegisterImage": "it makes AMIs by CreateImage and CopyImage only",
    "RequestSpotFleet": "use RunInstances",
    "RequestSpotInstances": "use RunInstances with InstanceMarketOptions",
}
"""What to do without some of the rest."""

S3_REFUSED = (
    "Abac",
    "Analytics",
    "Annotation",
    "BucketMetadata",
    "DirectoryBuckets",
    "IntelligentTiering",
    "Inventory",
    "Metrics",
    "RenameObject",
    "Torrent",
)
"""Parts of names of operations that moto takes for others."""


KEPT: dict[str, tuple[frozenset[str], dict[str, str], str]] = {
    "autoscaling": (
        AUTOSCALING,
        AUTOSCALING_INSTEAD,
        "of Auto Scaling it has groups, their instances, lifecycle hooks and instance refresh",
    ),
    "ec2": (EC2, EC2_INSTEAD, "of EC2 it has what making and running AMIs takes"),
    "monitoring": (CLOUDWATCH, {}, "of CloudWatch it has metric alarms, whose state SetAlarmState sets"),
    "ssm": (SSM, {}, "of Systems Manager it has Parameter Store"),
}
"""Of services that are there in part: operations, what to do without some others, what to say of the rest."""


PARTS: dict[str, tuple[frozenset[str], dict[str, str], str]] = {
    "autoscaling": (
        AUTOSCALING,
        AUTOSCALING_INSTEAD,
        "of Auto Scaling it has groups, their instances, lifecycle hooks and instance refresh",
    ),
    "ec2": (EC2, EC2_INSTEAD, "of EC2 it has what making and running AMIs takes"),
    "monitoring": (CLOUDWATCH, {}, "of CloudWatch it has metric alarms, whose state SetAlarmState sets"),
    "ssm": (SSM, {}, "of Systems Manager it has Parameter Store"),
}
"""Services there in part: their operations, what to do without some others, what to say of the rest."""


def refusal(service: str, operation: str) -> str | None:
    """Returns why the sandbox does not answer an operation, or None when it does."""
    if service not in SERVICES:
        return f"it has {', '.join(sorted(SERVICES))}"
    if service == "s3" and any(part in operation for part in S3_REFUSED):
        return "it has buckets, objects and their versions"
    if service not in PARTS:
        return None
    operations, instead, rest = PARTS[service]
    return None if operation in operations else instead.get(operation, rest)
