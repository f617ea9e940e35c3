"""The instance metadata service. EC2 user guide, "Use the Instance Metadata Service"."""

from __future__ import annotations

import http.client
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from amifactory.sandbox.imds import Imds

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.driver import ServerSettings
    from amifactory.sandbox.ec2_world import World

TTL = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
SOURCE = "ami-0debdebdebdebdeb0"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Caller:
    """Asks the service as one instance would: by WSGI, from its address."""

    def __init__(self, imds: Imds, address: str) -> None:
        self._imds, self._address = imds, address

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "REMOTE_ADDR": self._address,
            "wsgi.input": BytesIO(),
        }
        for name, value in (headers or {}).items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        status: list[str] = []
        body = b"".join(self._imds(environ, lambda line, _: status.append(line)))
        return int(status[0].split()[0]), body.decode()

    def token(self) -> str:
        return self.ask("PUT", "/latest/api/token", TTL)[1]

    def get(self, path: str, token: str | None = None) -> str | int:
        """Returns what is at a path, or the status when it is not 200."""
        headers = {"X-aws-ec2-metadata-token": token or self.token()}
        status, body = self.ask("GET", f"/latest/{path}", headers)
        return body if status == 200 else status


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def imds(world: World, clock: Clock) -> Imds:
    return Imds(world, clock=clock)


@pytest.fixture
def caller(imds: Imds, run: Callable[..., str], driver: Any, world: World) -> Callable[..., Caller]:
    """Runs an instance and returns it as a caller."""

    def caller(**options: Any) -> Caller:
        instance = run(**options)
        world.work.wait(5)
        return Caller(imds, driver.launched[instance].private_ip)

    return caller


def test_each_instance_sees_itself(caller: Callable[..., Caller], driver: Any) -> None:
    first, second = caller(), caller()
    seen = [first.get("meta-data/instance-id"), second.get("meta-data/instance-id")]
    assert seen == list(driver.launched)[-2:]


def test_what_there_is(caller: Callable[..., Caller], settings: ServerSettings) -> None:
    """EC2 user guide, "Access instance metadata categories"."""
    me = caller()
    address = me.get("meta-data/local-ipv4")
    assert isinstance(address, str)
    name = f"ip-{address.replace('.', '-')}.eu-central-1.compute.internal"
    assert {
        path: me.get(f"meta-data/{path}")
        for path in ("ami-id", "hostname", "local-hostname", "instance-type")
    } == {
        "ami-id": SOURCE,
        "hostname": name,
        "local-hostname": name,
        "instance-type": "t3.micro",
    }
    assert me.get("meta-data/placement/region") == "eu-central-1"
    assert me.get("meta-data/placement/availability-zone") == "eu-central-1a"
    assert me.get("meta-data/security-groups") == "default"
    assert me.get("meta-data/instance-life-cycle") == "on-demand"
    assert me.get("meta-data/sandbox/endpoint") == settings.instance_endpoint


def test_listings(caller: Callable[..., Caller]) -> None:
    """Directories end with a slash in their parent's listing."""
    me = caller()
    top = str(me.get("meta-data/")).split("\n")
    assert {"ami-id", "instance-id", "placement/", "services/"} <= set(top)
    assert str(me.get("")).split("\n") == ["dynamic/", "meta-data/"]


@pytest.mark.parametrize(
    "path",
    [
        "meta-data/nothing",
        "meta-data/iam/info",
        "meta-data/public-keys/0/openssh-key",
        "user-data",
        "meta-data/tags/instance",
        "meta-data/instance-id/x",
    ],
)
def test_what_there_is_not(caller: Callable[..., Caller], path: str) -> None:
    assert caller().get(path) == 404


def test_strangers_are_told_nothing(imds: Imds) -> None:
    assert Caller(imds, "10.99.15.250").ask("PUT", "/latest/api/token", TTL)[0] == 404


def test_a_terminated_instance_is_a_stranger(
    caller: Callable[..., Caller], ec2: Any, world: World, driver: Any
) -> None:
    me = caller()
    ec2.terminate_instances(InstanceIds=[list(driver.launched)[-1]])
    world.work.wait(5)
    assert me.ask("PUT", "/latest/api/token", TTL)[0] == 404


def test_without_a_token_only_where_tokens_are_optional(caller: Callable[..., Caller]) -> None:
    """MetadataOptions, HttpTokens: required refuses with 401."""
    assert caller().ask("GET", "/latest/meta-data/ami-id") == (200, SOURCE)
    strict = caller(MetadataOptions={"HttpTokens": "required"})
    assert strict.ask("GET", "/latest/meta-data/ami-id")[0] == 401
    assert strict.get("meta-data/ami-id") == SOURCE


