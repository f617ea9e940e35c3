"""Launch templates: versions, the default one, aliases, removal. EC2 API reference and user guide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World

SOURCE = "ami-0debdebdebdebdeb0"
DATA = {"ImageId": SOURCE, "InstanceType": "t3.large"}


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Returns a name of its own for each test."""
    node = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return f"worker/{node}"[:120]


@pytest.fixture
def template(ec2: Any, name: str) -> str:
    """Makes a launch template and returns its id."""
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=DATA)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


@pytest.fixture
def add(ec2: Any, template: str) -> Callable[..., int]:
    """Adds a version made from version 1 and returns its number."""

    def add(*, source: str = "1", **data: Any) -> int:
        made = ec2.create_launch_template_version(
            LaunchTemplateId=template, SourceVersion=source, LaunchTemplateData=data or {"EbsOptimized": True}
        )
        return int(made["LaunchTemplateVersion"]["VersionNumber"])

    return add


@pytest.fixture
def numbers(ec2: Any, template: str) -> Callable[..., list[int]]:
    """Returns the numbers of the versions a description has."""

    def numbers(**asked: Any) -> list[int]:
        found = ec2.describe_launch_template_versions(LaunchTemplateId=template, **asked)
        return [version["VersionNumber"] for version in found["LaunchTemplateVersions"]]

    return numbers


@pytest.fixture
def parameter(client: Callable[..., Any], world: World, name: str) -> Callable[..., str]:
    """Puts an AMI's id into a parameter and returns the alias."""

    def parameter(value: str = SOURCE, kind: str = "aws:ec2:image") -> str:
        client("ssm").put_parameter(
            Name=f"/{name}", Value=value, Type="String", DataType=kind, Overwrite=True
        )
        world.work.wait(5)
        return f"resolve:ssm:/{name}"

    return parameter


@pytest.fixture
def launch(ec2: Any, template: str, described: Any, world: World) -> Callable[..., dict[str, Any]]:
    """Runs an instance from the template, perhaps a version of it, and returns its description."""

    def launch(**version: str) -> dict[str, Any]:
        chosen = {"LaunchTemplateId": template, **version}
        made = ec2.run_instances(LaunchTemplate=chosen, MinCount=1, MaxCount=1)["Instances"][0]
        world.work.wait(5)
        return dict(described(made["InstanceId"]))

    return launch


@pytest.fixture
def image_of(run: Any, described: Any) -> Callable[[str], str]:
    """Runs an instance of an ImageId and returns what its description says it is."""
    return lambda image_id: str(described(run(ImageId=image_id))["ImageId"])


def filters(**values: str) -> list[dict[str, Any]]:
    return [{"Name": key.replace("_", "-"), "Values": [value]} for key, value in values.items()]


def test_what_a_new_template_says_of_itself(ec2: Any, name: str) -> None:
    """CreateLaunchTemplate: version 1 is the default and the latest; VersionDescription is version 1's."""
    made = ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=DATA, VersionDescription="the first"
    )["LaunchTemplate"]
    assert (made["LaunchTemplateName"], made["DefaultVersionNumber"], made["LatestVersionNumber"]) == (
        name,
        1,
        1,
    )
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
    assert (version["VersionDescription"], version["DefaultVersion"]) == ("the first", True)
    assert version["LaunchTemplateData"] == DATA


def test_a_templates_own_tags_are_not_its_instances(ec2: Any, name: str) -> None:
    """TagSpecifications: "To specify the tags for the resources that are created when an instance is
    launched, you must use the TagSpecifications parameter in the launch template data structure."
    """
    own = [{"ResourceType": "launch-template", "Tags": [{"Key": "team", "Value": "ci"}]}]
    made = ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=DATA, TagSpecifications=own
    )["LaunchTemplate"]
    assert made["Tags"] == own[0]["Tags"]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"] == DATA


