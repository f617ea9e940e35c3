"""Calls the sandbox has not got, calls that fail inside it, and failures asked for."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from amifactory.sandbox.driver import ServerSettings


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "error"),
    [
        ("ec2", "get_image_ancestry", {"ImageId": "ami-0debdebdebdebdeb0"}, "InvalidAction"),
        ("ec2", "register_image", {"Name": "from-nothing"}, "InvalidAction"),
        ("ec2", "create_vpc", {"CidrBlock": "10.1.0.0/16"}, "InvalidAction"),
        ("ec2", "enable_ebs_encryption_by_default", {}, "InvalidAction"),
        ("ec2", "describe_transit_gateways", {}, "InvalidAction"),
        ("ec2", "modify_volume", {"VolumeId": "vol-0123456789abcdef0", "Size": 9}, "InvalidAction"),
        (
            "ec2",
            "describe_image_attribute",
            {"ImageId": "ami-0debdebdebdebdeb0", "Attribute": "tpmSupport"},
            "InvalidAction",
        ),
        ("autoscaling", "describe_policies", {}, "InvalidAction"),
        ("cloudwatch", "list_metrics", {}, None),
        (
            "ssm",
            "send_command",
            {"InstanceIds": ["i-0"], "DocumentName": "AWS-RunShellScript"},
            "UnknownOperationException",
        ),
        ("imagebuilder", "list_images", {}, "UnknownOperationException"),
        ("logs", "describe_log_groups", {}, "UnknownOperationException"),
        ("route53", "list_hosted_zones", {}, "InvalidAction"),
        (
            "iam",
            "simulate_custom_policy",
            {"PolicyInputList": ["{}"], "ActionNames": ["ec2:*"]},
            "InvalidAction",
        ),
        (
            "s3",
            "get_bucket_metadata_table_configuration",
            {"Bucket": "example-amifactory-state"},
            "NotImplemented",
        ),
    ],
)
def test_a_call_the_sandbox_has_not_got_is_an_aws_error_that_says_so(
    client: Callable[..., Any], service: str, operation: str, arguments: dict[str, Any], error: str | None
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(client(service), operation)(**arguments)
    answer = refused.value.response
    assert error is None or answer["Error"]["Code"] == error
    assert "sandbox has not got" in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] != 500


@pytest.fixture
def refused_form(endpoint: str, session: boto3.Session, world: Any) -> Callable[[str, str], tuple[int, str]]:
    """Sends a form no client library would, signed, and returns status and error document."""
    del world

    def refused_form(service: str, form: str) -> tuple[int, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        call = AWSRequest("POST", endpoint, headers, form.encode())
        credentials = session.get_credentials()
        assert credentials is not None
        SigV4Auth(credentials, service, "eu-central-1").add_auth(call)
        return refused(urllib.request.Request(endpoint, data=call.data, headers=dict(call.headers)))  # noqa: S310

    return refused_form


def refused(request: urllib.request.Request) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)  # noqa: S310
    with raised.value as answer:
        return answer.code, answer.read().decode()


def test_an_operation_nobody_knows(refused_form: Callable[[str, str], tuple[int, str]]) -> None:
    """A client newer than this moto's models."""
    status, text = refused_form("ec2", "Action=DescribeTheFuture&Version=2016-11-15")
    assert (status, "<Code>InvalidAction</Code>" in text) == (400, True)
    assert "ec2:DescribeTheFuture" in text


@pytest.mark.parametrize(
    ("service", "form", "name"),
    [
        ("ec2", "Action=StopInstances", "InstanceId"),
        ("ec2", "Action=StartInstances", "InstanceId"),
        ("ec2", "Action=RebootInstances&DryRun=true", "InstanceId"),
        ("ec2", "Action=CreateImage&InstanceId=i-0123456789abcdef0", "Name"),
        ("ec2", "Action=CreateTags&ResourceId.1=ami-0debdebdebdebdeb0", "Tag"),
        ("iam", "Action=CreateRole&AssumeRolePolicyDocument=%7B%7D", "RoleName"),
    ],
)
def test_a_parameter_that_must_be_given(
    refused_form: Callable[[str, str], tuple[int, str]], service: str, form: str, name: str
) -> None:
    """EC2 API reference, "Error codes": MissingParameter."""
    status, text = refused_form(service, f"{form}&Version=2016-11-15")
    assert (status, "<Code>MissingParameter</Code>" in text) == (400, True)
    assert f"must contain the parameter {name}<" in text


def test_a_parameter_that_must_be_given_in_json(session: boto3.Session, endpoint: str, world: Any) -> None:
    """ValidationException: "Common errors" of each service that speaks JSON."""
    del world
    lenient = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    ssm: Any = session.client("ssm", endpoint_url=endpoint, config=lenient)
    with pytest.raises(ClientError, match=r"ValidationException.*'Name'"):
        ssm.get_parameter()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/moto-api/reset"),
        ("GET", "/moto-api/data.json"),
        ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("GET", "/favicon.ico"),
    ],
)
def test_motos_own_pages_are_not_there(endpoint: str, ec2: Any, method: str, path: str) -> None:
    ec2.create_key_pair(KeyName=f"kept{path}", KeyType="ed25519")
    request = urllib.request.Request(endpoint + path, method=method)  # noqa: S310
    assert refused(request)[0] == 404
    assert ec2.describe_key_pairs(KeyNames=[f"kept{path}"])["KeyPairs"]


