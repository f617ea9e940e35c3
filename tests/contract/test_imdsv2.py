"""Who decides that an instance answers IMDSv2 only: the launch, the account, the AMI. EC2 user guide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.sandbox.ec2_world import World

V2 = {"Value": "v2.0"}


@pytest.fixture
def make(ec2: Any, run: Callable[..., str], world: World) -> Callable[..., str]:
    """Makes an AMI of an instance of the source AMI, or of another."""
    made: list[str] = []

    def make(name: str, **options: Any) -> str:
        instance = run(**options)
        world.work.wait(5)
        made.append(ec2.create_image(InstanceId=instance, Name=f"imdsv2 {name}", NoReboot=True)["ImageId"])
        world.work.wait(5)
        return made[-1]

    return make


@pytest.fixture
def v2_only(ec2: Any, make: Callable[..., str], request: pytest.FixtureRequest) -> str:
    """Returns an AMI whose ImdsSupport is set."""
    ami = make(request.node.name[:60].replace("[", " ").replace("]", ""))
    ec2.modify_image_attribute(ImageId=ami, ImdsSupport=V2)
    return ami


@pytest.fixture
def account(ec2: Any) -> Iterator[Callable[..., None]]:
    """Sets the account's defaults until the test ends."""
    yield ec2.modify_instance_metadata_defaults
    ec2.modify_instance_metadata_defaults(
        HttpTokens="no-preference",
        HttpPutResponseHopLimit=-1,
        HttpEndpoint="no-preference",
        InstanceMetadataTags="no-preference",
    )


@pytest.fixture
def options(run: Callable[..., str], described: Callable[..., Any]) -> Callable[..., tuple[str, int]]:
    """Launches an instance and returns its HttpTokens and hop limit."""

    def options(**launch: Any) -> tuple[str, int]:
        found = described(run(**launch))["MetadataOptions"]
        return found["HttpTokens"], found["HttpPutResponseHopLimit"]

    return options


def support(ec2: Any, ami: str) -> tuple[str | None, str | None]:
    """Returns what DescribeImages and DescribeImageAttribute say."""
    attribute = ec2.describe_image_attribute(ImageId=ami, Attribute="imdsSupport")["ImdsSupport"]
    return ec2.describe_images(ImageIds=[ami])["Images"][0].get("ImdsSupport"), attribute.get("Value")


def test_an_ami_asks_for_it_and_cannot_take_that_back(
    ec2: Any, make: Callable[..., str], code: Callable[..., str]
) -> None:
    """ModifyImageAttribute, ImdsSupport: "After you set the value to v2.0, you can't undo it"."""
    ami = make("one way")
    before = support(ec2, ami)
    ec2.modify_image_attribute(ImageId=ami, Attribute="imdsSupport", Value="v2.0")
    refused = [
        code(ec2.modify_image_attribute, ImageId=ami, ImdsSupport={"Value": value}) for value in ("", "v1.0")
    ]
    ec2.modify_image_attribute(ImageId=ami, Description={"Value": "another attribute"})
    assert (before, support(ec2, ami)) == ((None, None), ("v2.0", "v2.0"))
    assert refused == ["InvalidParameterValue"] * 2


def test_copies_and_images_of_its_instances_ask_for_it_too(
    ec2: Any, v2_only: str, make: Callable[..., str], world: World
) -> None:
    """CreateImage: seen in https://github.com/hashicorp/packer-plugin-amazon/issues/472."""
    copy = ec2.copy_image(SourceImageId=v2_only, SourceRegion="eu-central-1", Name="imdsv2 copy")["ImageId"]
    world.work.wait(5)
    child = make("child", ImageId=v2_only)
    assert (support(ec2, copy), support(ec2, child)) == (("v2.0", "v2.0"), ("v2.0", "v2.0"))


def test_an_instance_of_such_an_ami_wants_tokens_that_reach_a_container(
    v2_only: str, options: Callable[..., Any]
) -> None:
    """ModifyImageAttribute, ImdsSupport: HttpTokens required, HttpPutResponseHopLimit 2."""
    assert options(ImageId=v2_only) == ("required", 2)
    assert options() == ("optional", 1)


def test_the_launch_goes_first_then_the_account_then_the_ami(
    v2_only: str, options: Callable[..., Any], account: Callable[..., None]
) -> None:
    """ "Order of precedence for instance metadata options": each option by itself."""
    account(HttpTokens="optional")
    assert options(ImageId=v2_only) == ("optional", 2)
    assert options(ImageId=v2_only, MetadataOptions={"HttpTokens": "required"}) == ("required", 2)
    account(HttpTokens="required", HttpPutResponseHopLimit=3)
    assert options() == ("required", 3)
    assert options(MetadataOptions={"HttpPutResponseHopLimit": 5}) == ("required", 5)


def test_a_launch_template_counts_as_the_launch(
    ec2: Any, options: Callable[..., Any], account: Callable[..., None]
) -> None:
    """Precedence 1: values in the launch template or in the instance configuration."""
    account(HttpTokens="optional")
    data = {"MetadataOptions": {"HttpTokens": "required"}}
    ec2.create_launch_template(LaunchTemplateName="imdsv2", LaunchTemplateData=data)
    chosen = {"LaunchTemplateName": "imdsv2"}
    assert options(LaunchTemplate=chosen) == ("required", 1)
    assert options(LaunchTemplate=chosen, MetadataOptions={"HttpTokens": "optional"}) == ("optional", 1)


def test_the_accounts_word_is_remembered_until_it_has_none(ec2: Any, account: Callable[..., None]) -> None:
    """ModifyInstanceMetadataDefaults: no-preference and -1 remove a setting; the others stay."""
    account(HttpTokens="required", HttpPutResponseHopLimit=2)
    account(HttpEndpoint="enabled")
    both = ec2.get_instance_metadata_defaults()["AccountLevel"]
    account(HttpTokens="no-preference", HttpPutResponseHopLimit=-1)
    one = ec2.get_instance_metadata_defaults()["AccountLevel"]
    assert both == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
        "ManagedBy": "account",
    }
    assert one == {"HttpEndpoint": "enabled", "ManagedBy": "account"}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"HttpTokens": "sometimes"}, "InvalidParameterValue"),
        ({"HttpPutResponseHopLimit": 65}, "InvalidParameterValue"),
        ({"HttpTokensEnforced": "enabled"}, "InvalidAction"),
    ],
)
def test_what_the_account_cannot_say_changes_nothing(
    ec2: Any, account: Callable[..., None], code: Callable[..., str], wrong: Any, error: str
) -> None:
    assert code(account, **{"HttpEndpoint": "disabled", **wrong}) == error
    assert ec2.get_instance_metadata_defaults()["AccountLevel"] == {"ManagedBy": "account"}
