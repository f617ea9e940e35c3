"""What is made of the ``aws`` program's output and errors."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from secret_error import NEW_PERMISSION, OUTAGE, SecretError
from secrets_manager import SecretsManager, Value, run_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAILED = "when calling the GetSecretValue operation"
Ended = subprocess.CompletedProcess[bytes]


def asked(stdout: bytes = b"", stderr: str = "", code: int = 0, **environ: str) -> SecretsManager:
    """Returns an account whose ``aws`` does always the same."""

    def run(command: Sequence[str], environment: Mapping[str, str]) -> Ended:
        del environment
        return Ended(command, code, stdout, stderr.encode())

    return SecretsManager(run=run, environ=environ, metadata=lambda _: "eu-central-1")


def test_value_and_version_are_of_one_answer() -> None:
    answer = b'{"VersionId": "v1", "SecretString": "s3cret"}'
    assert asked(answer).value("a") == Value(version="v1", text="s3cret")


def test_value_does_not_show_itself() -> None:
    assert "s3cret" not in repr(Value(version="v1", text="s3cret"))


def test_version_is_the_current_one() -> None:
    answer = b'{"VersionIdsToStages": {"v1": ["AWSPREVIOUS"], "v2": ["other", "AWSCURRENT"]}}'
    assert asked(answer).version("a") == "v2"
    assert asked(b"{}").version("a") is None


@pytest.mark.parametrize("stdout", [b"", b"s3cret", b'{"SecretString": "s3cret"', b"\xff"])
def test_output_that_is_no_json_is_not_quoted(stdout: bytes) -> None:
    with pytest.raises(SecretError) as raised:
        asked(stdout).value("a")
    assert raised.value.why == "the aws program did not print JSON"
    assert raised.value.__suppress_context__


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
        ("", "Secrets Manager cannot be asked: no word, exit status 255", OUTAGE),
    ],
)
def test_errors_are_told_apart(stderr: str, why: str, patience: float) -> None:
    with pytest.raises(SecretError) as raised:
        asked(stderr=stderr, code=255).value("a")
    assert (raised.value.why, raised.value.patience) == (why, patience)


def test_program_that_does_not_end_is_waited_for() -> None:
    def run(command: Sequence[str], environment: Mapping[str, str]) -> Ended:
        del environment
        raise subprocess.TimeoutExpired(command, 30, output=b"s3cret")

    with pytest.raises(SecretError) as raised:
        SecretsManager(run=run, environ={}, metadata=lambda _: "eu-central-1").value("a")
    assert raised.value.patience == OUTAGE
    assert raised.value.__suppress_context__


def test_endpoint_of_the_environment_is_passed_on() -> None:
    commands: list[Sequence[str]] = []

    def run(command: Sequence[str], environment: Mapping[str, str]) -> Ended:
        commands.append(command)
        assert environment["AWS_ENDPOINT_URL"] == "http://192.0.2.1"
        return Ended(command, 0, b'{"VersionId": "v1", "SecretString": "s3cret"}', b"")

    environ = {"AWS_ENDPOINT_URL": "http://192.0.2.1"}
    SecretsManager(run=run, environ=environ, metadata=lambda _: "eu-central-1").value("a")
    assert "--endpoint-url=http://192.0.2.1" in commands[0]
    assert "--region=eu-central-1" in commands[0]


def test_program_gets_no_other_environment_and_no_input() -> None:
    ended = run_program(["/bin/sh", "-c", 'cat; echo "${A-} ${HOME-unset}"; echo b >&2; exit 3'], {"A": "1"})
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"1 unset\n", b"b\n")
