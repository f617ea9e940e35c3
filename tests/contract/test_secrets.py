"""Secrets Manager as instances meet it: the role, the errors, versions; and the stand-ins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from yaml import safe_load  # type: ignore[import-untyped]

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.stand_in_secrets import make_secrets
from amifactory.sandbox.state import SandboxState

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.driver import ServerSettings

DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/worker/i-0123 is not authorized to perform: "
    "secretsmanager:GetSecretValue on resource: ci/denied because no identity-based policy allows the "
    "secretsmanager:GetSecretValue action"
)


@pytest.fixture
def secrets(client: Callable[..., Any]) -> Any:
    return client("secretsmanager")


@pytest.fixture
def state(settings: ServerSettings, endpoint: str, world: Any) -> SandboxState:
    del world
    return SandboxState(
        id="0123abcd",
        pid=1,
        endpoint=endpoint,
        instance_endpoint=settings.instance_endpoint,
        network="",
        subnet="",
        registry="",
        instance_registry="",
        region=settings.region,
        state_bucket=settings.state_bucket,
        access_key_id=settings.access_key_id,
        secret_access_key=settings.secret_access_key,
        source_ami_id=settings.source_ami_id,
        instance_profile=settings.instance_profile,
    )


def test_instances_have_a_role_to_take_on(client: Callable[..., Any], run: Callable[..., str]) -> None:
    """IAM user guide, "Use an IAM role to grant permissions to applications running on EC2 instances"."""
    profile = client("iam").get_instance_profile(InstanceProfileName="amifactory-sandbox")["InstanceProfile"]
    (role,) = profile["Roles"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}
    run(IamInstanceProfile={"Name": "amifactory-sandbox"})


@pytest.mark.parametrize(
    ("code", "status"),
    [("AccessDeniedException", 400), ("InternalServiceError", 500), ("ServiceUnavailable", 503)],
)
def test_reading_a_secret_fails_as_often_as_asked(
    admin: Callable[..., Any], secrets: Any, code: str, status: int
) -> None:
    """Secrets Manager API reference, "Common errors" and GetSecretValue, "Errors"."""
    failure = {"service": "secretsmanager", "operation": "GetSecretValue", "code": code, "status": status}
    admin("POST", "failures", {**failure, "message": DENIED, "times": 2})
    secrets.create_secret(Name=f"ci/{code}", SecretString="value")
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            secrets.get_secret_value(SecretId=f"ci/{code}")
        answer = refused.value.response
        assert (answer["Error"]["Code"], answer["Error"]["Message"]) == (code, DENIED)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert secrets.get_secret_value(SecretId=f"ci/{code}")["SecretString"] == "value"


def test_a_new_value_is_a_new_version(secrets: Any) -> None:
    """PutSecretValue moves AWSCURRENT to the new version and AWSPREVIOUS to the one before."""
    before = secrets.create_secret(Name="ci/rotated", SecretString="old")["VersionId"]
    after = secrets.put_secret_value(SecretId="ci/rotated", SecretString="new")["VersionId"]
    read = secrets.get_secret_value(SecretId="ci/rotated")
    stages = secrets.describe_secret(SecretId="ci/rotated")["VersionIdsToStages"]
    assert (read["SecretString"], read["VersionId"]) == ("new", after)
    assert stages == {before: ["AWSPREVIOUS"], after: ["AWSCURRENT"]}


def test_a_binary_value_is_no_text(secrets: Any) -> None:
    """GetSecretValue: SecretBinary instead of SecretString."""
    secrets.create_secret(Name="ci/binary", SecretBinary=b"\x00\xff")
    read = secrets.get_secret_value(SecretId="ci/binary")
    assert ("SecretString" in read, read["SecretBinary"]) == (False, b"\x00\xff")


def test_a_secret_without_a_value_is_not_found(secrets: Any, code: Callable[..., str]) -> None:
    """GetSecretValue: ResourceNotFoundException when there is no version with the stage AWSCURRENT."""
    secrets.create_secret(Name="ci/empty")
    assert code(secrets.get_secret_value, SecretId="ci/empty") == "ResourceNotFoundException"


def test_a_deleted_secret_is_not_read(secrets: Any, code: Callable[..., str]) -> None:
    """GetSecretValue: InvalidRequestException while the secret is scheduled for deletion."""
    secrets.create_secret(Name="ci/deleted", SecretString="value")
    secrets.delete_secret(SecretId="ci/deleted")
    assert code(secrets.get_secret_value, SecretId="ci/deleted") == "InvalidRequestException"


@pytest.fixture
def said() -> list[str]:
    return []


def test_stand_ins_are_of_their_format_and_unlike_each_other(
    state: SandboxState, secrets: Any, said: list[str]
) -> None:
    make_secrets(state, {"a/kube": "kubeconfig", "b/kube": "kubeconfig", "a/text": "text"}, said.append)
    assert said == [
        "sandbox: the secret a/kube is a stand-in: a made-up kubeconfig",
        "sandbox: the secret b/kube is a stand-in: a made-up kubeconfig",
        "sandbox: the secret a/text is a stand-in: a made-up text",
    ]
    values = [secrets.get_secret_value(SecretId=name)["SecretString"] for name in ("a/kube", "b/kube")]
    first, second = (safe_load(value) for value in values)
    (context,) = first["contexts"]
    assert (first["kind"], first["current-context"]) == ("Config", context["name"])
    assert context["context"] == {"cluster": first["clusters"][0]["name"], "user": first["users"][0]["name"]}
    assert first["users"][0]["user"]["token"] != second["users"][0]["user"]["token"]
    assert len(secrets.get_secret_value(SecretId="a/text")["SecretString"]) > 32


def test_a_secret_that_is_there_stays_as_it_is(state: SandboxState, secrets: Any, said: list[str]) -> None:
    secrets.create_secret(Name="ci/mine", SecretString="mine")
    make_secrets(state, {"ci/mine": "text"}, said.append)
    assert (secrets.get_secret_value(SecretId="ci/mine")["SecretString"], said) == ("mine", [])


def test_a_secret_that_can_have_no_stand_in_is_named(
    admin: Callable[..., Any], state: SandboxState, said: list[str]
) -> None:
    failure = {"operation": "CreateSecret", "code": "EncryptionFailure", "message": "no such key"}
    admin("POST", "failures", failure)
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ci/x-AbCdEf"
    make_secrets(state, {"ci/one-more": "text", arn: "text"}, said.append)
    assert said == [
        "sandbox: no stand-in for the secret ci/one-more: no such key",
        f"sandbox: no stand-in for the secret {arn}: only secrets by name have one",
    ]


def test_a_sandbox_that_does_not_answer_is_an_error_with_the_reason(
    state: SandboxState, said: list[str]
) -> None:
    with pytest.raises(DriverError, match=r"cannot be asked: Could not connect .*127\.0\.0\.1:1"):
        make_secrets(replace(state, endpoint="http://127.0.0.1:1"), {"ci/x": "text"}, said.append)
    assert said == []