def test_tags_given_later_are_there_and_can_be_looked_for(ec2: Any, template: str, name: str) -> None:
    """DescribeLaunchTemplates, Filters: tag:KEY, tag-key, launch-template-name, with wild cards."""
    ec2.create_tags(Resources=[template], Tags=[{"Key": f"fleet {name}", "Value": "docker"}])
    for wanted in (
        {"Name": f"tag:fleet {name}", "Values": ["dock*"]},
        {"Name": "tag-key", "Values": [f"fleet {name}"]},
        {"Name": "launch-template-name", "Values": [name]},
    ):
        (found,) = ec2.describe_launch_templates(Filters=[wanted])["LaunchTemplates"]
        assert found["LaunchTemplateId"] == template
        assert found["Tags"] == [{"Key": f"fleet {name}", "Value": "docker"}]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"LaunchTemplateName": "no"}, "InvalidLaunchTemplateName.MalformedException"),
        ({"LaunchTemplateName": "not a name"}, "InvalidLaunchTemplateName.MalformedException"),
        ({"LaunchTemplateName": "long", "VersionDescription": "x" * 256}, "InvalidParameterValue"),
        ({"LaunchTemplateName": "token", "ClientToken": "x" * 129}, "InvalidParameterValue"),
        (
            {"LaunchTemplateName": "tagged", "TagSpecifications": [{"ResourceType": "instance", "Tags": []}]},
            "InvalidParameterValue",
        ),
    ],
)
def test_templates_that_cannot_be(
    ec2: Any, code: Callable[..., str], arguments: dict[str, Any], error: str
) -> None:
    """CreateLaunchTemplate: limits of each parameter; EC2 API error codes."""
    assert code(ec2.create_launch_template, LaunchTemplateData=DATA, **arguments) == error


def test_a_name_is_used_once(ec2: Any, template: str, name: str, code: Callable[..., str]) -> None:
    """EC2 API error codes. DeleteLaunchTemplate removes all versions and frees the name."""
    again = {"LaunchTemplateName": name, "LaunchTemplateData": DATA}
    error = "InvalidLaunchTemplateName.AlreadyExistsException"
    assert code(ec2.create_launch_template, **again) == error
    assert ec2.delete_launch_template(LaunchTemplateId=template)["LaunchTemplate"]["LatestVersionNumber"] == 1
    ask = ec2.describe_launch_template_versions
    assert code(ask, LaunchTemplateId=template) == "InvalidLaunchTemplateId.NotFound"
    ec2.create_launch_template(**again)


@pytest.mark.parametrize("operation", ["create_launch_template_version", "modify_launch_template"])
def test_a_template_is_named_by_id_or_by_name(
    ec2: Any, template: str, name: str, code: Callable[..., str], operation: str
) -> None:
    """ "You must specify either the launch template ID or the launch template name, but not both." """
    more: Any = {
        "create_launch_template_version": {"LaunchTemplateData": DATA},
        "modify_launch_template": {"DefaultVersion": "1"},
    }[operation]
    ask = getattr(ec2, operation)
    assert code(ask, **more) == "MissingParameter"
    assert code(ask, LaunchTemplateId=template, LaunchTemplateName=name, **more) == (
        "InvalidParameterCombination"
    )
    assert code(ask, LaunchTemplateId="lt-0123456789abcdef0", **more) == "InvalidLaunchTemplateId.NotFound"
    assert code(ask, LaunchTemplateId="worker", **more) == "InvalidLaunchTemplateId.Malformed"
    assert code(ask, LaunchTemplateName="nobody", **more) == "InvalidLaunchTemplateName.NotFoundException"


