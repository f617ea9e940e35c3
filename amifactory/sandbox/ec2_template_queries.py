"""DescribeLaunchTemplates and DescribeLaunchTemplateVersions: filters, ranges, pages. EC2 API reference."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult

from amifactory.sandbox.ec2_aliases import resolve_alias
from amifactory.sandbox.ec2_responses import plain
from amifactory.sandbox.ec2_world import check_id, ec2_error
from amifactory.sandbox.images_query import pattern, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LARGEST_PAGE = 200
"""Both operations, MaxResults: "This value can be between 1 and 200"."""


def template_answer(template: Any) -> dict[str, Any]:
    """Returns a launch template as EC2 describes it."""
    return {
        "CreateTime": template.create_time,
        "CreatedBy": created_by(template),
        "DefaultVersionNumber": template.default_version_number,
        "LatestVersionNumber": template.latest_version_number,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Tags": [{"Key": key, "Value": value} for key, value in tags(template).items()],
    }


def version_answer(version: Any, *, resolve: bool = False) -> dict[str, Any]:
    """Returns a version as EC2 describes it; ``resolve`` (ResolveAlias) shows the AMI an alias means now."""
    template, data = version.template, dict(version.data)
    if "UserData" in data:
        data["UserData"] = str(data["UserData"])
    if resolve and data.get("ImageId"):
        data["ImageId"] = resolve_alias(template.ec2_backend, data["ImageId"])
    return {
        "CreateTime": version.create_time,
        "CreatedBy": created_by(template),
        "DefaultVersion": template.is_default(version),
        "LaunchTemplateData": data,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionDescription": version.description,
        "VersionNumber": version.number,
    }


def created_by(template: Any) -> str:
    """Returns who made a template: here everybody is the account's root."""
    return f"arn:aws:iam::{template.ec2_backend.account_id}:root"


def tags(template: Any) -> dict[str, str]:
    """Returns the template's tags, with those it was given later."""
    return dict(template.ec2_backend.tags.get(template.id, {}))


def _text(value: object) -> list[str]:
    """Returns what a filter's values are compared with."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [] if value is None else [str(value)]


def _of(*path: str) -> Callable[[Any], list[str]]:
    """Returns what finds a value in a version's data."""

    def find(version: Any) -> list[str]:
        value: Any = version.data
        for name in path:
            value = (value or {}).get(name)
        return _text(value)

    return find


def _cards(version: Any) -> list[str]:
    interfaces = version.data.get("NetworkInterfaces", [])
    return [str(nic["NetworkCardIndex"]) for nic in interfaces if nic.get("NetworkCardIndex") is not None]


def _licenses(version: Any) -> list[str]:
    return [
        str(each.get("LicenseConfigurationArn")) for each in version.data.get("LicenseSpecifications", [])
    ]


VERSION_FILTERS: dict[str, Callable[[Any], list[str]]] = {
    "create-time": lambda version: [timestamp(version.create_time)],
    "ebs-optimized": _of("EbsOptimized"),
    "host-resource-group-arn": _of("Placement", "HostResourceGroupArn"),
    "http-endpoint": _of("MetadataOptions", "HttpEndpoint"),
    "http-protocol-ipv4": _of("MetadataOptions", "HttpProtocolIpv4"),
    "http-tokens": _of("MetadataOptions", "HttpTokens"),
    "iam-instance-profile": _of("IamInstanceProfile", "Arn"),
    "image-id": _of("ImageId"),
    "instance-type": _of("InstanceType"),
    "is-default-version": lambda version: _text(version.template.is_default(version)),
    "kernel-id": _of("KernelId"),
    "license-configuration-arn": _licenses,
    "network-card-index": _cards,
    "ram-disk-id": _of("RamDiskId"),
}
"""DescribeLaunchTemplateVersions, Filters. An alias is compared as it is written: AWS does not say."""


def _template_values(template: Any, name: str) -> list[str]:
    """Returns what a filter of DescribeLaunchTemplates is compared with."""
    if name.startswith("tag:"):
        return _text(tags(template).get(name.removeprefix("tag:")))
    found: dict[str, list[str]] = {
        "create-time": [timestamp(template.create_time)],
        "launch-template-name": [template.name],
        "tag-key": list(tags(template)),
    }
    if name not in found:
        raise unknown_filter(name)
    return found[name]


def _version_values(version: Any, name: str) -> list[str]:
    if name not in VERSION_FILTERS:
        raise unknown_filter(name)
    return VERSION_FILTERS[name](version)


def unknown_filter(name: str) -> Exception:
    """Returns the error for a filter an operation has not."""
    return ec2_error("InvalidParameterValue", f"The filter '{name}' is invalid")


def _passes(
    item: Any, filters: Mapping[str, Iterable[str]], values_of: Callable[[Any, str], list[str]]
) -> bool:
    """Returns whether every filter lets an item through; a filter does if any of its values matches."""
    return all(
        any(pattern(value).fullmatch(text) for value in wanted for text in values_of(item, name))
        for name, wanted in filters.items()
    )


