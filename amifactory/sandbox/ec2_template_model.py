"""Launch templates as moto objects, with what moto gets wrong: numbers, user data, which version is meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.utils import parse_user_data

from amifactory.sandbox.ec2_world import check_id, ec2_error

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
"""EC2 API reference, CreateLaunchTemplate, LaunchTemplateName."""
LONGEST_DESCRIPTION = 255
"""EC2 API reference, CreateLaunchTemplate, VersionDescription."""


class SandboxTemplate(LaunchTemplate):
    """A launch template whose version numbers are never used again.

    EC2 user guide, "Delete a launch template or a launch template version".
    """

    __module__ = "moto.ec2.models.launch_templates"  # moto's metaclass finds the service here

    made = 0
    """How many versions there have been."""

    def create_version(self, data: dict[str, Any], description: str) -> Any:
        """Returns a new version of this content, with the next number."""
        content = {key: value for key, value in data.items() if value is not None}
        user_data = content.get("UserData")
        if user_data is not None and not isinstance(user_data, Base64EncodedString):
            content["UserData"] = parse_user_data(user_data)
        self.made += 1
        version = LaunchTemplateVersion(self, self.made, content, description)
        self.versions.append(version)
        return version

    def get_version(self, num: Any) -> Any:
        """Returns the version of a number, ``$Latest`` or ``$Default``; the default one for None."""
        wanted = str(num or "$Default")
        if wanted == "$Latest":
            return self.versions[-1]
        number = str(self.default_version_number) if wanted == "$Default" else wanted
        for version in self.versions:
            if str(version.number) == number:
                return version
        raise ec2_error(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {wanted} for the launch template with ID {self.id}.",
        )

    def default_version(self) -> Any:
        """Returns the version used where none is named."""
        return self.get_version("$Default")


class TemplatesMixin:
    """Part of the EC2 backend: the launch templates of one account and Region."""

    def create_launch_template(
        self: Any, name: str, description: str, template_data: dict[str, Any], tag_spec: dict[str, Any]
    ) -> SandboxTemplate:
        """Keeps a new template with its version 1, the default one."""
        if not NAME.fullmatch(name):
            raise ec2_error(
                "InvalidLaunchTemplateName.MalformedException",
                "A launch template name must be between 3 and 128 characters, and may contain letters, "
                "numbers, and the following characters: - ( ) . / _.",
            )
        if name in self.launch_template_name_to_ids:
            raise ec2_error(
                "InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use."
            )
        check_description(description)
        template = SandboxTemplate(self, name, template_data, description, tag_spec)  # type: ignore[abstract]
        self.launch_templates[template.id] = template
        self.launch_template_name_to_ids[name] = template.id
        return template

    def find_template(self: Any, named: Mapping[str, Any]) -> SandboxTemplate:
        """Returns the template that LaunchTemplateId or LaunchTemplateName names: one of them, never both.

        EC2 API reference, LaunchTemplateSpecification: "You must specify either the launch template ID or the
        launch template name, but not both."
        """
        template_id, name = named.get("LaunchTemplateId"), named.get("LaunchTemplateName")
        if bool(template_id) == bool(name):
            code = "InvalidParameterCombination" if name else "MissingParameter"
            raise ec2_error(
                code, "Specify either the launch template ID or the launch template name, but not both."
            )
        if name:
            return self.get_launch_template_by_name(name)  # type: ignore[no-any-return]
        check_id(str(template_id), prefix="lt", code="InvalidLaunchTemplateId")
        return self.get_launch_template(template_id)  # type: ignore[no-any-return]

    def _get_template_from_args(self: Any, launch_template_arg: Mapping[str, Any]) -> Any:
        """Returns the version that a LaunchTemplateSpecification means; moto asks this for every launch."""
        return self.find_template(launch_template_arg).get_version(launch_template_arg.get("Version"))


def check_description(description: str | None) -> None:
    """Raises unless a VersionDescription is short enough."""
    if description and len(description) > LONGEST_DESCRIPTION:
        raise ec2_error(
            "InvalidParameterValue",
            f"The launch template version description has more than {LONGEST_DESCRIPTION} characters.",
        )
