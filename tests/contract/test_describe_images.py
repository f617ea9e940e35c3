"""DescribeImages: owners, filters, pages, unknown ids. EC2 API reference, DescribeImages."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World

SOURCE = "ami-0debdebdebdebdeb0"


@pytest.fixture
def name() -> str:
    """A name no other test uses."""
    return uuid.uuid4().hex


@pytest.fixture
def seven(ec2: Any, run: Callable[..., str], world: World, name: str) -> list[str]:
    """Seven images called ``name`` and a number, tagged with it; the seventh has another value."""
    instance = run()
    made = [
        ec2.create_image(InstanceId=instance, Name=f"{name} {n}", NoReboot=True)["ImageId"] for n in range(7)
    ]
    ec2.create_tags(Resources=made, Tags=[{"Key": "test", "Value": name}])
    ec2.create_tags(Resources=made[6:], Tags=[{"Key": "test", "Value": f"{name}*"}])
    world.work.wait(5)
    return made


def ids(ec2: Any, **asked: Any) -> set[str]:
    return {image["ImageId"] for image in ec2.describe_images(**asked)["Images"]}


def test_debian_is_there_and_nothing_else_is_public(ec2: Any) -> None:
    """The source AMI: the owner is Debian's account (https://wiki.debian.org/Cloud/AmazonEC2Image)."""
    found = ec2.describe_images(
        Owners=["136693071363"],
        Filters=[
            {"Name": "name", "Values": ["debian-12-amd64-*"]},
            {"Name": "root-device-type", "Values": ["ebs"]},
            {"Name": "virtualization-type", "Values": ["hvm"]},
            {"Name": "architecture", "Values": ["x86_64"]},
            {"Name": "state", "Values": ["available"]},
        ],
    )["Images"]
    assert [(image["ImageId"], image["RootDeviceName"]) for image in found] == [(SOURCE, "/dev/xvda")]
    assert ids(ec2, Filters=[{"Name": "is-public", "Values": ["true"]}]) == {SOURCE}
    assert SOURCE not in ids(ec2, Owners=["self"])


def test_pages_have_every_image_once(ec2: Any, seven: list[str]) -> None:
    """MaxResults and NextToken."""
    first = ec2.describe_images(Owners=["self"], MaxResults=5)
    assert len(first["Images"]) == 5
    assert first["NextToken"]
    tagged = [{"Name": "tag-key", "Values": ["test"]}]
    pages = ec2.get_paginator("describe_images").paginate(Filters=tagged, PaginationConfig={"PageSize": 3})
    seen = [image["ImageId"] for page in pages for image in page["Images"]]
    assert set(seven) <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("key", "values", "found"),
    [
        ("tag:test", ["{name}"], 6),
        ("tag:test", ["{name}*"], 7),
        ("tag:test", [r"{name}\*"], 1),
        ("tag:test", ["nothing", "{name}"], 6),
        ("tag:nothing", ["*"], 0),
        ("name", ["{name} ?"], 7),
        ("name", ["{name} 3"], 1),
    ],
)
@pytest.mark.usefixtures("seven")
def test_filters_and_wild_cards(ec2: Any, name: str, key: str, values: list[str], found: int) -> None:
    """EC2 user guide, "Filter": ``*`` and ``?``, a backslash for the characters themselves, values are OR."""
    asked = [{"Name": key, "Values": [value.replace("{name}", name) for value in values]}]
    assert len(ids(ec2, Filters=asked)) == found


def test_filters_are_and(ec2: Any, seven: list[str]) -> None:
    asked = [{"Name": "image-id", "Values": seven}, {"Name": "state", "Values": ["pending"]}]
    assert ids(ec2, Filters=asked) == set()


def test_unknown_things(ec2: Any, code: Callable[..., str]) -> None:
    """EC2 API error codes."""
    ask = ec2.describe_images
    assert code(ask, ImageIds=["ami-0123456789abcdef0"]) == "InvalidAMIID.NotFound"
    assert code(ask, ImageIds=[SOURCE, "ami-0123456789abcdef0"]) == "InvalidAMIID.NotFound"
    assert code(ask, ImageIds=["debian"]) == "InvalidAMIID.Malformed"
    assert code(ask, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidParameterValue"
    assert code(ask, MaxResults=5, NextToken="?") == "InvalidNextToken"


def test_removed_tags_are_gone(ec2: Any, seven: list[str]) -> None:
    ec2.delete_tags(Resources=seven, Tags=[{"Key": "test"}])
    assert not ids(ec2, Filters=[{"Name": "tag-key", "Values": ["test"]}]) & set(seven)
    assert ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": seven}])["Tags"] == []
