"""The one WSGI application in front of moto: records, fails on request, checks, serialises, mends errors."""

from __future__ import annotations

import io
import logging
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from botocore.model import OperationNotFoundError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import run_wsgi_app

from amifactory.sandbox.failures import json_reply
from amifactory.sandbox.failures_calls import FaultyCalls
from amifactory.sandbox.moto_errors import Reply, error_reply, internal_error_reply, not_implemented_reply
from amifactory.sandbox.moto_parameters import missing_parameter_reply
from amifactory.sandbox.moto_requests import AwsRequest, read_request
from amifactory.sandbox.moto_services import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from amifactory.sandbox.failures import Ledger
    from amifactory.sandbox.moto_lock import MotoLock

log = logging.getLogger(__name__)

ADMIN = "/amifactory/"
MOTOS_OWN = ("/moto-api", "/latest/", "/favicon.ico")
"""Paths under which moto can be reset and replayed, or gives everybody the same instance metadata."""
HTML = (b"<!doctype html", b"<html")


class Gateway:
    """Answers every AWS call of the sandbox.

    Args:
        own: Services that are not moto's, by name.
        administration: Answers to what else is asked of the sandbox itself, by method and path.
    """

    def __init__(
        self,
        lock: MotoLock,
        ledger: Ledger,
        moto: Any = None,
        *,
        own: Mapping[str, Callable[[AwsRequest, dict[str, Any]], Reply]] = MappingProxyType({}),
        administration: Mapping[tuple[str, str], Callable[[bytes], Reply]] = MappingProxyType({}),
    ) -> None:
        self.ledger = ledger
        self._calls = FaultyCalls(ledger)
        self._lock = lock
        self._own = own
        self._administration = administration
        self._moto = moto or DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI."""
        receive_body(environ)
        request = read_request(environ)
        path = environ.get("PATH_INFO", "")
        if not request.signed and path.startswith(ADMIN):
            reply = self._admin(environ, path)
        else:
            reply = self._calls.answer(request, environ, partial(self._ask_moto, environ, request))
            log.debug("%s %s:%s %s", request.region, request.service, request.operation, reply.status)
        start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", list(reply.headers))
        return [reply.body]

    def _admin(self, environ: dict[str, Any], path: str) -> Reply:
        if environ.get("REMOTE_ADDR") != "127.0.0.1":
            return json_reply(403, {"error": "answered on the loopback interface only"})
        method, what, body = environ["REQUEST_METHOD"], path.removeprefix(ADMIN), environ["wsgi.input"].read()
        if answer := self._administration.get((method, what)):
            return answer(body)
        return self.ledger.answer(method, what, body)

    def _ask_moto(self, environ: dict[str, Any], request: AwsRequest) -> Reply:
        early = _early_reply(environ, request)
        if early is not None:
            return early
        if answer := self._own.get(request.service):
            return answer(request, environ)
        try:
            with self._lock:
                body, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
                content = b"".join(body)
        except (NotImplementedError, OperationNotFoundError, ImportError) as error:
            log.warning("not in the sandbox: %s:%s: %s", request.service, request.operation, error)
            return not_implemented_reply(request, what=str(error) or None)
        except Exception:
            log.exception("%s:%s failed", request.service, request.operation)
            return internal_error_reply(request)
        reply = Reply(status=int(status.split()[0]), headers=tuple(headers), body=content)
        return _mended(request, reply)


def receive_body(environ: dict[str, Any]) -> None:
    """Reads the whole body from the connection, so that no slow client keeps others from moto.

    Raises:
        ConnectionError: The client sent less than it said.
    """
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body = stream.read()
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = stream.read(length)
        if len(body) < length:
            raise ConnectionAbortedError(f"the body ends after {len(body)} of {length} bytes")
    environ["wsgi.input"] = io.BytesIO(body)


def _early_reply(environ: dict[str, Any], request: AwsRequest) -> Reply | None:
    """Returns the answer to what moto must not see, as it would pretend, crash or give itself away."""
    if environ.get("PATH_INFO", "").startswith(MOTOS_OWN):
        return error_reply(request, code="NoSuchBucket", message="Not found.", status=HTTPStatus.NOT_FOUND)
    if not request.signed and request.protocol != "rest-xml":
        message = "The request must contain a valid AWS access key id and be signed."
        return error_reply(request, code="MissingAuthenticationToken", message=message, status=403)
    why = refusal(request.service, request.operation)
    if why:
        return not_implemented_reply(request, what=why)
    return missing_parameter_reply(request, environ)


def _mended(request: AwsRequest, reply: Reply) -> Reply:
    """Returns the reply, or an AWS error where moto's was a web page or nothing."""
    if reply.status < HTTPStatus.BAD_REQUEST:
        return reply
    page = reply.body[:32].lstrip().lower().startswith(HTML)
    nothing = not reply.body and request.method != "HEAD" and request.service != "s3"
    if not page and not nothing:
        return reply
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return internal_error_reply(request)
    return not_implemented_reply(request)
