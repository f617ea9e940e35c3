"""Stand-ins for the worker groups that fleets name: groups of real instances of the source AMI."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.driver import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from amifactory.sandbox.state import SandboxState

INSTANCE_TYPE = "t3.large"
HEARTBEAT_SECONDS = 120
"""How long a termination hook waits to hear from its worker: those of the source AMI never say anything."""
REQUIREMENTS = {"VCpuCount": {"Min": 2, "Max": 4}, "MemoryMiB": {"Min": 4096}}
TEMPLATE_EXISTS = "InvalidLaunchTemplateName.AlreadyExistsException"
"""EC2 API reference, "Error codes": what CreateLaunchTemplate answers when the name is taken."""
PARAMETER_LOOKS, PARAMETER_SECONDS = 50, 0.1
"""How often, and how long apart, a parameter is looked for."""
USER_DATA = base64.b64encode(b"#!/bin/sh\n").decode()


@dataclass(frozen=True, kw_only=True)
class StandInGroup:
    """What a group is made of.

    Attributes:
        version: How it names what it starts: ``pinned``, ``$Default``, ``$Latest``, or ``parameter``.
        attributes: Spot instances of any type that fits, instead of on-demand ones of one type.
        protected: New workers are protected from scale-in.
        termination_hook: Name of its termination lifecycle hook.
    """

    name: str
    version: str
    workers: int
    largest: int
    attributes: bool
    protected: bool
    termination_hook: str | None


def make_groups(state: SandboxState, groups: Iterable[StandInGroup], say: Callable[[str], None]) -> None:
    """Makes the groups that do not exist yet, each with a launch template of its name.

    Raises:
        DriverError: The sandbox refuses one.
    """
    import boto3  # noqa: PLC0415 - a running sandbox that has them all is found without it
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    session = boto3.Session(
        region_name=state.region,
        aws_access_key_id=state.access_key_id,
        aws_secret_access_key=state.secret_access_key,
    )
    clients = {
        name: session.client(name, endpoint_url=state.endpoint) for name in ("ec2", "autoscaling", "ssm")
    }
    try:
        for group in groups:
            if _make(state, clients, group):
                say(f"sandbox: made group {group.name}: {group.workers} workers, {group.version}")
    except (BotoCoreError, ClientError) as error:
        raise DriverError(f"the sandbox's worker groups cannot be made: {error}") from error


def _make(state: SandboxState, clients: dict[str, Any], group: StandInGroup) -> bool:
    scaling = clients["autoscaling"]
    if scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.name])["AutoScalingGroups"]:
        return False
    template = _template(state, clients, group)
    hooks = {"LifecycleHookSpecificationList": [_hook(group)]} if group.termination_hook else {}
    try:
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=group.name,
            MinSize=0,
            MaxSize=group.largest,
            DesiredCapacity=group.workers,
            AvailabilityZones=[f"{state.region}a"],
            NewInstancesProtectedFromScaleIn=group.protected,
            **_configuration(template, group),
            **hooks,
        )
    except scaling.exceptions.AlreadyExistsFault:  # another command has made it meanwhile
        return False
    return True


def _template(state: SandboxState, clients: dict[str, Any], group: StandInGroup) -> dict[str, str]:
    """Makes, or finds, the launch template; returns how a group names it."""
    ec2 = clients["ec2"]
    data: dict[str, Any] = {
        "ImageId": state.source_ami_id,
        "IamInstanceProfile": {"Name": state.instance_profile},
        "UserData": USER_DATA,
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": group.name}]}],
    }
    if not group.attributes:
        data["InstanceType"] = INSTANCE_TYPE
    if group.version == "parameter":
        parameter = f"/sandbox/{group.name}"
        clients["ssm"].put_parameter(
            Name=parameter, Value=state.source_ami_id, Type="String", DataType="aws:ec2:image", Overwrite=True
        )
        _wait_for(clients["ssm"], parameter)
        data["ImageId"] = f"resolve:ssm:{parameter}"
    version = group.version if group.version.startswith("$") else "1"
    return {"LaunchTemplateId": _template_id(ec2, group.name, data), "Version": version}


def _template_id(ec2: Any, name: str, data: dict[str, Any]) -> str:
    """Makes a launch template unless there is one of that name; returns its id."""
    try:
        made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
    except ec2.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != TEMPLATE_EXISTS:
            raise
        (made,) = ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
    return str(made["LaunchTemplateId"])


def _wait_for(ssm: Any, parameter: str) -> None:
    """Waits until a parameter has its value: AMIs are checked after PutParameter has answered."""
    for _ in range(PARAMETER_LOOKS):
        if ssm.get_parameters(Names=[parameter])["Parameters"]:
            return
        time.sleep(PARAMETER_SECONDS)


def _configuration(template: dict[str, str], group: StandInGroup) -> dict[str, Any]:
    if not group.attributes:
        return {"LaunchTemplate": template}
    return {
        "MixedInstancesPolicy": {
            "LaunchTemplate": {
                "LaunchTemplateSpecification": template,
                "Overrides": [{"InstanceRequirements": REQUIREMENTS}],
            },
            "InstancesDistribution": {
                "OnDemandPercentageAboveBaseCapacity": 0,
                "SpotAllocationStrategy": "price-capacity-optimized",
            },
        }
    }


def _hook(group: StandInGroup) -> dict[str, Any]:
    return {
        "LifecycleHookName": group.termination_hook,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "HeartbeatTimeout": HEARTBEAT_SECONDS,
        "DefaultResult": "CONTINUE",
    }
