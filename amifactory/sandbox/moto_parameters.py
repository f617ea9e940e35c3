"""Refuses requests that lack a parameter AWS insists on: moto would break, or do without."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from botocore.model import OperationNotFoundError
from moto.core.utils import get_service_model

from amifactory.sandbox.moto_errors import error_reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amifactory.sandbox.moto_errors import Reply
    from amifactory.sandbox.moto_requests import AwsRequest


MODELS = {"monitoring": "cloudwatch"}
"""Names of botocore's models where the service's name in the credential's scope is another one."""


def missing_parameter_reply(request: AwsRequest, environ: dict[str, Any]) -> Reply | None:
    """Returns AWS's error for the first required parameter that is not given; None when all are.

    MissingParameter: EC2 API reference and IAM API reference, "Common errors".
    """
    if request.protocol not in {"ec2", "query", "json"}:
        return None
    given = _given(request, environ)
    name = next(
        (
            name
            for name in _required(request.service, request.operation, request.protocol)
            if name not in given
        ),
        None,
    )
    if name is None:
        return None
    if request.protocol == "json":
        message = f"1 validation error detected: Value at '{name}' failed to satisfy constraint: "
        return error_reply(request, code="ValidationException", message=f"{message}Member must not be null")
    message = f"The request must contain the parameter {name}"
    return error_reply(request, code="MissingParameter", message=message)


@cache
def _required(service: str, operation: str, protocol: str) -> tuple[str, ...]:
    """Returns the names, as they are sent, of the parameters an operation cannot do without."""
    try:
        shape = get_service_model(MODELS.get(service, service)).operation_model(operation).input_shape
    except OperationNotFoundError:
        return ()
    members = shape.required_members if shape else []
    if protocol == "json":
        return tuple(members)
    return tuple(_written(protocol, member, shape.members[member].serialization) for member in members)


def _written(protocol: str, member: str, serialization: dict[str, Any]) -> str:
    """Returns a parameter's name in a form: EC2 has its own rules, see AWS's botocore.serialize."""
    name = str(serialization.get("name", member))
    if protocol == "ec2":
        return str(serialization.get("queryName") or name[0].upper() + name[1:])
    return name


def _given(request: AwsRequest, environ: dict[str, Any]) -> set[str]:
    """Returns the names of the parameters in a request; of a list or structure only its own."""
    body: bytes = environ["wsgi.input"].getvalue()
    if request.protocol != "json":
        form = f"{environ.get('QUERY_STRING', '')}&{body.decode(errors='replace')}"
        return _first_parts(parse_qs(form, keep_blank_values=True))
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return set()
    return {name for name, value in document.items() if value is not None}


def _first_parts(names: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}
