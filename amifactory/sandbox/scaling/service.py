"""The Auto Scaling API over HTTP: requests parsed and answers written by AWS's own model of it."""

from __future__ import annotations

import logging
import re
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from moto.core.parse import QueryParser
from moto.core.serialize import QuerySerializer
from moto.core.utils import get_service_model
from moto.iam.models import get_account_id_from

from amifactory.sandbox.moto_errors import Reply, error_reply, internal_error_reply, not_implemented_reply
from amifactory.sandbox.scaling import (
    activities_api,
    groups_api,
    hooks_api,
    members_api,
    processes_api,
    refresh_api,
    tags_api,
)
from amifactory.sandbox.scaling.calls import Call
from amifactory.sandbox.scaling.errors import ScalingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World
    from amifactory.sandbox.moto_requests import AwsRequest
    from amifactory.sandbox.scaling.engine import Engine

ACCESS_KEY = re.compile(r"Credential=([^/,\s]+)/")

log = logging.getLogger(__name__)

MODULES = (activities_api, groups_api, hooks_api, members_api, processes_api, refresh_api, tags_api)
OPERATIONS: dict[str, Callable[[Call], dict[str, Any]]] = dict(
    chain.from_iterable(module.OPERATIONS.items() for module in MODULES)
)
"""Every operation there is; `amifactory.sandbox.moto_services.AUTOSCALING` has their names."""


def account_of(environ: dict[str, Any]) -> str:
    """Returns the account whose access key a request is signed with: moto's own rule."""
    signature = environ.get("HTTP_AUTHORIZATION", "") + unquote(environ.get("QUERY_STRING", ""))
    found = ACCESS_KEY.search(signature)
    return str(get_account_id_from(found[1] if found else ""))


class AutoScaling:
    """Answers every call of the Auto Scaling API."""

    def __init__(self, world: World, engine: Engine) -> None:
        self._world = world
        self._engine = engine

    def __call__(self, request: AwsRequest, environ: dict[str, Any]) -> Reply:
        """Returns what a call is answered."""
        operation = OPERATIONS.get(request.operation)
        if operation is None:
            return not_implemented_reply(request)
        model = get_service_model("autoscaling").operation_model(request.operation)
        body = environ["wsgi.input"].getvalue().decode(errors="replace")
        form = parse_qsl(f"{environ.get('QUERY_STRING', '')}&{body}", keep_blank_values=True)
        asked: Any = {"values": dict(form)}
        try:
            given = QueryParser(model).parse(asked)
        except ValueError as error:
            return error_reply(request, code="ValidationError", message=str(error))
        try:
            with self._world.lock:
                call = Call(
                    engine=self._engine,
                    account=account_of(environ),
                    region=request.region,
                    given=given,
                )
                result = operation(call)
        except ScalingError as error:
            return error_reply(request, code=error.code, message=error.message)
        except Exception:
            log.exception("autoscaling:%s failed", request.operation)
            return internal_error_reply(request)
        written = QuerySerializer(model).serialize(result)
        text = written["body"]
        data = text.encode() if isinstance(text, str) else text
        headers = (("Content-Type", "text/xml"), ("Content-Length", str(len(data))))
        return Reply(status=written["status_code"], headers=headers, body=data)
