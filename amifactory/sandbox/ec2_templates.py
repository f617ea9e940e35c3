"""CreateLaunchTemplateVersion: a version made from another one."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.responses.launch_templates import LaunchTemplates

from amifactory.sandbox.ec2_responses import plain

if TYPE_CHECKING:
    from collections.abc import Callable


def create_launch_template_version(response: Any) -> Any:
    """Makes a version that has everything SourceVersion has and the request does not give.

    All but snapshot ids of block devices: EC2 API reference, CreateLaunchTemplateVersion, SourceVersion.
    """
    backend, asked = response.ec2_backend, plain(response.params)
    token = asked.get("ClientToken")
    response.error_on_dryrun()
    made = backend.once("CreateLaunchTemplateVersion", token, asked)
    if made is not None:
        return ActionResult(made)
    if asked.get("SourceVersion"):
        given = response._get_param("LaunchTemplateData", {})  # noqa: SLF001 - moto's way in
        response.params["LaunchTemplateData"] = {**_inherited(_template(backend, asked), asked), **given}
    result: ActionResult = LaunchTemplates.create_launch_template_version(response)
    backend.remember("CreateLaunchTemplateVersion", token, asked, result.result)
    return result


def _template(backend: Any, asked: dict[str, Any]) -> Any:
    if asked.get("LaunchTemplateId"):
        return backend.get_launch_template(asked["LaunchTemplateId"])
    return backend.get_launch_template_by_name(asked["LaunchTemplateName"])


def _inherited(template: Any, asked: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = deepcopy(dict(template.get_version(asked["SourceVersion"]).data))
    for mapping in data.get("BlockDeviceMappings", []):
        mapping.get("Ebs", {}).pop("SnapshotId", None)
    return data


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "create_launch_template_version": create_launch_template_version
}