def test_a_version_has_all_of_its_source_but_snapshots(ec2: Any, template: str, add: Any) -> None:
    """CreateLaunchTemplateVersion, SourceVersion: "Snapshots applied to the block device mapping are ignored
    when creating a new version unless they are explicitly included."
    """
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40, "SnapshotId": "snap-0123456789abcdef0"}}
    second = add(BlockDeviceMappings=[disk], UserData="IyEvYmluL3NoCg==")
    third = ec2.create_launch_template_version(
        LaunchTemplateId=template,
        SourceVersion=str(second),
        LaunchTemplateData={"ImageId": "ami-0123456789abcdef0"},
        VersionDescription="promoted",
    )["LaunchTemplateVersion"]
    assert third["VersionDescription"] == "promoted"
    assert third["LaunchTemplateData"] == {
        "ImageId": "ami-0123456789abcdef0",
        "InstanceType": "t3.large",
        "UserData": "IyEvYmluL3NoCg==",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40}}],
    }


def test_without_a_source_a_version_has_only_what_is_given(ec2: Any, template: str) -> None:
    """SourceVersion: "If you omit this parameter, the new version contains only the launch parameters that
    you specify for the new version."
    """
    made = ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "t3.micro"}
    )["LaunchTemplateVersion"]
    assert made["LaunchTemplateData"] == {"InstanceType": "t3.micro"}
    assert made["DefaultVersion"] is False


def test_a_source_that_is_not_there(ec2: Any, template: str, code: Callable[..., str]) -> None:
    """EC2 API error codes: InvalidLaunchTemplateId.VersionNotFound."""
    wrong = {"LaunchTemplateId": template, "LaunchTemplateData": DATA, "SourceVersion": "7"}
    assert code(ec2.create_launch_template_version, **wrong) == "InvalidLaunchTemplateId.VersionNotFound"


def test_a_call_made_again_with_its_token_makes_nothing_new(
    ec2: Any, name: str, code: Callable[..., str]
) -> None:
    """EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests": same token, same answer; with
    other parameters IdempotentParameterMismatch.
    """
    new = {"LaunchTemplateName": name, "LaunchTemplateData": DATA, "ClientToken": f"new {name}"}
    made = [ec2.create_launch_template(**new)["LaunchTemplate"]["LaunchTemplateId"] for _ in range(2)]
    assert made[0] == made[1]
    other = {**new, "LaunchTemplateName": "another"}
    assert code(ec2.create_launch_template, **other) == "IdempotentParameterMismatch"
    version = {"LaunchTemplateId": made[0], "LaunchTemplateData": DATA, "ClientToken": f"version {name}"}
    found = [ec2.create_launch_template_version(**version)["LaunchTemplateVersion"] for _ in range(2)]
    assert [each["VersionNumber"] for each in found] == [2, 2]
    other = {**version, "LaunchTemplateData": {"InstanceType": "t3.micro"}}
    assert code(ec2.create_launch_template_version, **other) == "IdempotentParameterMismatch"
    assert len(ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]) == 2


def test_the_default_version_is_set_by_number(
    ec2: Any, template: str, add: Any, numbers: Any, code: Callable[..., str]
) -> None:
    """DefaultVersion: "The version number of the launch template to set as the default version"."""
    add()
    add()
    set_default = ec2.modify_launch_template
    assert (
        set_default(LaunchTemplateId=template, DefaultVersion="2")["LaunchTemplate"]["DefaultVersionNumber"]
        == 2
    )
    assert numbers(Versions=["$Default"]) == [2]
    for wrong in ("$Latest", "9", "two"):
        arguments = {"LaunchTemplateId": template, "DefaultVersion": wrong}
        assert code(set_default, **arguments) == "InvalidLaunchTemplateId.VersionNotFound"
    assert code(set_default, LaunchTemplateId=template) == "MissingParameter"
    assert numbers(Filters=filters(is_default_version="true")) == [2]


def test_versions_are_told_newest_first_and_none_is_left_out(add: Any, numbers: Any) -> None:
    """DescribeLaunchTemplateVersions, Examples, for the order; MaxResults: all where no size is asked for."""
    for _ in range(24):
        add()
    assert numbers() == list(range(25, 0, -1))