def test_an_unsigned_call_does_nothing(endpoint: str, world: Any) -> None:
    """Moto would guess the service from the version."""
    del world
    form = b"Action=CreateVpc&CidrBlock=10.1.0.0%2F16&Version=2016-11-15"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = refused(urllib.request.Request(endpoint, data=form, headers=headers))  # noqa: S310
    assert (status, "<Code>MissingAuthenticationToken</Code>" in text) == (403, True)


def test_a_client_that_sends_half_a_request_keeps_nobody_waiting(settings: ServerSettings, ec2: Any) -> None:
    half = b"PUT /example-amifactory-state/key HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 100\r\n\r\nabc"
    with socket.create_connection(("127.0.0.1", settings.port)) as slow, ThreadPoolExecutor() as pool:
        slow.sendall(half)
        slow.settimeout(0.2)
        with pytest.raises(TimeoutError):
            slow.recv(1)
        answer = pool.submit(ec2.describe_regions)
        try:
            assert answer.result(timeout=10)["Regions"]
        finally:
            slow.close()


def test_an_operation_fails_as_often_as_asked(
    admin: Callable[..., Any], ec2: Any, code: Callable[..., str]
) -> None:
    failure = {
        "operation": "DescribeRegions",
        "code": "UnauthorizedOperation",
        "message": "You are not authorized to perform this operation.",
        "status": 403,
        "times": 2,
    }
    admin("POST", "failures", failure)
    assert [code(ec2.describe_regions), code(ec2.describe_regions)] == ["UnauthorizedOperation"] * 2
    assert ec2.describe_regions()["Regions"]


def test_expired_credentials_in_every_protocol(
    admin: Callable[..., Any], client: Callable[..., Any], code: Callable[..., str]
) -> None:
    admin("POST", "failures", {"operation": "*", "code": "ExpiredToken", "message": "expired", "times": 5})
    codes = [
        code(client("ec2").describe_vpcs),
        code(client("sts").get_caller_identity),
        code(client("s3").list_buckets),
        code(client("secretsmanager").list_secrets),
        code(client("iam").list_roles),
    ]
    assert codes == ["ExpiredToken"] * 5


def test_machines_fail_when_asked(
    admin: Callable[..., Any], run: Callable[..., str], described: Callable[..., Any], driver: Any, world: Any
) -> None:
    """``Nothing`` is an instance that says it runs and never answers; other codes are the driver's error."""
    silent = {"service": "machine", "operation": "launch", "code": "Nothing", "message": ""}
    admin("POST", "failures", silent)
    admin("POST", "failures", {**silent, "code": "Broken", "message": "no machine left"})
    instances = []
    for _ in range(2):
        instances.append(run())
        world.work.wait(5)
    first, second = (described(instance) for instance in instances)
    assert (first["State"]["Name"], second["State"]["Name"]) == ("running", "terminated")
    assert "no machine left" in second["StateReason"]["Message"]
    assert driver.asked == []


def test_calls_are_counted(admin: Callable[..., Any], ec2: Any, client: Callable[..., Any]) -> None:
    admin("DELETE", "calls")
    ec2.describe_images(Owners=["self"])
    client("s3").list_objects_v2(Bucket="example-amifactory-state")
    client("secretsmanager").list_secrets()
    assert [(call["service"], call["operation"], call["status"]) for call in admin("GET", "calls")] == [
        ("ec2", "DescribeImages", 200),
        ("s3", "ListObjectsV2", 200),
        ("secretsmanager", "ListSecrets", 200),
    ]


def test_the_admin_endpoint_is_not_in_the_way_of_a_bucket(
    admin: Callable[..., Any], client: Callable[..., Any]
) -> None:
    """Signed calls are AWS's, whatever their path."""
    assert admin("GET", "health") == {"ok": True}
    s3 = client("s3")
    s3.create_bucket(Bucket="amifactory", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="amifactory", Key="health", Body=b"an object")
    assert s3.get_object(Bucket="amifactory", Key="health")["Body"].read() == b"an object"


def test_a_wrong_admin_request_is_told_what_is_wrong(endpoint: str, world: Any) -> None:
    del world
    request = urllib.request.Request(f"{endpoint}/amifactory/failures", data=b'{"operation": 1, "x": 2}')  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310
    with refused.value as answer:
        assert (answer.status, "unexpected keyword" in answer.read().decode()) == (400, True)


def test_clients_retry_what_aws_says_can_be_retried(
    admin: Callable[..., Any], session: boto3.Session, endpoint: str
) -> None:
    """EC2 throttles with RequestLimitExceeded, HTTP 503: EC2 developer guide, "Request throttling"."""
    throttled = {
        "operation": "DescribeVpcs",
        "code": "RequestLimitExceeded",
        "message": "slow down",
        "status": 503,
    }
    admin("POST", "failures", throttled)
    ec2 = session.client("ec2", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 2}))
    assert ec2.describe_vpcs()["Vpcs"]