def describe_launch_templates(response: Any) -> Any:
    """DescribeLaunchTemplates: by id, by name, by filter, in pages."""
    response.error_on_dryrun()
    backend, asked = response.ec2_backend, plain(response.params)
    for template_id in asked.get("LaunchTemplateIds", []):
        check_id(template_id, prefix="lt", code="InvalidLaunchTemplateId")
    chosen = [
        *(backend.get_launch_template(template_id) for template_id in asked.get("LaunchTemplateIds", [])),
        *(backend.get_launch_template_by_name(name) for name in asked.get("LaunchTemplateNames", [])),
    ]
    filters = response._filters_from_querystring()  # noqa: SLF001 - moto's way in
    for name in filters:
        if not name.startswith("tag:") and name not in {"create-time", "launch-template-name", "tag-key"}:
            raise unknown_filter(name)
    known = {template.id: template for template in chosen or backend.launch_templates.values()}
    found = [template for template in known.values() if _passes(template, filters, _template_values)]
    shown, token = _page(found, lambda template: (template.id, 0), asked)
    return ActionResult(
        {"LaunchTemplates": [template_answer(template) for template in shown], "NextToken": token}
    )


def describe_launch_template_versions(response: Any) -> Any:
    """DescribeLaunchTemplateVersions: newest first, as in the examples of the API reference."""
    response.error_on_dryrun()
    asked = plain(response.params)
    filters = response._filters_from_querystring()  # noqa: SLF001 - moto's way in
    for name in filters:
        if name not in VERSION_FILTERS:
            raise unknown_filter(name)
    chosen = _chosen(response.ec2_backend, asked)
    found = [version for version in chosen if _passes(version, filters, _version_values)]
    shown, token = _page(found, lambda version: (version.template.id, -version.number), asked)
    resolve = bool(asked.get("ResolveAlias"))
    answers = [version_answer(version, resolve=resolve) for version in shown]
    return ActionResult({"LaunchTemplateVersions": answers, "NextToken": token})


def _chosen(backend: Any, asked: Mapping[str, Any]) -> list[Any]:
    """Returns the versions a request names, each once."""
    versions = asked.get("Versions", [])
    if not asked.get("LaunchTemplateId") and not asked.get("LaunchTemplateName"):
        templates = list(backend.launch_templates.values())
        _check_without_template(asked)
    else:
        templates = [backend.find_template(asked)]
    limits = {name: asked[name] for name in ("MinVersion", "MaxVersion") if asked.get(name)}
    if versions and limits:
        raise ec2_error(
            "InvalidParameterCombination", "Versions cannot be combined with MinVersion or MaxVersion."
        )
    if versions:
        named = [template.get_version(version) for template in templates for version in versions]
        return list({(version.template.id, version.number): version for version in named}.values())
    least, most = _number(limits, "MinVersion"), _number(limits, "MaxVersion")
    return [
        version
        for template in templates
        for version in template.versions
        if (least is None or version.number >= least) and (most is None or version.number <= most)
    ]


def _check_without_template(asked: Mapping[str, Any]) -> None:
    """Raises unless a request that names no template asks for ``$Latest``, ``$Default`` or both."""
    versions = asked.get("Versions", [])
    if not versions:
        raise ec2_error(
            "MissingParameter",
            "Specify the launch template ID or name, or $Latest or $Default as the version.",
        )
    if set(versions) - {"$Latest", "$Default"}:
        raise ec2_error(
            "InvalidParameterValue",
            "Without a launch template ID or name the versions can be $Latest and $Default only.",
        )


def _number(limits: Mapping[str, str], name: str) -> int | None:
    """Returns the first or the last version of a range; both belong to it, as field use has it."""
    value = limits.get(name)
    if value is not None and not value.isdigit():
        raise ec2_error("InvalidParameterValue", f"'{value}' is not a version number.")
    return None if value is None else int(value)


def _page(
    items: Sequence[Any], key: Callable[[Any], tuple[str, int]], asked: Mapping[str, Any]
) -> tuple[Sequence[Any], str | None]:
    """Returns one page of items ordered by key, and the token of the next if there is one."""
    size = asked.get("MaxResults")
    if size is not None and not 1 <= size <= LARGEST_PAGE:
        raise ec2_error("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid.")
    left = sorted(items, key=key)
    if asked.get("NextToken"):
        after = _read_token(asked["NextToken"])
        left = [item for item in left if key(item) > after]
    size = size or LARGEST_PAGE
    if len(left) <= size:
        return left, None
    name, number = key(left[size - 1])
    return left[:size], base64.urlsafe_b64encode(f"{name} {number}".encode()).decode()


def _read_token(token: str) -> tuple[str, int]:
    try:
        name, number = base64.b64decode(token, altchars=b"-_", validate=True).decode().split(" ")
        return name, int(number)
    except ValueError as error:
        raise ec2_error("InvalidNextToken", f"The token '{token}' is invalid") from error


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "describe_launch_templates": describe_launch_templates,
    "describe_launch_template_versions": describe_launch_template_versions,
}