def test_pages_of_versions(ec2: Any, template: str, add: Any, code: Callable[..., str]) -> None:
    """MaxResults: "This value can be between 1 and 200"; NextToken."""
    for _ in range(6):
        add()
    pages = list(
        ec2.get_paginator("describe_launch_template_versions").paginate(
            LaunchTemplateId=template, PaginationConfig={"PageSize": 3}
        )
    )
    found = [[version["VersionNumber"] for version in page["LaunchTemplateVersions"]] for page in pages]
    assert found == [[7, 6, 5], [4, 3, 2], [1]]
    ask = ec2.describe_launch_template_versions
    assert code(ask, LaunchTemplateId=template, MaxResults=201) == "InvalidParameterValue"
    assert code(ask, LaunchTemplateId=template, NextToken="?") == "InvalidNextToken"


def test_pages_of_templates(ec2: Any, name: str, code: Callable[..., str]) -> None:
    """DescribeLaunchTemplates, MaxResults and NextToken: all are told, each once."""
    made = {
        ec2.create_launch_template(LaunchTemplateName=f"{name}-{number}", LaunchTemplateData=DATA)[
            "LaunchTemplate"
        ]["LaunchTemplateId"]
        for number in range(17)
    }
    asked = [{"Name": "launch-template-name", "Values": [f"{name}-*"]}]
    assert len(ec2.describe_launch_templates(Filters=asked)["LaunchTemplates"]) == 17
    pages = ec2.get_paginator("describe_launch_templates").paginate(
        Filters=asked, PaginationConfig={"PageSize": 5}
    )
    found = [template["LaunchTemplateId"] for page in pages for template in page["LaunchTemplates"]]
    assert (len(found), set(found)) == (17, made)
    assert code(ec2.describe_launch_templates, MaxResults=201) == "InvalidParameterValue"
    ids = sorted(made)[:2]
    named = ec2.describe_launch_templates(LaunchTemplateIds=ids)["LaunchTemplates"]
    assert [template["LaunchTemplateId"] for template in named] == ids


def test_which_versions_a_request_means(add: Any, numbers: Any) -> None:
    """Versions: "$Latest, $Default, and numbers", each once; MinVersion and MaxVersion."""
    for _ in range(4):
        add()
    assert numbers(Versions=["$Latest", "$Default"]) == [5, 1]
    assert numbers(Versions=["2", "$Latest", "5", "4"]) == [5, 4, 2]
    assert numbers(MinVersion="2", MaxVersion="3") == [3, 2]
    assert numbers(MinVersion="4") == [5, 4]
    assert numbers(MaxVersion="2") == [2, 1]


def test_versions_that_are_not_there(ec2: Any, template: str, code: Callable[..., str]) -> None:
    """EC2 API error codes."""
    ask = ec2.describe_launch_template_versions
    assert code(ask, LaunchTemplateId=template, Versions=["7"]) == "InvalidLaunchTemplateId.VersionNotFound"
    assert code(ask, LaunchTemplateId=template, MinVersion="one") == "InvalidParameterValue"
    both = {"LaunchTemplateId": template, "MinVersion": "1", "Versions": ["1"]}
    assert code(ask, **both) == "InvalidParameterCombination"


