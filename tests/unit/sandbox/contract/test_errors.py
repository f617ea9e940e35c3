"""Calls the sandbox has not got, calls that fail inside it, and failures asked for."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3


@pytest.fixture
def admin(endpoint: str, world: Any) -> Iterator[Callable[..., Any]]:
    """Calls the admin endpoint; failures left over are removed afterwards."""
    del world

    def admin(method: str, what: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{endpoint}/amifactory/{what}", method=method, data=data)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    yield admin
    admin("DELETE", "failures")


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "error"),
    [
        ("ec2", "get_image_ancestry", {"ImageId": "ami-0debdebdebdebdeb0"}, "InvalidAction"),
        ("ec2", "register_image", {"Name": "from-nothing"}, "InvalidAction"),
        (
            "ec2",
            "describe_image_attribute",
            {"ImageId": "ami-0debdebdebdebdeb0", "Attribute": "tpmSupport"},
            "InvalidAction",
        ),
        ("autoscaling", "describe_auto_scaling_groups", {}, "InvalidAction"),
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


def test_an_operation_nobody_knows(endpoint: str, session: boto3.Session) -> None:
    """A client newer than this moto's models."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    call = AWSRequest("POST", endpoint, headers, b"Action=DescribeTheFuture&Version=2016-11-15")
    credentials = session.get_credentials()
    assert credentials is not None
    SigV4Auth(credentials, "ec2", "eu-central-1").add_auth(call)
    request = urllib.request.Request(endpoint, data=call.data, headers=dict(call.headers))  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310
    with refused.value as answer:
        text = answer.read().decode()
    assert (answer.status, "<Code>InvalidAction</Code>" in text) == (400, True)
    assert "ec2:DescribeTheFuture" in text


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
