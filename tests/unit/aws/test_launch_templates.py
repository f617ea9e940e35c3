"""Launch templates: versions found, versions made, the default moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from amifactory.aws.launch_templates import LaunchTemplates, client_token
from amifactory.domain.fleet import Template, TemplateId, TemplateVersion
from amifactory.domain.model import AmiId
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession

TEMPLATE = TemplateId("lt-0123")


def version(number: int, **data: str) -> dict[str, Any]:
    return {"LaunchTemplateId": TEMPLATE, "VersionNumber": number, "LaunchTemplateData": data}


def test_templates_are_asked_for_200_at_a_time(ec2: Stubber, session: AwsSession) -> None:
    """EC2 API reference, DescribeLaunchTemplates: MaxResults between 1 and 200."""
    ids = [TemplateId(f"lt-{number:04}") for number in range(201)]
    for some_ids in (ids[:200], ids[200:]):
        found = [
            {
                "LaunchTemplateId": one,
                "LaunchTemplateName": f"name of {one}",
                "DefaultVersionNumber": 2,
                "LatestVersionNumber": 3,
            }
            for one in some_ids
        ]
        ec2.add_response(
            "describe_launch_templates", {"LaunchTemplates": found}, {"LaunchTemplateIds": some_ids}
        )
    found_templates = LaunchTemplates(session).templates(ids)
    assert len(found_templates) == 201
    assert found_templates[ids[7]] == Template(
        template_id=ids[7], name="name of lt-0007", default=2, latest=3
    )


def test_versions_by_number_and_those_since_one(ec2: Stubber, session: AwsSession) -> None:
    ec2.add_response(
        "describe_launch_template_versions",
        {"LaunchTemplateVersions": [version(4, ImageId="ami-1", InstanceType="t3.large")]},
        {"LaunchTemplateId": TEMPLATE, "Versions": ["4"]},
    )
    ec2.add_response(
        "describe_launch_template_versions",
        {"LaunchTemplateVersions": [{**version(6), "VersionDescription": "ours"}], "NextToken": "more"},
        {"LaunchTemplateId": TEMPLATE, "MinVersion": "5", "MaxResults": 200},
    )
    ec2.add_response(
        "describe_launch_template_versions",
        {"LaunchTemplateVersions": [version(5, ImageId="resolve:ssm:/ci/node")]},
        {"LaunchTemplateId": TEMPLATE, "MinVersion": "5", "MaxResults": 200, "NextToken": "more"},
    )
    templates = LaunchTemplates(session)
    assert templates.versions(TEMPLATE, [4]) == (
        TemplateVersion(template_id=TEMPLATE, number=4, image="ami-1", instance_type="t3.large"),
    )
    since = templates.versions_since(TEMPLATE, 4)
    assert [(one.number, one.image, one.description) for one in since] == [
        (6, "", "ours"),
        (5, "resolve:ssm:/ci/node", ""),
    ]


def test_newest_and_default_versions_of_all_templates(ec2: Stubber, session: AwsSession) -> None:
    """DescribeLaunchTemplateVersions, Versions: without a template only ``$Latest`` and ``$Default``."""
    wanted = {"Versions": ["$Latest", "$Default"], "MaxResults": 200}
    for number, more in ((4, {"NextToken": "more"}), (5, {})):
        ec2.add_response(
            "describe_launch_template_versions",
            {"LaunchTemplateVersions": [version(number)], **more},
            wanted | ({"NextToken": "more"} if not more else {}),
        )
    assert [one.number for one in LaunchTemplates(session).newest_and_default()] == [4, 5]


@pytest.mark.parametrize("instance_type", [None, "m7i.large"])
def test_a_version_differs_from_its_source_in_what_is_given_only(
    ec2: Stubber, session: AwsSession, instance_type: str | None
) -> None:
    """CreateLaunchTemplateVersion, SourceVersion: it "inherits the same launch parameters"."""
    data = {"ImageId": "ami-2"} | ({"InstanceType": instance_type} if instance_type else {})
    ec2.add_response(
        "create_launch_template_version",
        {"LaunchTemplateVersion": version(7, **data)},
        {
            "LaunchTemplateId": TEMPLATE,
            "SourceVersion": "4",
            "VersionDescription": "example release 3",
            "ClientToken": client_token(["a", 4]),
            "LaunchTemplateData": data,
        },
    )
    made = LaunchTemplates(session).make_version(
        TEMPLATE,
        source=4,
        ami_id=AmiId("ami-2"),
        instance_type=instance_type,
        description="example release 3",
        token=["a", 4],
    )
    assert made == 7


def test_a_version_that_starts_another_ami_is_not_taken(ec2: Stubber, session: AwsSession) -> None:
    ec2.add_response("create_launch_template_version", {"LaunchTemplateVersion": version(7, ImageId="ami-9")})
    with pytest.raises(AwsError, match="version 7 of lt-0123 starts ami-9, not ami-2"):
        LaunchTemplates(session).make_version(
            TEMPLATE, source=4, ami_id=AmiId("ami-2"), instance_type=None, description="", token=[]
        )


def test_the_default_is_what_aws_says_it_is_then(ec2: Stubber, session: AwsSession) -> None:
    ec2.add_response(
        "modify_launch_template",
        {"LaunchTemplate": {"DefaultVersionNumber": 8}},
        {"LaunchTemplateId": TEMPLATE, "DefaultVersion": "7"},
    )
    assert LaunchTemplates(session).set_default(TEMPLATE, 7) == 8


@given(some.lists(some.text(max_size=3) | some.integers(), max_size=3))
def test_a_token_is_the_same_for_the_same_parts_and_fits(parts: list[object]) -> None:
    """EC2 API reference, CreateLaunchTemplateVersion, ClientToken: at most 128 ASCII characters."""
    token = client_token(parts)
    assert token == client_token(list(parts))
    assert token.isascii()
    assert len(token) <= 128


def test_tokens_of_other_parts_differ_wherever_they_are_cut() -> None:
    tokens = {client_token(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""])}
    assert len(tokens) == 4