def test_versions_of_all_templates(ec2: Any, template: str, add: Any, code: Callable[..., str]) -> None:
    """Versions, without a template: "You can specify $Latest and $Default in the same request. You cannot
    specify numbers."
    """
    newest = add()
    ask = ec2.describe_launch_template_versions
    for versions, expected in ((["$Latest"], [newest]), (["$Default", "$Latest"], [newest, 1])):
        found = [
            version["VersionNumber"]
            for version in ask(Versions=versions)["LaunchTemplateVersions"]
            if version["LaunchTemplateId"] == template
        ]
        assert found == expected
    assert code(ask) == "MissingParameter"
    assert code(ask, Versions=["1"]) == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"image_id": SOURCE}, [3, 2, 1]),
        ({"instance_type": "t3.*"}, [3, 1]),
        ({"is_default_version": "false"}, [3, 2]),
        ({"http_tokens": "required"}, [2]),
        ({"ebs_optimized": "true"}, [3]),
        ({"image_id": SOURCE, "instance_type": "m7i.large"}, [2]),
        ({"iam_instance_profile": "arn:aws:iam::123456789012:instance-profile/worker"}, [2]),
    ],
)
def test_filters_of_versions(add: Any, numbers: Any, wanted: dict[str, str], found: list[int]) -> None:
    """DescribeLaunchTemplateVersions, Filters."""
    profile = {"Arn": "arn:aws:iam::123456789012:instance-profile/worker"}
    add(InstanceType="m7i.large", MetadataOptions={"HttpTokens": "required"}, IamInstanceProfile=profile)
    add(EbsOptimized=True)
    assert numbers(Filters=filters(**wanted)) == found


def test_unknown_filters(ec2: Any, template: str, code: Callable[..., str]) -> None:
    """EC2 API error codes: InvalidParameterValue."""
    wrong = filters(colour="red")
    assert code(ec2.describe_launch_templates, Filters=wrong) == "InvalidParameterValue"
    ask = ec2.describe_launch_template_versions
    assert code(ask, LaunchTemplateId=template, Filters=wrong) == "InvalidParameterValue"


def test_versions_are_deleted_and_their_numbers_never_used_again(
    ec2: Any, template: str, add: Any, numbers: Any
) -> None:
    """DeleteLaunchTemplateVersions: HTTP 200 whatever becomes of each version. User guide, "Delete a launch
    template version": the numbers of deleted versions stay unused.
    """
    add()
    last = add()
    answer = ec2.delete_launch_template_versions(
        LaunchTemplateId=template, Versions=[str(last), "2", "1", "9"]
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [version["VersionNumber"] for version in answer["SuccessfullyDeletedLaunchTemplateVersions"]] == [
        last,
        2,
    ]
    kept = {
        version["VersionNumber"]: version["ResponseError"]["Code"]
        for version in answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    }
    assert kept == {1: "unexpectedError", 9: "launchTemplateVersionDoesNotExist"}
    assert numbers() == [1]
    assert add() == last + 1
    assert numbers(Versions=["$Latest"]) == [last + 1]


def test_at_most_200_versions_are_deleted_at_once(ec2: Any, template: str, code: Callable[..., str]) -> None:
    """DeleteLaunchTemplateVersions: "up to 200 launch template versions in a single request"."""
    many = [str(number) for number in range(2, 203)]
    ask = ec2.delete_launch_template_versions
    assert code(ask, LaunchTemplateId=template, Versions=many) == "InvalidParameterValue"
    assert code(ask, LaunchTemplateId=template, Versions=["$Latest"]) == "InvalidParameterValue"


def test_an_instance_has_what_its_version_says_not_the_default_one(
    ec2: Any, template: str, add: Any, launch: Any
) -> None:
    """RunInstances, LaunchTemplate, Version: that version's image, disks, user data and tags."""
    tags = [
        {"ResourceType": kind, "Tags": [{"Key": "fleet", "Value": kind}]} for kind in ("instance", "volume")
    ]
    version = add(
        UserData="IyEvYmluL3NoCg==",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40}}],
        TagSpecifications=tags,
        InstanceMarketOptions={"MarketType": "spot"},
        InstanceInitiatedShutdownBehavior="terminate",
    )
    found = launch(Version=str(version))
    made = found["InstanceId"]
    (volume,) = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [made]}])[
        "Volumes"
    ]
    data = ec2.describe_instance_attribute(InstanceId=made, Attribute="userData")["UserData"]["Value"]
    assert (volume["Size"], volume["Tags"]) == (40, [{"Key": "fleet", "Value": "volume"}])
    assert (data, found["InstanceLifecycle"]) == ("IyEvYmluL3NoCg==", "spot")
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {
        "fleet": "instance",
        "aws:ec2launchtemplate:id": template,
        "aws:ec2launchtemplate:version": str(version),
    }


