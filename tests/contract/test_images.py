"""AMIs: making, copying, changing, removing. EC2 API reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World

SOURCE = "ami-0debdebdebdebdeb0"
TAGS = [{"Key": "amifactory:image", "Value": "node"}]


def image(ec2: Any, ami: str) -> dict[str, Any]:
    return dict(ec2.describe_images(ImageIds=[ami])["Images"][0])


@pytest.fixture
def stopped(ec2: Any, run: Callable[..., str], world: World) -> str:
    instance = run()
    ec2.stop_instances(InstanceIds=[instance])
    world.work.wait(5)
    return instance


@pytest.fixture
def made(ec2: Any, stopped: str, world: World, request: pytest.FixtureRequest) -> str:
    ami = ec2.create_image(InstanceId=stopped, Name=f"made for {request.node.name[:60]}")["ImageId"]
    world.work.wait(5)
    return str(ami)


def test_an_image_is_pending_until_the_disks_are_kept(
    ec2: Any, driver: Any, stopped: str, world: World
) -> None:
    """EC2 user guide, "Create an Amazon EBS-backed AMI": pending, then available; so is the snapshot."""
    driver.gate.clear()
    ami = ec2.create_image(InstanceId=stopped, Name="slow")["ImageId"]
    (mapping,) = image(ec2, ami)["BlockDeviceMappings"]
    snapshot = mapping["Ebs"]["SnapshotId"]
    before = (
        image(ec2, ami)["State"],
        ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"],
    )
    driver.gate.set()
    world.work.wait(5)
    after = (
        image(ec2, ami)["State"],
        ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"],
    )
    assert (before, after) == (("pending", "pending"), ("available", "completed"))
    assert driver.asked[-1] == ("snapshot", stopped, ami)


def test_an_image_whose_disks_cannot_be_kept_fails_with_the_reason(
    ec2: Any, driver: Any, stopped: str, world: World
) -> None:
    driver.broken.add("snapshot")
    ami = ec2.create_image(InstanceId=stopped, Name="broken")["ImageId"]
    world.work.wait(5)
    found = image(ec2, ami)
    assert found["State"] == "failed"
    assert found["StateReason"]["Message"] == "cannot snapshot"


def test_what_an_image_says_of_itself(ec2: Any, stopped: str, world: World) -> None:
    """DescribeImages: the instance's root device, a mapping with the snapshot's id, the source."""
    kinds = [{"ResourceType": kind, "Tags": TAGS} for kind in ("image", "snapshot")]
    name = "amifactory/example/node/x86_64/0123456789ab-20260101T000000Z"
    ami = ec2.create_image(InstanceId=stopped, Name=name, Description="d", TagSpecifications=kinds)["ImageId"]
    world.work.wait(5)
    found = image(ec2, ami)
    assert found["Name"] == name
    assert (found["SourceInstanceId"], found["SourceImageId"]) == (stopped, SOURCE)
    assert (found["Architecture"], found["RootDeviceType"], found["RootDeviceName"]) == (
        "x86_64",
        "ebs",
        "/dev/xvda",
    )
    (mapping,) = found["BlockDeviceMappings"]
    assert (mapping["DeviceName"], mapping["Ebs"]["VolumeSize"]) == ("/dev/xvda", 8)
    (snapshot,) = ec2.describe_snapshots(SnapshotIds=[mapping["Ebs"]["SnapshotId"]])["Snapshots"]
    assert found["Tags"] == snapshot["Tags"] == TAGS
    assert ami in snapshot["Description"]


@pytest.mark.parametrize(
    ("no_reboot", "asked"), [(True, ["snapshot"]), (False, ["stop", "snapshot", "start"])]
)
def test_a_running_instance_is_rebooted_unless_told_not_to(
    ec2: Any, driver: Any, run: Callable[..., str], no_reboot: bool, asked: list[str]
) -> None:
    """CreateImage, NoReboot."""
    instance = run()
    driver.asked.clear()
    ami = ec2.create_image(InstanceId=instance, Name=f"reboot {no_reboot}", NoReboot=no_reboot)["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[ami], WaiterConfig={"Delay": 0.01, "MaxAttempts": 500})
    assert [what for what, *_ in driver.asked if what != "launch"] == asked


def test_the_root_volume_of_an_image_may_be_larger_and_of_another_kind(
    ec2: Any, stopped: str, run: Callable[..., str], world: World
) -> None:
    """CreateImage, BlockDeviceMappings."""
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp2"}}
    ami = ec2.create_image(InstanceId=stopped, Name="larger", BlockDeviceMappings=[mapping])["ImageId"]
    world.work.wait(5)
    (found,) = image(ec2, ami)["BlockDeviceMappings"]
    assert (found["Ebs"]["VolumeSize"], found["Ebs"]["VolumeType"]) == (30, "gp2")
    instance = run(ImageId=ami)
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])
    assert [volume["Size"] for volume in volumes["Volumes"]] == [30]


@pytest.mark.parametrize(
    ("mapping", "error"),
    [
        ({"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 30}}, "Unsupported"),
        ({"DeviceName": "/dev/xvda", "Ebs": {"Iops": 9000}}, "Unsupported"),
        ({"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": False}}, "Unsupported"),
        ({"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}, "InvalidBlockDeviceMapping"),
    ],
)
def test_mappings_an_image_cannot_have_make_none(
    ec2: Any, stopped: str, code: Callable[..., str], mapping: Any, error: str
) -> None:
    assert code(ec2.create_image, InstanceId=stopped, Name="odd", BlockDeviceMappings=[mapping]) == error
    assert not ec2.describe_images(Filters=[{"Name": "name", "Values": ["odd"]}])["Images"]


def test_a_name_is_used_once(ec2: Any, stopped: str, code: Callable[..., str], world: World) -> None:
    """InvalidAMIName.Duplicate: EC2 API error codes. A deregistered image's name is free again."""
    ami = ec2.create_image(InstanceId=stopped, Name="taken")["ImageId"]
    assert code(ec2.create_image, InstanceId=stopped, Name="taken") == "InvalidAMIName.Duplicate"
    world.work.wait(5)
    ec2.deregister_image(ImageId=ami)
    ec2.create_image(InstanceId=stopped, Name="taken")