def test_tokens_end_and_are_not_shared(caller: Callable[..., Caller], clock: Clock) -> None:
    """A token is valid on its instance only, for the seconds asked for; a bad one is 401 always."""
    me, other = caller(), caller()
    token = me.token()
    assert other.get("meta-data/ami-id", token) == 401
    clock.now += 61
    assert me.get("meta-data/ami-id", token) == 401


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("PUT", {}, 400),
        ("PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "21601"}, 400),
        ("PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "0"}, 400),
        ("PUT", {**TTL, "X-Forwarded-For": "10.0.0.1"}, 403),
        ("GET", TTL, 405),
    ],
)
def test_asking_for_a_token_wrongly(
    caller: Callable[..., Caller], method: str, headers: dict[str, str], status: int
) -> None:
    """1 to 21600 seconds, by PUT, not through a proxy."""
    assert caller().ask(method, "/latest/api/token", headers)[0] == status


def test_disabled_metadata(caller: Callable[..., Caller]) -> None:
    """MetadataOptions, HttpEndpoint disabled: 403."""
    me = caller(MetadataOptions={"HttpEndpoint": "disabled"})
    assert me.ask("GET", "/latest/meta-data/ami-id")[0] == 403


def test_the_key_pair(caller: Callable[..., Caller], ec2: Any) -> None:
    """public-keys/ lists index=name; imported and created keys alike."""
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUYh1v1JsYkX3jJQ3w3x8bqj4q7oHTm6c3Jp4xQ7nX1 one-time"
    ec2.import_key_pair(KeyName="imported", PublicKeyMaterial=line.encode())
    me = caller(KeyName="imported")
    assert me.get("meta-data/public-keys/") == "0=imported"
    assert me.get("meta-data/public-keys/0/") == "openssh-key"
    assert me.get("meta-data/public-keys/0/openssh-key") == f"{line}\n"
    ec2.create_key_pair(KeyName="created", KeyType="ed25519")
    assert str(caller(KeyName="created").get("meta-data/public-keys/0/openssh-key")).startswith(
        "ssh-ed25519 "
    )


def test_user_data_comes_as_it_was_given(caller: Callable[..., Caller]) -> None:
    assert caller(UserData="#!/bin/sh\necho ü\n").get("user-data") == "#!/bin/sh\necho ü\n"


def test_tags_when_enabled(caller: Callable[..., Caller]) -> None:
    """MetadataOptions, InstanceMetadataTags."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "worker"}]}]
    me = caller(MetadataOptions={"InstanceMetadataTags": "enabled"}, TagSpecifications=tags)
    assert me.get("meta-data/tags/instance") == "Name"
    assert me.get("meta-data/tags/instance/Name") == "worker"


def test_the_identity_document(caller: Callable[..., Caller]) -> None:
    """EC2 user guide, "Instance identity documents"."""
    me = caller()
    document = json.loads(str(me.get("dynamic/instance-identity/document")))
    assert document["instanceId"] == me.get("meta-data/instance-id")
    assert (document["region"], document["accountId"], document["imageId"]) == (
        "eu-central-1",
        "123456789012",
        SOURCE,
    )


def test_the_roles_credentials_work(
    caller: Callable[..., Caller], client: Callable[..., Any], endpoint: str
) -> None:
    """IAM user guide, "Use an IAM role to grant permissions to applications running on EC2 instances"."""
    iam = client("iam")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=policy)
    iam.create_instance_profile(InstanceProfileName="worker-profile")
    iam.add_role_to_instance_profile(InstanceProfileName="worker-profile", RoleName="worker")
    me = caller(IamInstanceProfile={"Name": "worker-profile"})
    assert "worker-profile" in json.loads(str(me.get("meta-data/iam/info")))["InstanceProfileArn"]
    assert me.get("meta-data/iam/security-credentials/") == "worker"
    given = json.loads(str(me.get("meta-data/iam/security-credentials/worker")))
    assert me.get("meta-data/iam/security-credentials/worker") == json.dumps(given, indent=2)
    sts = boto3.client(
        "sts",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["Token"],
    )
    assert ":assumed-role/worker/i-" in sts.get_caller_identity()["Arn"]


def test_it_is_served_over_http(settings: ServerSettings, world: World) -> None:
    """This process is nobody's instance, so it is told nothing; but told."""
    del world
    connection = http.client.HTTPConnection("127.0.0.1", settings.imds_port, timeout=5)
    connection.request("GET", "/latest/meta-data/")
    assert connection.getresponse().status == 404
    connection.close()