@pytest.mark.parametrize(
    ("asked", "expected"), [("$Latest", "2"), ("$Default", "1"), (None, "1"), ("2", "2")]
)
def test_which_version_an_instance_is_launched_from(
    add: Any, launch: Any, asked: str | None, expected: str
) -> None:
    """LaunchTemplateSpecification, Version: number, $Latest, $Default; "Default: The default version"."""
    add()
    tags = {tag["Key"]: tag["Value"] for tag in launch(**({"Version": asked} if asked else {}))["Tags"]}
    assert tags["aws:ec2launchtemplate:version"] == expected


def test_a_launch_from_what_is_not_there(ec2: Any, template: str, code: Callable[..., str]) -> None:
    """EC2 API error codes."""

    def launched(**chosen: str) -> str:
        return code(ec2.run_instances, LaunchTemplate=chosen, MinCount=1, MaxCount=1)

    assert launched(LaunchTemplateId=template, Version="7") == "InvalidLaunchTemplateId.VersionNotFound"
    assert launched(LaunchTemplateId="lt-0123456789abcdef0") == "InvalidLaunchTemplateId.NotFound"
    assert launched(LaunchTemplateName="nobody") == "InvalidLaunchTemplateName.NotFoundException"


def test_an_alias_is_shown_unless_what_it_means_is_asked_for(
    ec2: Any, template: str, add: Any, parameter: Any
) -> None:
    """ResolveAlias: "If true, and if a Systems Manager parameter is specified for ImageId, the AMI ID is
    displayed [...]. If false [...], the parameter is displayed".
    """
    alias = parameter()
    version = str(add(ImageId=alias))
    ask = ec2.describe_launch_template_versions
    for resolve, expected in ((False, alias), (True, SOURCE)):
        (found,) = ask(LaunchTemplateId=template, Versions=[version], ResolveAlias=resolve)[
            "LaunchTemplateVersions"
        ]
        assert found["LaunchTemplateData"]["ImageId"] == expected


def test_an_alias_means_what_the_parameter_says_at_launch(
    client: Callable[..., Any], parameter: Any, image_of: Callable[[str], str], name: str
) -> None:
    """EC2 user guide, "Reference AMIs using Systems Manager parameters": NAME, NAME:VERSION, NAME:LABEL."""
    alias = parameter()
    client("ssm").label_parameter_version(Name=f"/{name}", Labels=["prod"])
    assert [image_of(form) for form in (alias, f"{alias}:1", f"{alias}:prod")] == [SOURCE] * 3


def test_an_alias_is_looked_at_when_it_is_used(
    add: Any, launch: Any, parameter: Any, run: Any, code: Callable[..., str]
) -> None:
    """A parameter, version or label that is not there: the template can be made, and not be used."""
    version = add(ImageId="resolve:ssm:/nobody")
    assert code(launch, Version=str(version)) == "SsmInvalidParameter"
    alias = parameter()
    assert code(run, ImageId=f"{alias}:9") == "SsmInvalidParameter"
    assert code(run, ImageId=f"{alias}:nobody") == "SsmInvalidParameter"


def test_an_alias_is_a_parameter_of_the_data_type_for_amis(
    ec2: Any, template: str, parameter: Any, run: Any, code: Callable[..., str]
) -> None:
    """ "Unsupported data type. The following parameter data types are supported: aws:ec2:image", as was seen
    when a template was made: https://github.com/aws/aws-cdk/issues/26712.
    """
    text = parameter(kind="text")
    assert code(run, ImageId=text) == "SsmInvalidParameter"
    wrong = {"LaunchTemplateId": template, "LaunchTemplateData": {"ImageId": text}}
    assert code(ec2.create_launch_template_version, **wrong) == "SsmInvalidParameter"
