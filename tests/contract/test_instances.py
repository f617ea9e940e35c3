"""Instances: launching, states, what they are made of. EC2 API reference and user guide."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.ec2_world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.driver import ServerSettings

SOURCE = "ami-0debdebdebdebdeb0"


def test_states_follow_the_machine(
    ec2: Any, driver: Any, world: World, run: Callable[..., str], state: Callable[[str], str]
) -> None:
    """EC2 user guide, "Amazon EC2 instance state changes"."""
    driver.gate.clear()
    instance = run()
    seen = [state(instance)]
    for act in (None, ec2.stop_instances, ec2.start_instances, ec2.terminate_instances):
        if act:
            driver.gate.clear()
            act(InstanceIds=[instance])
            seen.append(state(instance))
        driver.gate.set()
        world.work.wait(5)
        seen.append(state(instance))
    assert seen == [
        *("pending", "running"),
        *("stopping", "stopped"),
        *("pending", "running"),
        *("shutting-down", "terminated"),
    ]
    assert [what for what, *_ in driver.asked] == ["launch", "stop", "start", "terminate"]


def test_terminating_while_pending_waits_for_the_machine(
    ec2: Any, driver: Any, world: World, run: Callable[..., str], state: Callable[[str], str]
) -> None:
    driver.gate.clear()
    instance = run()
    ec2.terminate_instances(InstanceIds=[instance])
    driver.gate.set()
    world.work.wait(5)
    assert state(instance) == "terminated"
    assert [what for what, *_ in driver.asked] == ["launch", "terminate"]


def test_a_failed_launch_is_terminated_with_its_reason(
    driver: Any, world: World, run: Callable[..., str], described: Callable[[str], dict[str, Any]]
) -> None:
    """EC2 user guide, "Troubleshoot instance launch issues": StateReason Server.InternalError."""
    driver.broken.add("launch")
    instance = run()
    world.work.wait(5)
    found = described(instance)
    assert found["State"]["Name"] == "terminated"
    assert found["StateReason"]["Code"] == "Server.InternalError"
    assert "cannot launch" in found["StateReason"]["Message"]


def test_an_instance_that_will_not_start_again_stays_stopped(
    ec2: Any, driver: Any, world: World, run: Callable[..., str], state: Callable[[str], str]
) -> None:
    instance = run()
    ec2.stop_instances(InstanceIds=[instance])
    world.work.wait(5)
    driver.broken.add("start")
    ec2.start_instances(InstanceIds=[instance])
    world.work.wait(5)
    assert state(instance) == "stopped"


def test_stopping_what_is_stopped_is_no_error_and_starting_what_is_gone_is(
    ec2: Any, driver: Any, world: World, run: Callable[..., str], code: Callable[..., str]
) -> None:
    """IncorrectInstanceState: EC2 API error codes."""
    instance = run()
    ec2.stop_instances(InstanceIds=[instance])
    world.work.wait(5)
    again = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (again["PreviousState"]["Name"], again["CurrentState"]["Name"]) == ("stopped", "stopped")
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.terminate_instances(InstanceIds=[instance])
    assert code(ec2.start_instances, InstanceIds=[instance]) == "IncorrectInstanceState"
    assert [what for what, *_ in driver.asked].count("stop") == 1


def test_a_machine_that_will_not_end_is_not_terminated_until_it_has(
    ec2: Any, driver: Any, world: World, run: Callable[..., str], state: Callable[[str], str]
) -> None:
    instance = run()
    world.work.wait(5)
    driver.broken.add("terminate")
    ec2.terminate_instances(InstanceIds=[instance])
    while ("terminate", instance) not in driver.asked:
        time.sleep(0.01)
    before = state(instance)
    driver.broken.clear()
    world.work.wait(5)
    assert (before, state(instance)) == ("shutting-down", "terminated")


def test_when_serving_ends_machines_finish_and_begin_nothing(driver: Any, settings: ServerSettings) -> None:
    world = World(driver=driver, settings=settings)
    driver.gate.clear()
    for job in (driver.stop, driver.start):
        world.work.submit("i-1", partial(job, "i-1"))
    with ThreadPoolExecutor() as pool:
        closing = pool.submit(world.work.close, 5)
        with pytest.raises(TimeoutError):
            closing.result(timeout=0.05)
        driver.gate.set()
        closing.result(timeout=5)
    world.work.submit("i-1", partial(driver.start, "i-1"))
    world.work.wait(5)
    assert driver.asked == [("stop", "i-1")]


@pytest.fixture
def shut_down(driver: Any, world: World) -> Callable[[str], None]:
    """Powers an instance off from inside and waits until EC2 has noticed."""

    def shut_down(instance: str) -> None:
        world.work.wait(5)
        driver.powered_off(instance)
        world.work.wait(5)

    return shut_down


@pytest.mark.parametrize(("behavior", "after"), [("stop", "stopped"), ("terminate", "terminated")])
def test_shutting_down_from_inside(
    run: Callable[..., str],
    described: Callable[[str], dict[str, Any]],
    shut_down: Callable[[str], None],
    behavior: str,
    after: str,
) -> None:
    """RunInstances, InstanceInitiatedShutdownBehavior."""
    instance = run(InstanceInitiatedShutdownBehavior=behavior)
    shut_down(instance)
    found = described(instance)
    assert found["State"]["Name"] == after
    assert found["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_shutting_down_before_it_was_seen_running(
    driver: Any,
    run: Callable[..., str],
    state: Callable[[str], str],
    shut_down: Callable[[str], None],
    world: World,
) -> None:
    """User data may well end with poweroff."""
    driver.gate.clear()
    instance = run()
    driver.powered_off(instance)
    driver.gate.set()
    shut_down(run())
    world.work.wait(5)
    assert state(instance) == "stopped"


def test_a_client_token_makes_one_instance(run: Callable[..., str], code: Callable[..., str]) -> None:
    """EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests"."""
    first, second = run(ClientToken="once"), run(ClientToken="once")
    assert first == second
    mismatch = code(run, ClientToken="once", InstanceType="t3.large")
    assert mismatch == "IdempotentParameterMismatch"
    assert code(run, ClientToken="once", DryRun=True) == "DryRunOperation"


