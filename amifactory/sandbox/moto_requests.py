"""Reads from an HTTP request which AWS service and operation it is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Mapping

SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
REST_XML = frozenset({"s3", "route53", "cloudfront", "s3-object-lambda"})
FORM_LIMIT = 1 << 20


@dataclass(frozen=True, kw_only=True)
class AwsRequest:
    """Which call a request makes. Protocol: ec2, query, json, rest-json, rest-xml or cbor."""

    service: str
    operation: str
    region: str
    protocol: str
    method: str
    signed: bool


def read_request(environ: dict[str, Any]) -> AwsRequest:
    """Returns what a WSGI request, its body received, asks of AWS."""
    credentials = environ.get("HTTP_AUTHORIZATION", "")
    query = parse_qs(environ.get("QUERY_STRING", ""))
    presigned = query.get("X-Amz-Credential", [""])[0]
    scope = SCOPE.search(credentials) or SCOPE.search(f"Credential={presigned}")
    region, service = (scope["region"], scope["service"]) if scope else ("", "s3")
    operation, protocol = _operation(environ, service, query)
    return AwsRequest(
        service=service,
        operation=operation,
        region=region,
        protocol=protocol,
        method=environ["REQUEST_METHOD"],
        signed=bool(credentials or presigned or "AWSAccessKeyId" in query),
    )


def _operation(environ: dict[str, Any], service: str, query: Mapping[str, list[str]]) -> tuple[str, str]:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2], "json"
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return environ.get("PATH_INFO", "").rpartition("/")[2], "cbor"
    action = _form(environ).get("Action") or query.get("Action")
    if action:
        return action[0], "ec2" if service == "ec2" else "query"
    return _rest_operation(environ, service), "rest-xml" if service in REST_XML else "rest-json"


def _form(environ: dict[str, Any]) -> dict[str, list[str]]:
    kind = environ.get("CONTENT_TYPE", "")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if not kind.startswith("application/x-www-form-urlencoded") or not 0 < length <= FORM_LIMIT:
        return {}
    return parse_qs(environ["wsgi.input"].getvalue().decode(errors="replace"))


def _rest_operation(environ: dict[str, Any], service: str) -> str:
    """Returns the operation a REST path stands for, or method and path when it is nobody's."""
    from botocore.exceptions import UnknownServiceError  # noqa: PLC0415
    from moto.core.request import Request  # noqa: PLC0415
    from moto.core.routing import get_service_router  # noqa: PLC0415

    fallback = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
    try:
        operation, _ = get_service_router(service).match(Request(dict(environ)))
    except (HTTPException, UnknownServiceError, NotImplementedError):
        return fallback
    return str(operation.name)
