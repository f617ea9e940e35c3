"""What of moto the sandbox serves. The rest is refused: moto would often pretend, and nothing be done."""

from __future__ import annotations

SERVICES = frozenset({"ec2", "iam", "kms", "s3", "secretsmanager", "ssm", "sts"})

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

EC2_REFUSED = {
    "AllocateAddress": "an Elastic IP address would lead nowhere",
    "AttachVolume": "its instances have one disk",
    "CopySnapshot": "copy the AMI instead",
    "CreateFleet": "use RunInstances",
    "CreateSnapshot": "it keeps disks as AMIs only, by CreateImage",
    "CreateSnapshots": "it keeps disks as AMIs only, by CreateImage",
    "ImportImage": "it makes AMIs by CreateImage and CopyImage only",
    "ImportSnapshot": "it makes AMIs by CreateImage and CopyImage only",
    "RegisterImage": "it makes AMIs by CreateImage and CopyImage only",
    "RequestSpotFleet": "use RunInstances",
    "RequestSpotInstances": "use RunInstances with InstanceMarketOptions",
}


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
    if service == "ssm" and operation not in SSM:
        return "of Systems Manager it has Parameter Store"
    if service == "s3" and any(part in operation for part in S3_REFUSED):
        return "it has buckets, objects and their versions"
    return EC2_REFUSED.get(operation) if service == "ec2" else None
