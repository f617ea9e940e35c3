"""AWS error documents in each of AWS's protocols."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from amifactory.sandbox.moto_requests import AwsRequest


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A complete HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def error_reply(request: AwsRequest, *, code: str, message: str, status: int = 400) -> Reply:
    """Returns the error as a client of the request's protocol expects it."""
    request_id = str(uuid.uuid4())
    headers = [("x-amzn-RequestId", request_id), ("x-amz-request-id", request_id)]
    if request.protocol == "cbor":
        body = _cbor({"__type": code, "message": message})
        headers += [("smithy-protocol", "rpc-v2-cbor"), ("Content-Type", "application/cbor")]
    elif request.protocol in {"json", "rest-json"}:
        body = json.dumps({"__type": code, "message": message}).encode()
        headers += [("x-amzn-ErrorType", code), ("Content-Type", "application/x-amz-json-1.1")]
    else:
        body = _xml(request, code, message, request_id).encode()
        headers += [("Content-Type", "text/xml")]
    headers.append(("Content-Length", str(len(body))))
    return Reply(status=status, headers=tuple(headers), body=b"" if request.method == "HEAD" else body)


def not_implemented_reply(request: AwsRequest, *, what: str | None = None) -> Reply:
    """Returns the error for a call the sandbox does not know: never an HTML page, never a 500."""
    message = f"The sandbox has not got {request.service}:{request.operation}"
    message += f" ({what})." if what else "; it works on AWS only."
    if request.service == "s3":
        return error_reply(request, code="NotImplemented", message=message, status=501)
    xml = request.protocol in {"ec2", "query", "rest-xml"}
    code = "InvalidAction" if xml else "UnknownOperationException"
    return error_reply(request, code=code, message=message)


def internal_error_reply(request: AwsRequest) -> Reply:
    """Returns the error for a fault of the sandbox itself."""
    message = (
        f"The sandbox failed at {request.service}:{request.operation}; "
        "its log has the traceback (amifactory sandbox logs)."
    )
    return error_reply(request, code="InternalError", message=message, status=500)


def _xml(request: AwsRequest, code: str, message: str, request_id: str) -> str:
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    if request.service == "s3":
        return f"{head}<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    if request.protocol == "ec2":
        errors = f"<Errors><Error>{error}</Error></Errors>"
        return f"{head}<Response>{errors}<RequestID>{request_id}</RequestID></Response>"
    error = f"<Error><Type>Sender</Type>{error}</Error>"
    return f"{head}<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"


def _cbor(fields: dict[str, str]) -> bytes:
    """Returns a CBOR map of texts (RFC 8949, section 3)."""
    encoded = bytes([0xA0 | len(fields)])
    for text in (part for pair in fields.items() for part in pair):
        data = text.encode()
        encoded += b"\x79" + len(data).to_bytes(2, "big") + data
    return encoded
