"""Serves the sandbox's AWS: one endpoint for every service, and the instance metadata service."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.ec2_world import ACCOUNT, World, ec2_regions
from amifactory.sandbox.failures import Ledger
from amifactory.sandbox.failures_machine import FailingDriver
from amifactory.sandbox.moto_install import install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.serving import BaseWSGIServer

    from amifactory.sandbox.driver import InstanceDriver, ServerSettings
    from amifactory.sandbox.scaling.engine import Engine

log = logging.getLogger(__name__)

TICK_SECONDS = 0.1
"""How often Auto Scaling groups take a step."""
POLL_SECONDS = 0.1
"""How soon a listener notices that it shall stop."""
DRAIN_SECONDS = 30
"""How long machines may take, when serving ends, to finish what they are doing."""
CONNECTION_SECONDS = 60
"""How long a connection may be silent."""
TRUST_EC2 = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    ],
}
"""IAM user guide, "Create a role for an AWS service": a role that instances may take on."""


@contextmanager
def serve(driver: InstanceDriver, settings: ServerSettings) -> Iterator[World]:
    """Serves while entered: the AWS endpoint at every address, metadata at the gateway.

    Leaving stops listening and waits for what machines are doing; instances are the driver's to remove.
    """
    ledger = Ledger()
    world = World(driver=FailingDriver(driver, ledger), settings=settings)
    install(world)
    from amifactory.sandbox.imds import Imds  # noqa: PLC0415 - moto must be set up before it is used
    from amifactory.sandbox.moto_gateway import Gateway  # noqa: PLC0415
    from amifactory.sandbox.notify import Notifier, utc_now  # noqa: PLC0415
    from amifactory.sandbox.scaling.administration import ClockDesk  # noqa: PLC0415
    from amifactory.sandbox.scaling.clock import Clock  # noqa: PLC0415
    from amifactory.sandbox.scaling.engine import Engine  # noqa: PLC0415
    from amifactory.sandbox.scaling.service import AutoScaling  # noqa: PLC0415

    engine = Engine(world, Clock())
    desk = ClockDesk(engine)
    gateway = Gateway(
        world.lock,
        ledger,
        own={"autoscaling": AutoScaling(world, engine)},
        administration={
            ("POST", "notices"): Notifier(world, engine, now=utc_now).answer,
            ("GET", "clock"): desk.tell,
            ("POST", "clock"): desk.change,
        },
    )
    imds = Imds(world)
    with world.lock:
        prepare(world)
    listeners: list[tuple[str, int, Any]] = [
        (str(address), settings.port, gateway) for address in settings.addresses
    ]
    listeners.append((str(settings.gateway), settings.imds_port, imds))
    serving = threading.Event()
    with ExitStack() as stack:
        stack.callback(world.work.close, DRAIN_SECONDS)
        stack.callback(serving.clear)
        stack.callback(world.notices.alarms.close)
        for host, port, application in listeners:
            stack.enter_context(listening(host, port, application))
        stack.enter_context(ticking(engine))
        serving.set()
        watch_power(world, driver, serving)
        log.info("serving AWS for %s at %s", settings.region, ", ".join(f"{h}:{p}" for h, p, _ in listeners))
        yield world


@contextmanager
def ticking(engine: Engine) -> Iterator[None]:
    """Keeps Auto Scaling groups as they shall be while entered."""
    stop = threading.Event()
    thread = threading.Thread(
        target=engine.run, args=(stop,), kwargs={"every": TICK_SECONDS}, name="auto-scaling", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def prepare(world: World) -> None:
    """Makes what an account has before anything is built: a network, the state bucket, instances' role."""
    from moto.ec2.models import ec2_backends  # noqa: PLC0415
    from moto.iam.models import iam_backends  # noqa: PLC0415
    from moto.s3.models import s3_backends  # noqa: PLC0415

    settings = world.settings
    _ = ec2_backends[ACCOUNT][settings.region]
    buckets = s3_backends[ACCOUNT]["aws"]
    if settings.state_bucket not in buckets.buckets:
        buckets.create_bucket(settings.state_bucket, settings.region)
        buckets.put_bucket_versioning(settings.state_bucket, "Enabled")
    iam, name = iam_backends[ACCOUNT]["aws"], settings.instance_profile
    if name not in iam.instance_profiles:
        iam.create_role(
            role_name=name,
            assume_role_policy_document=json.dumps(TRUST_EC2),
            path="/",
            permissions_boundary=None,
            description="Instances of the sandbox, where every role may do everything",
            tags=[],
            max_session_duration="3600",
        )
        iam.create_instance_profile(name=name, path="/", role_names=[name])


@contextmanager
def listening(host: str, port: int, application: Any) -> Iterator[None]:
    """Listens while entered, a thread for each request."""
    server = make_server(host, port, application)
    thread = threading.Thread(
        target=server.serve_forever, args=(POLL_SECONDS,), name=f"serve-{host}:{port}", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_server(host: str, port: int, application: Any) -> BaseWSGIServer:
    """Returns a threaded HTTP server that keeps header names as S3 needs them and its log to itself."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: PLC0415
    from werkzeug.serving import make_server as make  # noqa: PLC0415

    class Quiet(MotoRequestHandler):
        timeout = CONNECTION_SECONDS

        def log_request(self, *_: object) -> None:
            """Says nothing: calls are recorded by the gateway."""

        def log_error(self, *_: object) -> None:
            """Says nothing: clients that fall silent or talk nonsense are not the sandbox's fault."""

    return make(host, port, application, threaded=True, request_handler=Quiet)


def watch_power(world: World, driver: InstanceDriver, serving: threading.Event) -> None:
    """Follows instances that shut themselves down."""

    def powered_off(instance_id: str) -> None:
        with world.lock:
            for backend in ec2_regions() if serving.is_set() else ():
                instance = backend.get_instance_by_id(instance_id)
                if instance is not None:
                    backend.powered_off(instance)

    driver.watch(powered_off)