def test_a_client_token_has_64_characters_at_most(run: Callable[..., str], code: Callable[..., str]) -> None:
    """RunInstances, ClientToken: maximum 64 ASCII characters."""
    run(ClientToken="t" * 64)
    assert code(run, ClientToken="t" * 65) == "InvalidParameterValue"
    assert code(run, ClientToken="tökén") == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "debian"}, "InvalidAMIID.Malformed"),
        ({"InstanceType": "t99.huge"}, "InvalidParameterValue"),
        ({"InstanceType": "t4g.micro"}, "InvalidParameterValue"),
        ({"KeyName": "no-such-key"}, "InvalidKeyPair.NotFound"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"MinCount": 3, "MaxCount": 2}, "InvalidParameterValue"),
        ({"DryRun": True}, "DryRunOperation"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}]},
            "InvalidBlockDeviceMapping",
        ),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 4}}]}, "Unsupported"),
        ({"IamInstanceProfile": {"Name": "nobody"}}, "NoSuchEntity"),
    ],
)
def test_what_ec2_refuses_starts_no_machine(
    driver: Any, run: Callable[..., str], code: Callable[..., str], options: Any, error: str
) -> None:
    """EC2 API reference, "Error codes"."""
    assert code(run, **options) == error
    assert driver.asked == []


def test_max_count_instances_with_different_addresses(ec2: Any) -> None:
    """RunInstances: as many as possible, above MinCount up to MaxCount."""
    made = ec2.run_instances(ImageId=SOURCE, InstanceType="t3.micro", MinCount=1, MaxCount=3)["Instances"]
    assert len({instance["PrivateIpAddress"] for instance in made}) == 3


def test_the_public_address_leads_to_the_instance(
    run: Callable[..., str], described: Callable[[str], dict[str, Any]]
) -> None:
    found = described(run())
    assert found["PublicIpAddress"] == found["PrivateIpAddress"]


