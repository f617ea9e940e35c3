"""Faults that tests ask for: which call has them, and what its client sees of them."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from amifactory.sandbox.failures import Ledger
from amifactory.sandbox.moto_requests import AwsRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from amifactory.sandbox.driver import ServerSettings

IMAGES = {"operation": "DescribeImages", "service": "ec2", "code": "Wanted", "message": "m"}


@pytest.fixture
def forgotten(admin: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Forgets the calls so far, and releases what a test leaves held."""
    admin("DELETE", "calls")
    yield admin
    admin("DELETE", "held")


@pytest.fixture
def describe(ec2: Any) -> Callable[[], str]:
    """Describes images and returns the error's code, or ``done``."""

    def describe() -> str:
        try:
            ec2.describe_images(Owners=["self"])
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "done"

    return describe


@pytest.fixture
def keys(ec2: Any) -> Callable[[str], list[str]]:
    """Returns the key pairs whose name begins so: what CreateKeyPair has really made."""

    def keys(prefix: str) -> list[str]:
        return [
            key["KeyName"]
            for key in ec2.describe_key_pairs()["KeyPairs"]
            if key["KeyName"].startswith(prefix)
        ]

    return keys


@contextmanager
def background(call: Callable[[], Any]) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)


def until(held: Callable[[], list[Any]], count: int, *, seconds: float = 5) -> list[Any]:
    """Waits until as many calls are held."""
    deadline = time.monotonic() + seconds
    while len(held()) != count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(held()) == count
    return held()


def test_the_nth_call_from_now_on_fails(admin: Callable[..., Any], describe: Callable[[], str]) -> None:
    admin("POST", "failures", {**IMAGES, "nth": 3, "times": 2})
    assert [describe() for _ in range(6)] == ["done", "done", "Wanted", "Wanted", "done", "done"]


def test_faults_of_the_same_call_count_it_each(
    admin: Callable[..., Any], describe: Callable[[], str]
) -> None:
    """The first that is due is had; one that became due meanwhile is had by the next call."""
    admin("POST", "failures", {**IMAGES, "code": "Second", "nth": 2})
    admin("POST", "failures", {**IMAGES, "code": "First"})
    admin("POST", "failures", {**IMAGES, "code": "Third", "nth": 2})
    assert [describe() for _ in range(4)] == ["First", "Second", "Third", "done"]


def test_calls_are_numbered_and_those_that_change_something_once_more(
    forgotten: Callable[..., Any], ec2: Any, client: Callable[..., Any]
) -> None:
    """What an undisturbed run tells the test that then disturbs each call in turn."""
    ec2.describe_regions()
    ec2.create_key_pair(KeyName="numbered")
    client("s3").put_object(Bucket="example-amifactory-state", Key="numbered", Body=b"")
    client("s3").get_object(Bucket="example-amifactory-state", Key="numbered")
    client("secretsmanager").list_secrets()
    ec2.delete_key_pair(KeyName="numbered")
    calls = forgotten("GET", "calls")
    assert [(call["number"], call["operation"], call["change"]) for call in calls] == [
        (1, "DescribeRegions", None),
        (2, "CreateKeyPair", 1),
        (3, "PutObject", 2),
        (4, "GetObject", None),
        (5, "ListSecrets", None),
        (6, "DeleteKeyPair", 3),
    ]
    assert [call["changes"] for call in calls] == [False, True, True, False, False, True]


def test_a_call_fails_by_its_number(forgotten: Callable[..., Any], ec2: Any, keys: Any) -> None:
    forgotten("POST", "failures", {"call": 2, "code": "Wanted", "message": "m"})
    ec2.create_key_pair(KeyName="by number")
    with pytest.raises(ClientError, match="Wanted"):
        ec2.describe_regions()
    assert keys("by number") == ["by number"]


def test_a_change_fails_by_its_number(forgotten: Callable[..., Any], ec2: Any, keys: Any) -> None:
    """Reading calls in between do not count: how many of them there are differs from run to run."""
    forgotten("POST", "failures", {"call": 2, "changing": True, "code": "Wanted", "message": "m"})
    ec2.create_key_pair(KeyName="change 1")
    ec2.describe_regions()
    with pytest.raises(ClientError, match="Wanted"):
        ec2.create_key_pair(KeyName="change 2")
    ec2.create_key_pair(KeyName="change 3")
    assert keys("change") == ["change 1", "change 3"]