@pytest.mark.parametrize("name", ["x" * 129, "a:colon", "tilde~"])
def test_names_that_are_not_allowed(ec2: Any, stopped: str, code: Callable[..., str], name: str) -> None:
    """CreateImage, Name: 3-128 letters, digits and ( ) [ ] space . / - ' @ _."""
    assert code(ec2.create_image, InstanceId=stopped, Name=name) == "InvalidAMIName.Malformed"


def test_an_image_cannot_be_launched_before_it_is_available(
    ec2: Any, driver: Any, stopped: str, run: Callable[..., str], code: Callable[..., str]
) -> None:
    driver.gate.clear()
    ami = ec2.create_image(InstanceId=stopped, Name="not yet")["ImageId"]
    assert code(run, ImageId=ami) == "InvalidAMIID.Unavailable"


def test_instances_of_an_image_boot_its_disks(
    ec2: Any, driver: Any, made: str, run: Callable[..., str], world: World
) -> None:
    instance = run(ImageId=made)
    world.work.wait(5)
    assert ("launch", instance, made) in driver.asked
    assert (
        ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["ImageId"] == made
    )


def test_deregistering_leaves_snapshot_and_instances(
    ec2: Any, driver: Any, made: str, run: Callable[..., str], code: Callable[..., str]
) -> None:
    """EC2 user guide, "Deregister an Amazon EC2 AMI": its snapshots and instances stay."""
    instance = run(ImageId=made)
    snapshot = image(ec2, made)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.deregister_image(ImageId=made)
    assert code(ec2.describe_images, ImageIds=[made]) == "InvalidAMIID.NotFound"
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    assert ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    assert "delete_snapshot" not in [what for what, *_ in driver.asked]


def test_deregistering_with_snapshots_says_what_became_of_each(
    ec2: Any, driver: Any, made: str, code: Callable[..., str], world: World
) -> None:
    """DeregisterImage, DeleteAssociatedSnapshots and DeleteSnapshotResults."""
    snapshot = image(ec2, made)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    answer = ec2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    world.work.wait(5)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]
    assert code(ec2.describe_snapshots, SnapshotIds=[snapshot]) == "InvalidSnapshot.NotFound"
    assert driver.asked[-1] == ("delete_snapshot", made)


