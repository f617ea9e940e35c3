"""EC2 operations on instances that moto answers wrongly or with made-up data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.responses import EC2Response
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.security_groups import SecurityGroups

from amifactory.sandbox.ec2_world import check_id, ec2_error

if TYPE_CHECKING:
    from collections.abc import Callable


LONGEST_TOKEN = 64
"""RunInstances, ClientToken: "Maximum 64 ASCII characters"."""
MODIFIABLE = {"DisableApiTermination", "DisableApiStop", "Groups", "UserData"}


def plain(parameters: Any) -> dict[str, Any]:
    """Returns a request's parameters as an ordinary dictionary that can be compared."""
    original = parameters.original_dict() if hasattr(parameters, "original_dict") else parameters
    return {key: value for key, value in dict(original).items() if key != "DryRun"}


def run_instances(response: Any) -> Any:
    """RunInstances: once per ClientToken, as many as MaxCount allows, parameters EC2 insists on."""
    backend, parameters = response.ec2_backend, plain(response.params)
    token = parameters.get("ClientToken") or ""
    response.error_on_dryrun()
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise ec2_error(
            "InvalidParameterValue",
            f"ClientToken has more than {LONGEST_TOKEN} characters or non-ASCII ones.",
        )
    made = backend.once("RunInstances", token, parameters)
    if made is not None:
        return ActionResult(made)
    least, most = (int(parameters.get(name, 1)) for name in ("MinCount", "MaxCount"))
    if not 1 <= least <= most:
        raise ec2_error("InvalidParameterValue", "MinCount must be at least 1 and at most MaxCount")
    response.params["MinCount"] = most
    for mapping in response.params.get("BlockDeviceMappings", []):
        mapping.get("Ebs", {}).setdefault("DeleteOnTermination", True)  # the AMI's, where moto says false
    result: ActionResult = InstanceResponse.run_instances(response)
    for instance in result.result.instances[1:]:  # type: ignore[attr-defined]
        _associate(backend, instance, parameters.get("IamInstanceProfile"))
    backend.remember("RunInstances", token, parameters, result.result)
    return result


def _associate(backend: Any, instance: Any, profile: dict[str, str] | None) -> None:
    if profile:
        backend.associate_iam_instance_profile(
            instance_id=instance.id,
            iam_instance_profile_name=profile.get("Name"),
            iam_instance_profile_arn=profile.get("Arn"),
        )


def get_console_output(response: Any) -> Any:
    """GetConsoleOutput: what the machine really wrote, its last 64 KiB as on EC2."""
    backend = response.ec2_backend
    instance = backend.get_instance(response._get_param("InstanceId"))  # noqa: SLF001 - moto's way in
    world = backend.world
    with world.lock.released():
        text = world.driver.console_output(instance.id)
    tail = text.encode()[-64 * 1024 :].decode(errors="ignore")
    output = Base64EncodedString.from_raw_string(tail) if tail else None
    return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})


def modify_instance_attribute(response: Any) -> Any:
    """ModifyInstanceAttribute: the attributes that change something here; moto takes others for none."""
    response.error_on_dryrun()
    asked = plain(response.params)
    if behavior := asked.get("InstanceInitiatedShutdownBehavior", {}).get("Value"):
        instance = response.ec2_backend.get_instance(asked["InstanceId"])
        instance.instance_initiated_shutdown_behavior = behavior
        return EmptyResult()
    if asked.get("EnaSupport", {}).get("Value") in {True, "true"}:
        return EmptyResult()  # every machine here has it already, as DescribeImages says of its AMI
    if not MODIFIABLE & set(asked):
        raise NotImplementedError(f"attribute {', '.join(sorted(set(asked) - {'InstanceId'}))}")
    return InstanceResponse.modify_instance_attribute(response)


def delete_security_group(response: Any) -> Any:
    """DeleteSecurityGroup: not while an instance has it, which it does until it is terminated."""
    response.error_on_dryrun()
    backend, asked = response.ec2_backend, plain(response.params)
    wanted = {asked.get("GroupId"), asked.get("GroupName")} - {None}
    for nic in backend.enis.values():
        for group in nic.group_set:
            if wanted & {group.id, group.name}:
                raise ec2_error("DependencyViolation", f"resource {group.id} has a dependent object")
    return SecurityGroups.delete_security_group(response)


def checked(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns a moto operation on instances that first refuses malformed ids."""

    def call(response: Any) -> Any:
        for instance_id in response._get_param("InstanceIds", []):  # noqa: SLF001
            check_id(instance_id, prefix="i", code="InvalidInstanceID")
        return operation(response)

    return call


def _state_change(key: str, method: str) -> Callable[[Any], Any]:
    """Returns a Start-, Stop- or TerminateInstances that reports the states there really are."""

    def call(response: Any) -> Any:
        response.error_on_dryrun()
        changes = getattr(response.ec2_backend, method)(response._get_param("InstanceIds", []))  # noqa: SLF001
        return ActionResult(
            {
                key: [
                    {
                        "InstanceId": instance.id,
                        "CurrentState": {"Code": instance.state_code, "Name": instance.state},
                        "PreviousState": {"Code": before.code, "Name": before.name},
                    }
                    for instance, before in changes
                ]
            }
        )

    return checked(call)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "run_instances": run_instances,
    "get_console_output": get_console_output,
    "delete_security_group": delete_security_group,
    "modify_instance_attribute": modify_instance_attribute,
    "start_instances": _state_change("StartingInstances", "start_instances"),
    "stop_instances": _state_change("StoppingInstances", "stop_instances"),
    "terminate_instances": _state_change("TerminatingInstances", "terminate_instances"),
    "describe_instances": checked(EC2Response.describe_instances),
    "describe_instance_status": checked(EC2Response.describe_instance_status),
    "reboot_instances": checked(EC2Response.reboot_instances),
}