def test_numbers_begin_anew_when_calls_are_forgotten(
    forgotten: Callable[..., Any], describe: Callable[[], str]
) -> None:
    describe()
    forgotten("DELETE", "calls")
    forgotten("POST", "failures", {"call": 1, "code": "Wanted", "message": "m"})
    assert describe() == "Wanted"
    (call,) = forgotten("GET", "calls")
    assert (call["number"], call["fault"], call["status"]) == (1, "error", 400)


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("ec2", "describe_regions", ("RequestLimitExceeded", 503)),
        ("autoscaling", "describe_auto_scaling_groups", ("Throttling", 400)),
        ("cloudwatch", "describe_alarms", ("Throttling", 400)),
        ("ssm", "describe_parameters", ("ThrottlingException", 400)),
        ("secretsmanager", "list_secrets", ("ThrottlingException", 400)),
        ("s3", "list_buckets", ("SlowDown", 503)),
        ("iam", "list_roles", ("Throttling", 400)),
    ],
)
def test_throttling_is_each_services_own(
    admin: Callable[..., Any],
    client: Callable[..., Any],
    service: str,
    operation: str,
    expected: tuple[str, int],
) -> None:
    """EC2 developer guide, "Request throttling"; each service's API reference, "Common errors"."""
    admin("POST", "failures", {"effect": "throttle"})
    with pytest.raises(ClientError) as refused:
        getattr(client(service), operation)()
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == expected


def test_a_client_gives_up_when_it_is_throttled_too_often(
    admin: Callable[..., Any], session: boto3.Session, endpoint: str
) -> None:
    """AWS SDKs guide, "Retry behavior": standard mode asks three times in all."""
    admin("POST", "failures", {"operation": "DescribeRegions", "effect": "throttle", "times": 5})
    retries: Any = {"mode": "standard", "total_max_attempts": 2}
    ec2 = session.client("ec2", endpoint_url=endpoint, config=Config(retries=retries))
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2.describe_regions()
    assert admin("GET", "failures")[0]["times"] == 3


def test_a_lost_response_is_of_a_call_that_was_done(
    forgotten: Callable[..., Any], ec2: Any, keys: Any
) -> None:
    forgotten("POST", "failures", {"operation": "CreateKeyPair", "effect": "lost-response"})
    with pytest.raises(ConnectionClosedError):
        ec2.create_key_pair(KeyName="lost")
    assert keys("lost") == ["lost"]
    first, *_ = forgotten("GET", "calls")
    assert (first["operation"], first["status"], first["fault"]) == ("CreateKeyPair", 200, "lost-response")


def test_a_refused_connection_does_nothing(forgotten: Callable[..., Any], ec2: Any, keys: Any) -> None:
    forgotten("POST", "failures", {"operation": "CreateKeyPair", "effect": "refused"})
    with pytest.raises(ConnectionClosedError):
        ec2.create_key_pair(KeyName="refused")
    assert keys("refused") == []
    first, *_ = forgotten("GET", "calls")
    assert (first["operation"], first["status"], first["fault"]) == ("CreateKeyPair", 0, "refused")


def test_a_client_that_tries_again_gets_through(
    admin: Callable[..., Any], session: boto3.Session, endpoint: str
) -> None:
    """AWS SDKs guide, "Retry behavior": a connection that was closed is tried again."""
    admin("POST", "failures", {"operation": "DescribeRegions", "effect": "refused"})
    ec2 = session.client("ec2", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 2}))
    assert ec2.describe_regions()["Regions"]


def test_latency_is_that_and_nothing_else(admin: Callable[..., Any], describe: Callable[[], str]) -> None:
    admin("POST", "failures", {"operation": "DescribeImages", "latency": 0.3})
    began = time.monotonic()
    assert describe() == "done"
    assert time.monotonic() - began >= 0.3


def test_an_error_can_be_late(admin: Callable[..., Any], describe: Callable[[], str]) -> None:
    admin("POST", "failures", {**IMAGES, "latency": 0.3})
    began = time.monotonic()
    assert describe() == "Wanted"
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(("effect", "while_held"), [("hold-before", []), ("hold-after", ["held"])])
def test_a_held_call_waits_until_it_is_released(
    forgotten: Callable[..., Any], ec2: Any, keys: Any, effect: str, while_held: list[str]
) -> None:
    """Others are answered meanwhile; so a test can look at what there is, and end what waits."""
    forgotten("POST", "failures", {"operation": "CreateKeyPair", "effect": effect})
    with background(lambda: ec2.create_key_pair(KeyName="held")) as call:
        (held,) = until(lambda: list(forgotten("GET", "held")), 1)
        seen = keys("held")
        assert not call.done()
        assert forgotten("DELETE", "held") == {"released": 1}
        assert call.result(timeout=5)["KeyName"] == "held"
    assert (held["operation"], held["effect"], held["number"], held["change"]) == (
        "CreateKeyPair",
        effect,
        1,
        1,
    )
    assert seen == while_held
    assert keys("held") == ["held"]
    assert forgotten("GET", "held") == []
    ec2.delete_key_pair(KeyName="held")


