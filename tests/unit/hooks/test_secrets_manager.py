"""What is made of Secrets Manager's answers and errors."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from aws_program import AwsProgram
from host import NOT_FOUND, TOO_LONG
from secret_error import NEW_PERMISSION, OUTAGE, SecretError
from secrets_manager import SecretsManager, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAILED = "when calling the GetSecretValue operation"
Ended = subprocess.CompletedProcess[str]


def asked(stdout: str = "", stderr: str = "", code: int = 0) -> SecretsManager:
    """Returns an account whose ``aws`` does always the same."""

    def run(command: Sequence[str], environment: Mapping[str, str] | None) -> Ended:
        del environment
        return Ended(command, code, stdout, stderr)

    return SecretsManager(AwsProgram(run=run, environ={}, metadata=lambda _: "eu-central-1"))


def test_value_and_version_are_of_one_answer() -> None:
    answer = '{"VersionId": "v1", "SecretString": "s3cret"}'
    assert asked(answer).value("a") == Value(version="v1", text="s3cret")


def test_value_does_not_show_itself() -> None:
    assert "s3cret" not in repr(Value(version="v1", text="s3cret"))


def test_version_is_the_current_one() -> None:
    answer = '{"VersionIdsToStages": {"v1": ["AWSPREVIOUS"], "v2": ["other", "AWSCURRENT"]}}'
    assert asked(answer).version("a") == "v2"
    assert asked('{"Name": "a"}').version("a") is None


@pytest.mark.parametrize("stdout", ["", "{}", "s3cret"])
def test_answer_that_is_none_is_waited_for(stdout: str) -> None:
    with pytest.raises(SecretError) as raised:
        asked(stdout).value("a")
    assert raised.value.patience == OUTAGE
    assert "s3cret" not in raised.value.why
    assert raised.value.__cause__ is None or "s3cret" not in str(raised.value.__cause__)


@pytest.mark.parametrize(
    ("stderr", "why", "patience"),
    [
        (
            f"An error occurred (ResourceNotFoundException) {FAILED}: None here.",
            '"a": None here. (ResourceNotFoundException)',
            0.0,
        ),
        (
            f"aws: [ERROR]: An error occurred (AccessDeniedException) {FAILED}: User: x is not",
            '"a": User: x is not (AccessDeniedException)',
            NEW_PERMISSION,
        ),
        (
            f"An error occurred (InternalError) {FAILED} (reached max retries: 0): a\t  b ",
            '"a": a b (InternalError)',
            OUTAGE,
        ),
        (
            "\nUnable to locate credentials. You can configure credentials by running aws configure.\n",
            "Secrets Manager cannot be asked: the instance has no role, or its credentials are not there yet",
            OUTAGE,
        ),
        ("first\n\nlast\n", "Secrets Manager cannot be asked: last", OUTAGE),
    ],
)
def test_errors_are_told_apart(stderr: str, why: str, patience: float) -> None:
    with pytest.raises(SecretError) as raised:
        asked(stderr=stderr, code=255).value("a")
    assert (raised.value.why, raised.value.of, raised.value.patience) == (why, "account", patience)


@pytest.mark.parametrize(
    ("code", "of", "patience"), [(NOT_FOUND, "image", 0.0), (TOO_LONG, "account", OUTAGE)]
)
def test_program_that_is_missing_or_does_not_end(code: int, of: str, patience: float) -> None:
    with pytest.raises(SecretError) as raised:
        asked(stderr="so it is", code=code).value("a")
    assert (raised.value.of, raised.value.patience) == (of, patience)