def test_no_public_address_when_none_is_wanted(
    ec2: Any, run: Callable[..., str], described: Callable[[str], dict[str, Any]]
) -> None:
    """RunInstances, NetworkInterfaces, AssociatePublicIpAddress."""
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    nic = {"DeviceIndex": 0, "AssociatePublicIpAddress": False, "SubnetId": subnet}
    assert "PublicIpAddress" not in described(run(NetworkInterfaces=[nic]))


def test_an_address_is_handed_out_again_only_when_its_machine_is_gone(
    ec2: Any, driver: Any, world: World, run: Callable[..., str]
) -> None:
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    nic = {"DeviceIndex": 0, "SubnetId": subnet, "DeleteOnTermination": True}
    first = run(NetworkInterfaces=[nic])
    world.work.wait(5)
    driver.gate.clear()
    ec2.terminate_instances(InstanceIds=[first])
    second = run(NetworkInterfaces=[nic])
    driver.gate.set()
    world.work.wait(5)
    assert driver.launched[first].private_ip != driver.launched[second].private_ip


def test_the_root_volume_is_the_amis_with_what_the_request_says(
    ec2: Any, run: Callable[..., str], described: Callable[[str], dict[str, Any]]
) -> None:
    """RunInstances, BlockDeviceMappings: overrides the AMI's mapping of the same device."""
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp2"}}
    found = described(run(BlockDeviceMappings=[mapping]))
    (device,) = found["BlockDeviceMappings"]
    volume = ec2.describe_volumes(VolumeIds=[device["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (device["DeviceName"], volume["Size"], volume["VolumeType"]) == ("/dev/xvda", 20, "gp2")
    assert device["Ebs"]["DeleteOnTermination"] is True
    assert volume["SnapshotId"].startswith("snap-")


def test_the_default_security_group_is_used_when_none_is_named(
    run: Callable[..., str], described: Callable[[str], dict[str, Any]]
) -> None:
    groups = described(run())["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]


def test_instances_and_volumes_get_their_tags(ec2: Any, run: Callable[..., str]) -> None:
    """RunInstances, TagSpecifications."""
    tags = [{"Key": "amifactory:run", "Value": "r1"}]
    kinds = [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")]
    instance = run(TagSpecifications=kinds)
    found = ec2.describe_instances(Filters=[{"Name": "tag:amifactory:run", "Values": ["r1"]}])
    assert found["Reservations"][0]["Instances"][0]["InstanceId"] == instance
    volumes = ec2.describe_volumes(Filters=[{"Name": "tag:amifactory:run", "Values": ["r1"]}])["Volumes"]
    assert len(volumes) == 1


def test_a_launch_template_gives_metadata_options_profile_and_user_data(
    ec2: Any, client: Callable[..., Any], described: Callable[[str], dict[str, Any]]
) -> None:
    """EC2 user guide, "Store instance launch parameters in Amazon EC2 launch templates"."""
    iam = client("iam")
    iam.create_instance_profile(InstanceProfileName="from-template")
    data = {
        "ImageId": SOURCE,
        "InstanceType": "t3.small",
        "UserData": base64.b64encode(b"#!/bin/sh\n").decode(),
        "MetadataOptions": {"HttpTokens": "required"},
        "IamInstanceProfile": {"Name": "from-template"},
    }
    ec2.create_launch_template(LaunchTemplateName="worker", LaunchTemplateData=data)
    made = ec2.run_instances(LaunchTemplate={"LaunchTemplateName": "worker"}, MinCount=1, MaxCount=1)
    found = described(made["Instances"][0]["InstanceId"])
    assert found["InstanceType"] == "t3.small"
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert found["IamInstanceProfile"]["Arn"].endswith("instance-profile/from-template")


def test_a_template_version_inherits_from_its_source(ec2: Any) -> None:
    """CreateLaunchTemplateVersion, SourceVersion."""
    data = {"ImageId": SOURCE, "InstanceType": "t3.small"}
    ec2.create_launch_template(LaunchTemplateName="heir", LaunchTemplateData=data)
    new = {"InstanceType": "t3.large"}
    arguments = {
        "LaunchTemplateName": "heir",
        "SourceVersion": "1",
        "LaunchTemplateData": new,
        "ClientToken": "t",
    }
    first, again = (ec2.create_launch_template_version(**arguments) for _ in range(2))
    version = first["LaunchTemplateVersion"]
    assert version["LaunchTemplateData"] == {"ImageId": SOURCE, "InstanceType": "t3.large"}
    assert again["LaunchTemplateVersion"]["VersionNumber"] == version["VersionNumber"] == 2


def test_console_output_is_the_machines(ec2: Any, run: Callable[..., str]) -> None:
    instance = run()
    assert ec2.get_console_output(InstanceId=instance)["Output"] == f"console of {instance}\n"


def test_status_is_ok_once_running(ec2: Any, world: World, run: Callable[..., str]) -> None:
    """DescribeInstanceStatus: running instances only, unless IncludeAllInstances."""
    instance = run()
    world.work.wait(5)
    (status,) = ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]
    assert status["InstanceStatus"]["Status"] == "ok"


def test_unknown_and_malformed_instances(ec2: Any, code: Callable[..., str]) -> None:
    assert code(ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"]) == "InvalidInstanceID.NotFound"
    assert code(ec2.describe_instances, InstanceIds=["web-1"]) == "InvalidInstanceID.Malformed"
    assert code(ec2.terminate_instances, InstanceIds=["i-0123456789abcdef0"]) == "InvalidInstanceID.NotFound"


def test_instances_are_paged(ec2: Any, run: Callable[..., str]) -> None:
    """DescribeInstances, MaxResults and NextToken."""
    made = {run() for _ in range(3)}
    pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
    seen = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    assert made <= set(seen)
    assert len(seen) == len(set(seen))


def test_rebooting_does_not_show(
    ec2: Any, driver: Any, run: Callable[..., str], state: Callable[[str], str], world: World
) -> None:
    """EC2 user guide, "Reboot your instance": the state stays running."""
    instance = run()
    world.work.wait(5)
    driver.gate.clear()
    ec2.reboot_instances(InstanceIds=[instance])
    seen = state(instance)
    driver.gate.set()
    world.work.wait(5)
    assert (seen, driver.asked[-1]) == ("running", ("reboot", instance))


def test_metadata_options_not_given_stay(
    ec2: Any, run: Callable[..., str], described: Callable[[str], dict[str, Any]]
) -> None:
    """ModifyInstanceMetadataOptions."""
    instance = run(MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 3})
    ec2.modify_instance_metadata_options(InstanceId=instance, InstanceMetadataTags="enabled")
    options = described(instance)["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 3)
    assert options["InstanceMetadataTags"] == "enabled"


def test_attributes_that_would_change_nothing_are_refused(
    ec2: Any, run: Callable[..., str], code: Callable[..., str]
) -> None:
    """ModifyInstanceAttribute; DisableApiTermination makes terminating an OperationNotPermitted."""
    instance = run()
    assert (
        code(ec2.modify_instance_attribute, InstanceId=instance, EbsOptimized={"Value": True})
        == "InvalidAction"
    )
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    assert code(ec2.terminate_instances, InstanceIds=[instance]) == "OperationNotPermitted"
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[instance])


def test_enhanced_networking_may_be_asked_for_since_every_machine_has_it(
    ec2: Any, run: Callable[..., str]
) -> None:
    """ModifyInstanceAttribute, EnaSupport: sets it to true; Packer asks when `ena_support` is set."""
    instance = run()
    ec2.modify_instance_attribute(InstanceId=instance, EnaSupport={"Value": True})
    with pytest.raises(ec2.exceptions.ClientError, match="has not got ec2:ModifyInstanceAttribute"):
        ec2.modify_instance_attribute(InstanceId=instance, EnaSupport={"Value": False})
