"""What of moto the sandbox serves. The rest is refused: moto would often pretend, and nothing be done."""

from __future__ import annotations

SERVICES = frozenset({"autoscaling", "ec2", "iam", "kms", "s3", "secretsmanager", "ssm", "sts"})

AUTOSCALING = frozenset(
    {
        "CompleteLifecycleAction",
        "DescribeAutoScalingInstances",
        "DescribeLifecycleHooks",
        "RecordLifecycleActionHeartbeat",
    }
)
"""What an instance asks for that is to be terminated; not moto's, see `amifactory.sandbox.autoscaling`."""

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
        "DisassociateIamInstanceProfile",
        "EnableImage",
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


def refusal(service: str, operation: str) -> str | None:
    """Returns why the sandbox does not answer an operation, or None when it does."""
    if service not in SERVICES:
        return f"it has {', '.join(sorted(SERVICES))}"
    if service == "autoscaling" and operation not in AUTOSCALING:
        return "of Auto Scaling it has the lifecycle actions of instances that were given notice"
    if service == "ssm" and operation not in SSM:
        return "of Systems Manager it has Parameter Store"
    if service == "s3" and any(part in operation for part in S3_REFUSED):
        return "it has buckets, objects and their versions"
    if service == "ec2" and operation not in EC2:
        return EC2_INSTEAD.get(operation, "of EC2 it has what making and running AMIs takes")
    return None
