"""Launch templates: making, changing and removing them and their versions. EC2 API reference."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult

from amifactory.sandbox.ec2_aliases import check_alias
from amifactory.sandbox.ec2_responses import plain
from amifactory.sandbox.ec2_template_model import check_description
from amifactory.sandbox.ec2_template_queries import template_answer, version_answer
from amifactory.sandbox.ec2_world import ec2_error, tags_of

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_TOKEN = 128
"""CreateLaunchTemplate and others, ClientToken: "Maximum 128 ASCII characters"."""
MOST_DELETED = 200
"""DeleteLaunchTemplateVersions: "You can delete up to 200 launch template versions in a single request"."""


def once(operation: str, work: Callable[[Any, dict[str, Any]], dict[str, Any]]) -> Callable[[Any], Any]:
    """Returns an operation that does its work once per ClientToken and then repeats its answer.

    EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests".
    """

    def call(response: Any) -> Any:
        backend, asked = response.ec2_backend, plain(response.params)
        response.error_on_dryrun()
        token = asked.get("ClientToken") or ""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise ec2_error(
                "InvalidParameterValue",
                f"ClientToken has more than {LONGEST_TOKEN} characters or non-ASCII ones.",
            )
        made = backend.once(operation, token, asked)
        if made is None:
            made = work(backend, asked)
            backend.remember(operation, token, asked, made)
        return ActionResult(made)

    return call


def _create(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """The template's own tags are not its instances': those are in LaunchTemplateData (TagSpecifications)."""
    specifications = asked.get("TagSpecifications", [])
    for specification in specifications:
        kind = specification.get("ResourceType")
        if kind != "launch-template":
            raise ec2_error(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
    data = asked["LaunchTemplateData"]
    check_alias(backend, data.get("ImageId"))
    tags = {"launch-template": tags_of(specifications, "launch-template")}
    template = backend.create_launch_template(
        asked["LaunchTemplateName"], asked.get("VersionDescription"), data, tags
    )
    return {"LaunchTemplate": template_answer(template)}


def _create_version(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """A version has all that SourceVersion has and the request does not, but snapshot ids of block devices.

    EC2 API reference, CreateLaunchTemplateVersion, SourceVersion. A structure or list that the request gives
    replaces the whole inherited one: AWS does not say so, nor otherwise.
    """
    template = backend.find_template(asked)
    check_description(asked.get("VersionDescription"))
    data = asked["LaunchTemplateData"]
    if asked.get("SourceVersion"):
        data = {**_inherited(template, asked["SourceVersion"]), **data}
    check_alias(backend, data.get("ImageId"))
    version = template.create_version(data, asked.get("VersionDescription"))
    return {"LaunchTemplateVersion": version_answer(version, resolve=bool(asked.get("ResolveAlias")))}


def _inherited(template: Any, source: str) -> dict[str, Any]:
    data: dict[str, Any] = deepcopy(template.get_version(source).data)
    for mapping in data.get("BlockDeviceMappings", []):
        mapping.get("Ebs", {}).pop("SnapshotId", None)
    return data


def _modify(backend: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """The default version is named by its number: ModifyLaunchTemplate, DefaultVersion."""
    template = backend.find_template(asked)
    wanted = asked.get("DefaultVersion")
    if wanted is None:
        raise ec2_error("MissingParameter", "The request must contain the parameter DefaultVersion")
    if not str(wanted).isdigit():
        raise ec2_error(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {wanted} for the launch template with ID {template.id}.",
        )
    template.default_version_number = template.get_version(wanted).number
    return {"LaunchTemplate": template_answer(template)}


def delete_launch_template(response: Any) -> Any:
    """DeleteLaunchTemplate: the template and all its versions."""
    response.error_on_dryrun()
    backend = response.ec2_backend
    template = backend.find_template(plain(response.params))
    answer = template_answer(template)
    backend.delete_launch_template(None, template.id)
    return ActionResult({"LaunchTemplate": answer})


def delete_launch_template_versions(response: Any) -> Any:
    """DeleteLaunchTemplateVersions: HTTP 200 with an error for each version that stays.

    AWS documents neither the code nor the text for the default version, and of its codes only one fits.
    """
    response.error_on_dryrun()
    asked = plain(response.params)
    numbers = asked["Versions"]
    template = response.ec2_backend.find_template(asked)
    if len(numbers) > MOST_DELETED:
        raise ec2_error(
            "InvalidParameterValue", f"At most {MOST_DELETED} versions can be deleted in one request."
        )
    for number in numbers:
        if not number.isdigit():
            raise ec2_error("InvalidParameterValue", f"'{number}' is not a version number.")
    deleted, kept = [], []
    for number in numbers:
        named = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": int(number),
        }
        error = _delete_version(template, int(number))
        if error is None:
            deleted.append(named)
        else:
            kept.append({**named, "ResponseError": error})
    return ActionResult(
        {
            "SuccessfullyDeletedLaunchTemplateVersions": deleted,
            "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
        }
    )


def _delete_version(template: Any, number: int) -> dict[str, str] | None:
    """Deletes a version, or returns why it stays."""
    if number == template.default_version_number:
        message = f"The default version {number} of launch template {template.id} cannot be deleted."
        return {"Code": "unexpectedError", "Message": message}
    for version in template.versions:
        if version.number == number:
            template.versions.remove(version)
            return None
    message = f"Could not find the specified version {number} for the launch template with ID {template.id}."
    return {"Code": "launchTemplateVersionDoesNotExist", "Message": message}


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "create_launch_template": once("CreateLaunchTemplate", _create),
    "create_launch_template_version": once("CreateLaunchTemplateVersion", _create_version),
    "modify_launch_template": once("ModifyLaunchTemplate", _modify),
    "delete_launch_template": delete_launch_template,
    "delete_launch_template_versions": delete_launch_template_versions,
}
