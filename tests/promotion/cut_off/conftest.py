"""An account without a server, so that thousands of calls are cheap, and sessions that can be cut off."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.retries.standard import register_retry_handler

from amifactory.aws.session import AwsSession
from amifactory.sandbox.ec2_world import World
from amifactory.sandbox.failures import Ledger
from amifactory.sandbox.failures_machine import FailingDriver
from amifactory.sandbox.moto_install import install
from amifactory.sandbox.remembered_machines import RememberedMachines, local_settings
from amifactory.sandbox.server import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.sandbox.moto_gateway import Gateway

SECONDS = 30
"""How long machines may take, which are only remembered."""
FULL_QUOTA = 500
"""What botocore lets a client of a new process spend on repeating calls."""


class Content(BytesIO):
    """The body of an answer, as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """Yields all of it."""
        yield self.read()


class Killed(BaseException):
    """Stands for the end of the process: nobody catches it, and no later call of its session reaches AWS."""


class DirectSession(AwsSession):
    """A session whose calls are answered in this process, and are counted; a failed one is repeated at once.

    Attributes:
        made: The operations that were called since the run began.
    """

    def __init__(self, *, world: World, gateway: Gateway, **given: Any) -> None:
        super().__init__(**given)
        self._world, self._gateway = world, gateway
        self._counting = threading.Lock()
        self._quotas: list[Any] = []
        self.begin()

    def begin(self, at: Callable[[list[str]], bool] = lambda _: False, *, after: bool = False) -> None:
        """Begins a run, as of a new process.

        Args:
            at: Whether to kill it at the last of the calls so far.
            after: Do so once that call is done, its answer not yet read.
        """
        for quota in self._quotas:
            quota.release(FULL_QUOTA)
        self.made: list[str] = []
        self._at, self._after, self._dead = at, after, False

    def cut_off(self, run: Callable[[], object], at: Callable[[list[str]], bool], *, after: bool) -> None:
        """Runs something that is killed at a call, and begins the next run."""
        self.begin(at, after=after)
        try:
            run()
        except Killed:
            return
        finally:
            calls = len(self.made)
            self.begin()
        raise AssertionError(f"it came to its end in {calls} calls, and was not killed")

    def _client(self, service: str) -> Any:
        client = super()._client(service)
        events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
        events.register_first("before-call", self._arriving)
        events.register_first("before-send", self._send)
        events.register_first("after-call", self._answered)
        retries: Any = register_retry_handler(client, max_attempts=10)
        self._quotas.append(retries._retry_quota._quota)
        events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")
        events.register(
            f"needs-retry.{name}", lambda **given: None if retries.needs_retry(**given) is None else 0
        )
        return client

    def _arriving(self, *, model: Any, context: dict[str, Any], **_: object) -> None:
        with self._counting:
            if not self._dead:
                self.made.append(model.name)
            context["cut off"] = self._at(self.made)
            self._die_if(context["cut off"] and not self._after)

    def _answered(self, *, context: dict[str, Any], **_: object) -> None:
        with self._counting:
            self._die_if(context["cut off"])

    def _die_if(self, due: bool) -> None:
        self._dead = self._dead or due
        if self._dead:
            raise Killed

    def _send(self, *, request: Any, **_: object) -> AWSResponse:
        from werkzeug.test import run_wsgi_app  # noqa: PLC0415 - takes long

        url = urlsplit(request.url)
        headers = {name: _text(value) for name, value in request.headers.items()}
        body = request.body.read() if isinstance(request.body, BytesIO) else request.body or b""
        content = body.encode() if isinstance(body, str) else body
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(url.path, "latin-1"),
            "QUERY_STRING": url.query,
            "SERVER_NAME": url.hostname,
            "SERVER_PORT": str(url.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": BytesIO(content),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
            "HTTP_HOST": url.netloc,
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(content)),
        }
        try:
            chunks, status, given = run_wsgi_app(self._gateway, environ, buffered=True)
        except ConnectionAbortedError as error:
            raise ConnectionClosedError(endpoint_url=request.url, request=request) from error
        finally:
            self._world.work.wait(SECONDS)
        answered: Any = dict(given)
        return AWSResponse(request.url, int(status.split()[0]), answered, Content(b"".join(chunks)))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


@dataclass(frozen=True, kw_only=True)
class Direct:
    """An account without a server, whose groups take a step only when time passes."""

    account: Any
    gateway: Gateway

    def ask(self, method: str, what: str, document: object = None) -> Any:
        """Asks what the sandbox offers beside AWS: faults, calls."""
        return json.loads(self.gateway.ledger.answer(method, what, json.dumps(document).encode()).body)


@pytest.fixture
def direct(make_account: Callable[..., Any]) -> Iterator[Direct]:
    """Returns an account that is put together as `serve` does it, but does not listen."""
    machines, ledger, settings = RememberedMachines(), Ledger(), local_settings()
    machines.gate.set()
    world = World(driver=FailingDriver(machines, ledger), settings=settings)
    install(world)
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - once moto is set up
        DomainDispatcherApplication,
        create_backend_app,
    )

    from amifactory.sandbox.moto_gateway import Gateway  # noqa: PLC0415
    from amifactory.sandbox.scaling.clock import Clock  # noqa: PLC0415
    from amifactory.sandbox.scaling.engine import Engine  # noqa: PLC0415
    from amifactory.sandbox.scaling.service import AutoScaling  # noqa: PLC0415

    class Dispatcher(DomainDispatcherApplication):
        """Moto's, which else looks through its folders for every call."""

        get_backend_for_host = lru_cache(DomainDispatcherApplication.get_backend_for_host)

    engine = Engine(world, Clock())
    gateway = Gateway(
        world.lock, ledger, Dispatcher(create_backend_app), own={"autoscaling": AutoScaling(world, engine)}
    )
    with world.lock:
        prepare(world)

    def take_along(seconds: float) -> None:
        engine.clock.advance(seconds)
        engine.tick()

    account = make_account(
        settings=settings,
        take_along=take_along,
        world=world,
        connect=partial(DirectSession, world=world, gateway=gateway),
    )
    yield Direct(account=account, gateway=gateway)
    world.work.close(SECONDS)
    world.notices.alarms.close()