def test_a_snapshot_in_use_is_not_deleted(ec2: Any, made: str, code: Callable[..., str]) -> None:
    """InvalidSnapshot.InUse: EC2 API error codes."""
    snapshot = image(ec2, made)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert code(ec2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.InUse"
    ec2.deregister_image(ImageId=made)
    ec2.delete_snapshot(SnapshotId=snapshot)
    pages = ec2.get_paginator("describe_snapshots").paginate(
        OwnerIds=["self"], PaginationConfig={"PageSize": 5}
    )
    assert snapshot not in [found["SnapshotId"] for page in pages for found in page["Snapshots"]]


def test_somebody_elses_image_is_not_ours_to_change(ec2: Any, code: Callable[..., str]) -> None:
    """AuthFailure: EC2 API error codes."""
    assert code(ec2.deregister_image, ImageId=SOURCE) == "AuthFailure"


def test_a_copy_has_the_tags_asked_for(ec2: Any, driver: Any, made: str, world: World) -> None:
    """CopyImage: CopyImageTags copies tags, TagSpecifications add and win; ClientToken makes one copy."""
    ec2.create_tags(Resources=[made], Tags=[*TAGS, {"Key": "amifactory:run", "Value": "old"}])
    kinds = [
        {"ResourceType": kind, "Tags": [{"Key": "amifactory:run", "Value": "new"}]}
        for kind in ("image", "snapshot")
    ]
    arguments = {
        "SourceImageId": made,
        "SourceRegion": "eu-central-1",
        "Name": "copy",
        "CopyImageTags": True,
        "TagSpecifications": kinds,
        "ClientToken": "copy-once",
    }
    copies = {ec2.copy_image(**arguments)["ImageId"] for _ in range(2)}
    world.work.wait(5)
    (copy,) = copies
    found = image(ec2, copy)
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {
        "amifactory:image": "node",
        "amifactory:run": "new",
    }
    assert (found["State"], found["SourceImageId"], found["SourceImageRegion"]) == (
        "available",
        made,
        "eu-central-1",
    )
    assert [asked for asked in driver.asked if asked[0] == "copy_snapshot"] == [("copy_snapshot", made, copy)]


def test_a_copy_to_another_region(ec2: Any, client: Callable[..., Any], made: str, world: World) -> None:
    """CopyImage is called in the destination; the copy has its own id and no tags unless asked for."""
    ec2.create_tags(Resources=[made], Tags=TAGS)
    there = client("ec2", "eu-west-1")
    copy = there.copy_image(SourceImageId=made, SourceRegion="eu-central-1", Name="over there")["ImageId"]
    world.work.wait(5)
    found = image(there, copy)
    assert (found["State"], found["SourceImageRegion"], found.get("Tags")) == (
        "available",
        "eu-central-1",
        None,
    )
    assert copy not in [image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]]


def test_an_unknown_key_fails_the_copy_not_the_call(
    ec2: Any, client: Callable[..., Any], made: str, world: World
) -> None:
    """CopyImage, KmsKeyId: "AWS parses it asynchronously"; the action completes and the copy fails."""
    arguments = {"SourceImageId": made, "SourceRegion": "eu-central-1", "Encrypted": True}
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    good = ec2.copy_image(**arguments, Name="good key", KmsKeyId=key)["ImageId"]
    bad = ec2.copy_image(**arguments, Name="bad key", KmsKeyId="alias/nobody")["ImageId"]
    world.work.wait(5)
    assert (image(ec2, good)["State"], image(ec2, bad)["State"]) == ("available", "failed")
    assert image(ec2, good)["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True


def test_attributes_that_can_be_changed(ec2: Any, made: str) -> None:
    """ModifyImageAttribute: Description, LaunchPermission; for ImdsSupport see test_imdsv2.py."""
    ec2.modify_image_attribute(ImageId=made, Description={"Value": "new"})
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"UserId": "210987654321"}]})
    permissions = ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")[
        "LaunchPermissions"
    ]
    assert image(ec2, made)["Description"] == "new"
    assert permissions == [{"UserId": "210987654321"}]


def test_a_disabled_image_is_hidden_and_not_launched(
    ec2: Any, made: str, run: Callable[..., str], code: Callable[..., str]
) -> None:
    """DisableImage; DescribeImages, IncludeDisabled."""
    ec2.disable_image(ImageId=made)
    own = {"Owners": ["self"]}
    assert made not in [found["ImageId"] for found in ec2.describe_images(**own)["Images"]]
    assert made in [found["ImageId"] for found in ec2.describe_images(**own, IncludeDisabled=True)["Images"]]
    assert code(run, ImageId=made) == "InvalidAMIID.Unavailable"


def test_an_image_given_up_while_it_is_made_leaves_no_disks(
    ec2: Any, driver: Any, stopped: str, world: World
) -> None:
    """What Packer does when it is interrupted: deregister, delete the snapshot."""
    driver.gate.clear()
    ami = ec2.create_image(InstanceId=stopped, Name="given up")["ImageId"]
    ec2.deregister_image(ImageId=ami, DeleteAssociatedSnapshots=True)
    driver.gate.set()
    world.work.wait(5)
    assert driver.asked[-1] == ("delete_snapshot", ami)
    assert ("snapshot", stopped, ami) in driver.asked