@pytest.fixture
def connection(session: boto3.Session, endpoint: str) -> Callable[[str], Any]:
    """Sends a signed EC2 call and returns the connection, whose answer nobody has read."""

    def send(form: str) -> http.client.HTTPConnection:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        call = AWSRequest("POST", endpoint, headers, f"{form}&Version=2016-11-15".encode())
        credentials = session.get_credentials()
        assert credentials is not None
        SigV4Auth(credentials, "ec2", "eu-central-1").add_auth(call)
        where = urlsplit(endpoint)
        made = http.client.HTTPConnection(where.hostname or "", where.port)
        made.request("POST", "/", body=call.data, headers=dict(call.headers.items()))
        return made

    return send


@pytest.mark.parametrize(("effect", "left"), [("hold-before", []), ("hold-after", ["killed-hold-after"])])
def test_a_held_call_whose_client_is_gone_is_over(
    forgotten: Callable[..., Any],
    connection: Callable[[str], Any],
    keys: Any,
    effect: str,
    left: list[str],
) -> None:
    """What becomes of a call when its command is killed, before it is done or after."""
    forgotten("POST", "failures", {"operation": "CreateKeyPair", "effect": effect})
    client = connection("Action=CreateKeyPair&KeyName=killed-" + effect)
    until(lambda: list(forgotten("GET", "held")), 1)
    client.close()
    until(lambda: list(forgotten("GET", "held")), 0)
    assert keys(f"killed-{effect}") == left
    assert forgotten("GET", "calls")[0]["status"] == (200 if left else 0)


def test_a_command_killed_at_its_second_change_has_made_one(
    forgotten: Callable[..., Any], settings: ServerSettings, endpoint: str, keys: Any
) -> None:
    """What the tests of commands do: hold the call, ``kill -9`` the process, look at what is left."""
    program = (
        f"import boto3; ec2 = boto3.client('ec2', region_name='eu-central-1', endpoint_url='{endpoint}')\n"
        "for number in range(3): ec2.create_key_pair(KeyName=f'step {number}')"
    )
    credentials = {
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
    }
    forgotten("POST", "failures", {"call": 2, "changing": True, "effect": "hold-before"})
    with subprocess.Popen([sys.executable, "-c", program], env=credentials) as command:
        until(lambda: list(forgotten("GET", "held")), 1, seconds=30)
        command.kill()
    until(lambda: list(forgotten("GET", "held")), 0)
    assert keys("step") == ["step 0"]
    assert [call["status"] for call in forgotten("GET", "calls") if call["changes"]] == [200, 0]


def test_calls_of_instances_have_no_numbers() -> None:
    """They come when they come, so a command's calls keep the numbers that they have without them."""
    ledger = Ledger()
    request = AwsRequest(
        service="ec2",
        operation="CreateTags",
        region="eu-central-1",
        protocol="ec2",
        method="POST",
        signed=True,
    )
    arrivals = [ledger.arrive(request, own=own) for own in (True, False, True)]
    assert [(arrival.number, arrival.change) for arrival in arrivals] == [(1, 1), (None, None), (2, 2)]


def test_several_calls_can_be_held(forgotten: Callable[..., Any], describe: Callable[[], str]) -> None:
    forgotten("POST", "failures", {"operation": "DescribeImages", "effect": "hold-before", "times": 3})
    threads = [threading.Thread(target=describe) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: list(forgotten("GET", "held")), 3)
    assert forgotten("DELETE", "held") == {"released": 3}
    for thread in threads:
        thread.join(5)
    assert [call["number"] for call in forgotten("GET", "calls")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"operation": "DescribeImages"}, "a code, a latency, or an effect"),
        ({"effect": "explode"}, "explode"),
        ({"code": "c", "nth": 0}, "count from 1"),
        ({"code": "c", "call": 0}, "count from 1"),
        ({"latency": -1}, "not negative"),
        ({"service": "machine", "effect": "refused"}, "machine fails with an error"),
        ([], "mapping"),
    ],
)
def test_a_fault_that_makes_no_sense(endpoint: str, world: Any, wrong: Any, why: str) -> None:
    del world
    body = json.dumps(wrong).encode()
    request = urllib.request.Request(f"{endpoint}/amifactory/failures", data=body)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310
    with refused.value as answer:
        assert (answer.status, why in answer.read().decode()) == (400, True)
