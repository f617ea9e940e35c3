"""Which AWS call an HTTP request makes, and errors in the protocol it speaks."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from botocore.parsers import create_parser
from botocore.session import get_session

from amifactory.sandbox.moto_errors import error_reply, internal_error_reply, not_implemented_reply
from amifactory.sandbox.moto_requests import AwsRequest, read_request
from amifactory.sandbox.moto_services import refusal


def environ(service: str, *, body: bytes = b"", **more: Any) -> dict[str, Any]:
    scope = f"AKIAIOSFODNN7EXAMPLE/20260101/eu-central-1/{service}/aws4_request"
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        **more,
    }


def test_query_protocols_name_the_operation_in_the_form_which_stays_readable() -> None:
    asked = environ(
        "ec2", body=b"Action=DescribeImages&Owner.1=self", CONTENT_TYPE="application/x-www-form-urlencoded"
    )
    request = read_request(asked)
    assert (request.service, request.operation, request.region, request.protocol) == (
        "ec2",
        "DescribeImages",
        "eu-central-1",
        "ec2",
    )
    assert asked["wsgi.input"].read() == b"Action=DescribeImages&Owner.1=self"


@pytest.mark.parametrize(
    ("service", "more", "operation", "protocol"),
    [
        ("ssm", {"HTTP_X_AMZ_TARGET": "AmazonSSM.GetParameter"}, "GetParameter", "json"),
        (
            "monitoring",
            {"HTTP_SMITHY_PROTOCOL": "rpc-v2-cbor", "PATH_INFO": "/service/X/operation/ListMetrics"},
            "ListMetrics",
            "cbor",
        ),
        ("sts", {"QUERY_STRING": "Action=GetCallerIdentity"}, "GetCallerIdentity", "query"),
        ("s3", {"REQUEST_METHOD": "PUT", "PATH_INFO": "/bucket/key"}, "PutObject", "rest-xml"),
        (
            "s3",
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/b", "QUERY_STRING": "list-type=2"},
            "ListObjectsV2",
            "rest-xml",
        ),
        ("imagebuilder", {"PATH_INFO": "/ListImages"}, "ListImages", "rest-json"),
        ("nosuchservice", {"PATH_INFO": "/things"}, "POST /things", "rest-json"),
    ],
)
def test_other_protocols(service: str, more: dict[str, Any], operation: str, protocol: str) -> None:
    request = read_request(environ(service, **more))
    assert (request.operation, request.protocol) == (operation, protocol)


def test_presigned_and_unsigned_requests() -> None:
    credential = "AKIAIOSFODNN7EXAMPLE%2F20260101%2Feu-west-1%2Fs3%2Faws4_request"
    asked = environ("", REQUEST_METHOD="GET", PATH_INFO="/b/k", QUERY_STRING=f"X-Amz-Credential={credential}")
    del asked["HTTP_AUTHORIZATION"]
    request = read_request(asked)
    assert (request.service, request.region, request.signed) == ("s3", "eu-west-1", True)
    asked["QUERY_STRING"] = ""
    assert read_request(asked).signed is False


def request_in(protocol: str, service: str) -> AwsRequest:
    return AwsRequest(
        service=service,
        operation="DoIt",
        region="eu-central-1",
        protocol=protocol,
        method="POST",
        signed=True,
    )


@pytest.mark.parametrize(
    ("service", "protocol", "parser"),
    [
        ("ec2", "ec2", "ec2"),
        ("iam", "query", "query"),
        ("ssm", "json", "json"),
        ("imagebuilder", "rest-json", "rest-json"),
        ("s3", "rest-xml", "rest-xml"),
        ("route53", "rest-xml", "rest-xml"),
        ("cloudwatch", "cbor", "smithy-rpc-v2-cbor"),
    ],
)
def test_botocore_understands_the_error_in_every_protocol(service: str, protocol: str, parser: str) -> None:
    message = 'no <such> "thing" & more ü'
    reply = error_reply(request_in(protocol, service), code="AccessDenied", message=message, status=403)
    answer = {"status_code": reply.status, "headers": dict(reply.headers), "body": reply.body}
    shape: Any = get_session().get_service_model("sts").operation_model("GetCallerIdentity").output_shape
    error = create_parser(parser).parse(answer, shape)["Error"]
    assert (error["Code"], error["Message"]) == ("AccessDenied", message)


def test_an_internal_error_says_where_the_traceback_is() -> None:
    reply = internal_error_reply(request_in("json", "ssm"))
    assert (reply.status, json.loads(reply.body)["__type"]) == (500, "InternalError")
    assert "amifactory sandbox logs" in json.loads(reply.body)["message"]


def test_a_head_request_gets_no_body() -> None:
    request = AwsRequest(
        service="s3", operation="X", region="", protocol="rest-xml", method="HEAD", signed=True
    )
    reply = not_implemented_reply(request)
    assert (reply.status, reply.body) == (501, b"")


def test_what_is_refused_says_why() -> None:
    text = ET.fromstring(not_implemented_reply(request_in("ec2", "ec2"), what="because").body)  # noqa: S314
    assert text.findtext("Errors/Error/Message") == "The sandbox has not got ec2:DoIt (because)."
    assert refusal("ec2", "RunInstances") is None
    assert refusal("s3", "PutObject") is None
    assert refusal("ssm", "GetParameter") is None
    assert "Parameter Store" in (refusal("ssm", "SendCommand") or "")
    assert "secretsmanager" in (refusal("dynamodb", "CreateTable") or "")
    assert refusal("autoscaling", "CompleteLifecycleAction") is None
    assert "SetDesiredCapacity" in (refusal("autoscaling", "PutScalingPolicy") or "")
    assert "instance refresh" in (refusal("autoscaling", "DescribePolicies") or "")
    assert "CreateImage" in (refusal("ec2", "RegisterImage") or "")
