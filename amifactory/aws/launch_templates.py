"""Launch templates: which versions exist, which one is the default, and new ones made from old ones."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from amifactory.aws.session import aws_errors
from amifactory.domain.fleet import Template, TemplateId, TemplateVersion
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from amifactory.aws.session import AwsSession
    from amifactory.domain.model import AmiId

TEMPLATES_AT_ONCE = 200
"""The most DescribeLaunchTemplates takes and returns (EC2 API reference, DescribeLaunchTemplates)."""
PAGE_SIZE = 200
"""Likewise of DescribeLaunchTemplateVersions."""


class LaunchTemplates:
    """The launch templates of one account and region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def templates(self, ids: Collection[TemplateId]) -> dict[TemplateId, Template]:
        """Returns templates by id, a call for each 200; what does not exist is refused by AWS.

        Raises:
            AwsError: The call was refused.
        """
        found: dict[TemplateId, Template] = {}
        wanted = sorted(ids)
        for start in range(0, len(wanted), TEMPLATES_AT_ONCE):
            some = wanted[start : start + TEMPLATES_AT_ONCE]
            with aws_errors("ec2"):
                answer = self._session.ec2.describe_launch_templates(LaunchTemplateIds=some)
            for template in answer["LaunchTemplates"]:
                read = _to_template(template)
                found[read.template_id] = read
        return found

    def versions(self, template_id: TemplateId, numbers: Collection[int]) -> tuple[TemplateVersion, ...]:
        """Returns the named versions of a template, in one call; those that are deleted are refused by AWS.

        Raises:
            AwsError: The call was refused.
        """
        return self._versions(template_id, Versions=[str(number) for number in sorted(numbers)])

    def versions_since(self, template_id: TemplateId, number: int) -> tuple[TemplateVersion, ...]:
        """Returns the versions of a template that were made after one.

        Raises:
            AwsError: The call was refused.
        """
        return self._versions(template_id, MinVersion=str(number + 1))

    def newest_and_default(self) -> tuple[TemplateVersion, ...]:
        """Returns the latest and the default version of each template of the account, a call for each 200.

        These two can be asked for without naming templates (EC2 API reference,
        DescribeLaunchTemplateVersions, Versions).

        Raises:
            AwsError: The call was refused.
        """
        return self._versions(None, Versions=["$Latest", "$Default"])

    def make_version(
        self,
        template_id: TemplateId,
        *,
        source: int,
        ami_id: AmiId,
        instance_type: str | None,
        description: str,
        token: Sequence[object],
    ) -> int:
        """Makes a version that is another one but for its AMI; returns its number.

        Args:
            source: Number of the version that everything else is taken from.
            instance_type: Another one than the source's, if wanted.
            description: The version's.
            token: What makes this request the same as an earlier one, whose version is then returned.

        Raises:
            AwsError: The call was refused, or the version is not what was asked for.
        """
        data: dict[str, Any] = {"ImageId": ami_id}
        if instance_type:
            data["InstanceType"] = instance_type
        with aws_errors("ec2"):
            answer = self._session.ec2.create_launch_template_version(
                LaunchTemplateId=template_id,
                SourceVersion=str(source),
                VersionDescription=description,
                ClientToken=client_token(token),
                LaunchTemplateData=data,  # type: ignore[arg-type]
            )
        made = _to_version(answer["LaunchTemplateVersion"])
        if made.image != ami_id:
            raise AwsError(f"version {made.number} of {template_id} starts {made.image}, not {ami_id}")
        return made.number

    def set_default(self, template_id: TemplateId, number: int) -> int:
        """Makes a version the default one; returns which one AWS says is the default now.

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("ec2"):
            answer = self._session.ec2.modify_launch_template(
                LaunchTemplateId=template_id, DefaultVersion=str(number)
            )
        return answer["LaunchTemplate"]["DefaultVersionNumber"]

    def _versions(self, template_id: TemplateId | None, **query: Any) -> tuple[TemplateVersion, ...]:
        if template_id is not None:
            query["LaunchTemplateId"] = template_id
        with aws_errors("ec2"):
            paginator = self._session.ec2.get_paginator("describe_launch_template_versions")
            if template_id is None or "Versions" not in query:
                query["PaginationConfig"] = {"PageSize": PAGE_SIZE}
            pages = paginator.paginate(**query)
            return tuple(_to_version(found) for page in pages for found in page["LaunchTemplateVersions"])


def client_token(parts: Sequence[object]) -> str:
    """Returns a ClientToken that is the same for the same parts (EC2 guide, "Ensuring idempotency")."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def _to_template(template: Any) -> Template:
    return Template(
        template_id=TemplateId(template["LaunchTemplateId"]),
        name=template["LaunchTemplateName"],
        default=template["DefaultVersionNumber"],
        latest=template["LatestVersionNumber"],
    )


def _to_version(version: Any) -> TemplateVersion:
    data = version["LaunchTemplateData"]
    return TemplateVersion(
        template_id=TemplateId(version["LaunchTemplateId"]),
        number=version["VersionNumber"],
        image=data.get("ImageId", ""),
        instance_type=data.get("InstanceType"),
        description=version.get("VersionDescription", ""),
    )
