"""The sandbox's AWS, served over HTTP in this process, with machines that are only remembered."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from amifactory.sandbox.driver import DriverError, Launch, ServerSettings
from amifactory.sandbox.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.sandbox.ec2_world import World

REGION = "eu-central-1"
SOURCE = "ami-0debdebdebdebdeb0"


@dataclass(kw_only=True)
class FakeDriver:
    """Remembers what was asked of it; ``gate`` closed keeps machines from finishing."""

    subnet: IPv4Network = field(default_factory=lambda: IPv4Network("10.99.0.0/20"))
    asked: list[tuple[str, ...]] = field(default_factory=list)
    launched: dict[str, Launch] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    gate: threading.Event = field(default_factory=threading.Event)
    powered_off: Callable[[str], None] | None = None

    def launch(self, launch: Launch) -> None:
        self.launched[launch.instance_id] = launch
        self._do("launch", launch.instance_id, launch.image_id)

    def stop(self, instance_id: str) -> None:
        self._do("stop", instance_id)

    def start(self, instance_id: str) -> None:
        self._do("start", instance_id)

    def reboot(self, instance_id: str) -> None:
        self._do("reboot", instance_id)

    def terminate(self, instance_id: str) -> None:
        self._do("terminate", instance_id)

    def snapshot(self, instance_id: str, image_id: str) -> None:
        self._do("snapshot", instance_id, image_id)

    def copy_snapshot(self, source_image_id: str, image_id: str) -> None:
        self._do("copy_snapshot", source_image_id, image_id)

    def delete_snapshot(self, image_id: str) -> None:
        self._do("delete_snapshot", image_id)

    def console_output(self, instance_id: str) -> str:
        return f"console of {instance_id}\n"

    def watch(self, powered_off: Callable[[str], None]) -> None:
        self.powered_off = powered_off

    def _do(self, what: str, *about: str) -> None:
        self.gate.wait(5)
        self.asked.append((what, *about))
        if what in self.broken:
            raise DriverError(f"cannot {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def settings() -> ServerSettings:
    loopback, port = IPv4Address("127.0.0.1"), free_port()
    return ServerSettings(
        addresses=(loopback,),
        port=port,
        imds_port=free_port(),
        gateway=loopback,
        instance_endpoint=f"http://10.99.0.1:{port}",
        region=REGION,
        state_bucket="example-amifactory-state",
        instance_profile="amifactory-sandbox",
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        reserved=16,
        source_ami_id=SOURCE,
        source_ami_name="debian-12-amd64-20261121-1",
        architecture="x86_64",
    )


@pytest.fixture(scope="session")
def machines() -> FakeDriver:
    driver = FakeDriver()
    driver.gate.set()
    return driver


@pytest.fixture(scope="module")
def world(machines: FakeDriver, settings: ServerSettings) -> Iterator[World]:
    with serve(machines, settings) as world:
        yield world


@pytest.fixture
def driver(machines: FakeDriver, world: World) -> Iterator[FakeDriver]:
    machines.asked.clear()
    yield machines
    machines.broken.clear()
    machines.gate.set()
    world.work.wait(5)


@pytest.fixture(scope="session")
def endpoint(settings: ServerSettings) -> str:
    return f"http://127.0.0.1:{settings.port}"


@pytest.fixture(scope="session")
def session(settings: ServerSettings) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name=REGION,
    )


@pytest.fixture(scope="session")
def kept_clients() -> dict[tuple[str, str], Any]:
    return {}


@pytest.fixture
def client(
    session: boto3.Session, endpoint: str, world: World, kept_clients: dict[tuple[str, str], Any]
) -> Callable[..., Any]:
    """Makes a client that asks once; clients are kept, making one takes long."""
    del world
    made = kept_clients

    def make(service: str, region: str = REGION) -> Any:
        if (service, region) not in made:
            config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
            make_any: Any = session.client
            made[service, region] = make_any(
                service, region_name=region, endpoint_url=endpoint, config=config
            )
        return made[service, region]

    return make


@pytest.fixture
def ec2(client: Callable[..., Any], driver: FakeDriver) -> Any:
    del driver
    return client("ec2")


@pytest.fixture
def run(ec2: Any, driver: FakeDriver, world: World) -> Callable[..., str]:
    """Runs an instance of the source AMI and returns its id; it is pending only while the gate is closed."""

    def run(**options: Any) -> str:
        wanted = {"ImageId": SOURCE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **options}
        instance = str(ec2.run_instances(**wanted)["Instances"][0]["InstanceId"])
        if driver.gate.is_set():
            world.work.wait(5)
        return instance

    return run


@pytest.fixture
def described(ec2: Any) -> Callable[[str], dict[str, Any]]:
    """Returns an instance as DescribeInstances has it."""

    def described(instance_id: str) -> dict[str, Any]:
        return dict(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0])

    return described


@pytest.fixture
def state(described: Callable[[str], dict[str, Any]]) -> Callable[[str], str]:
    """Returns the name of an instance's state."""
    return lambda instance_id: str(described(instance_id)["State"]["Name"])


@pytest.fixture
def code() -> Callable[..., str]:
    """Returns the error code a call is refused with."""

    def code(call: Callable[..., Any], **arguments: Any) -> str:
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        return str(refused.value.response["Error"]["Code"])

    return code


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
