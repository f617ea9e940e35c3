"""The rest of AWS that amifactory and Packer use: network, S3, secrets, parameters, identities."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from moto.ec2.responses import EC2Response

from amifactory.sandbox.moto_services import EC2

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World

SOURCE = "ami-0debdebdebdebdeb0"


def test_every_operation_of_ec2_that_is_served_exists(world: World) -> None:
    del world  # served: its own operations are in moto's place
    assert [name for name in sorted(EC2) if not hasattr(EC2Response, xform_name(name))] == []


def test_the_default_vpc_is_the_network_the_instances_are_in(ec2: Any) -> None:
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    assert vpc["CidrBlock"] == "10.99.0.0/20"
    zones = {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert {subnet["AvailabilityZone"] for subnet in subnets} == zones
    assert all(subnet["DefaultForAz"] for subnet in subnets)


def test_addresses_are_in_the_subnet_and_never_the_sandboxs_own(
    ec2: Any, driver: Any, run: Callable[..., str]
) -> None:
    subnet = ec2.describe_subnets()["Subnets"][0]
    run(SubnetId=subnet["SubnetId"])
    reserved = list(ip_network("10.99.0.0/20"))[:16]
    for launch in driver.launched.values():
        assert ip_address(launch.private_ip) in driver.subnet
        assert ip_address(launch.private_ip) not in reserved
        assert launch.hostname == f"ip-{launch.private_ip.replace('.', '-')}"


def test_two_regions_do_not_share_addresses(client: Callable[..., Any], driver: Any, world: World) -> None:
    made = {}
    for region in ("eu-central-1", "us-west-2"):
        ec2 = client("ec2", region)
        (image,) = ec2.describe_images(Owners=["136693071363"])["Images"]
        answer = ec2.run_instances(ImageId=image["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1)
        made[region] = answer["Instances"][0]
    world.work.wait(5)
    addresses = {driver.launched[instance["InstanceId"]].private_ip for instance in made.values()}
    images = {instance["ImageId"] for instance in made.values()}
    assert (len(addresses), len(images)) == (2, 2)
    assert {driver.launched[instance["InstanceId"]].image_id for instance in made.values()} == {SOURCE}


def test_security_groups_and_key_pairs_come_and_go(ec2: Any, code: Callable[..., str]) -> None:
    group = ec2.create_security_group(GroupName="packer", Description="temporary")["GroupId"]
    port = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[port])
    ec2.delete_security_group(GroupId=group)
    assert code(ec2.describe_security_groups, GroupIds=[group]) == "InvalidGroup.NotFound"
    key = ec2.create_key_pair(KeyName="one-time", KeyType="ed25519")
    assert "PRIVATE KEY" in key["KeyMaterial"]
    assert code(ec2.create_key_pair, KeyName="one-time") == "InvalidKeyPair.Duplicate"
    ec2.delete_key_pair(KeyName="one-time")
    assert code(ec2.describe_key_pairs, KeyNames=["one-time"]) == "InvalidKeyPair.NotFound"


def test_a_security_group_stays_while_an_instance_has_it(
    ec2: Any, driver: Any, world: World, run: Callable[..., str], code: Callable[..., str]
) -> None:
    """DeleteSecurityGroup: DependencyViolation when it is associated with an instance."""
    group = ec2.create_security_group(GroupName="in-use", Description="d")["GroupId"]
    instance = run(SecurityGroupIds=[group])
    world.work.wait(5)
    seen = [code(ec2.delete_security_group, GroupId=group)]
    driver.gate.clear()
    ec2.terminate_instances(InstanceIds=[instance])
    seen += [code(ec2.delete_security_group, GroupId=group)]
    driver.gate.set()
    world.work.wait(5)
    ec2.delete_security_group(GroupId=group)
    assert seen == ["DependencyViolation"] * 2


def test_regions_types_and_offerings(ec2: Any) -> None:
    assert "eu-central-1" in {region["RegionName"] for region in ec2.describe_regions()["Regions"]}
    (kind,) = ec2.describe_instance_types(InstanceTypes=["t3.large"])["InstanceTypes"]
    assert kind["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    asked = [{"Name": "instance-type", "Values": ["t3.large"]}]
    assert ec2.describe_instance_type_offerings(Filters=asked)["InstanceTypeOfferings"]


def test_the_state_bucket_is_there_with_versions(client: Callable[..., Any]) -> None:
    bucket = {"Bucket": "example-amifactory-state"}
    assert client("s3").get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert client("s3").get_bucket_location(**bucket)["LocationConstraint"] == "eu-central-1"


def test_conditional_writes_have_one_winner(client: Callable[..., Any]) -> None:
    """S3 user guide, "Prevent object overwrites with conditional writes": 412 PreconditionFailed."""
    s3, bucket = client("s3"), "example-amifactory-state"
    barrier = threading.Barrier(8)

    def write(number: int) -> str:
        barrier.wait()
        try:
            s3.put_object(Bucket=bucket, Key="lock", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "won"

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(write, range(8)))
    assert sorted(results) == ["PreconditionFailed"] * 7 + ["won"]
    tag = s3.head_object(Bucket=bucket, Key="lock")["ETag"]
    s3.put_object(Bucket=bucket, Key="lock", Body=b"again", IfMatch=tag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="lock", Body=b"too late", IfMatch=tag)


def test_secrets_parameters_and_identity(client: Callable[..., Any], code: Callable[..., str]) -> None:
    secrets, ssm, sts = client("secretsmanager"), client("ssm"), client("sts")
    secrets.create_secret(Name="ci/registry", SecretString='{"username": "u"}')
    assert secrets.get_secret_value(SecretId="ci/registry")["SecretString"] == '{"username": "u"}'
    assert code(secrets.get_secret_value, SecretId="ci/none") == "ResourceNotFoundException"
    ssm.put_parameter(Name="/amifactory/example/node", Value="ami-1", Type="String")
    again = {"Name": "/amifactory/example/node", "Value": "ami-2", "Type": "String"}
    assert code(ssm.put_parameter, **again) == "ParameterAlreadyExists"
    assert sts.get_caller_identity()["Account"] == "123456789012"


def test_four_builds_at_once(client: Callable[..., Any], driver: Any, world: World) -> None:
    """What four Packers do at the same time: nothing is lost, no address or id given twice."""
    del driver
    ec2 = client("ec2")

    def build(number: int) -> tuple[str, str]:
        made = ec2.run_instances(ImageId=SOURCE, InstanceType="t3.micro", MinCount=1, MaxCount=1)[
            "Instances"
        ][0]
        instance = made["InstanceId"]
        ec2.create_tags(Resources=[instance], Tags=[{"Key": "build", "Value": str(number)}])
        ec2.get_waiter("instance_running").wait(
            InstanceIds=[instance], WaiterConfig={"Delay": 0.01, "MaxAttempts": 900}
        )
        image = ec2.create_image(InstanceId=instance, Name=f"parallel {number}", NoReboot=True)["ImageId"]
        ec2.create_tags(Resources=[image], Tags=[{"Key": "build", "Value": str(number)}])
        ec2.get_waiter("image_available").wait(
            ImageIds=[image], WaiterConfig={"Delay": 0.01, "MaxAttempts": 900}
        )
        ec2.terminate_instances(InstanceIds=[instance])
        return made["PrivateIpAddress"], image

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(build, range(8)))
    world.work.wait(5)
    images = ec2.describe_images(ImageIds=[image for _, image in results])["Images"]
    tags = {image["ImageId"]: image["Tags"][0]["Value"] for image in images}
    assert [tags[image] for _, image in results] == [str(number) for number in range(8)]
