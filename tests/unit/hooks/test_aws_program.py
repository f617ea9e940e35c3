"""How ``aws`` is called, and what is made of its failures."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aws_program import AwsError, AwsProgram
from host import run_program
from instance_metadata import MetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAILED = "when calling the DescribeSecret operation"


@dataclass
class Aws:
    """An ``aws`` that does always the same, on an instance in Frankfurt."""

    stdout: str = '{"a": 1}'
    stderr: str = ""
    code: int = 0
    region: str | MetadataError | None = "eu-central-1"
    commands: list[Sequence[str]] = field(default_factory=list)
    environments: list[Mapping[str, str] | None] = field(default_factory=list)

    def run(
        self, command: Sequence[str], environment: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        self.environments.append(environment)
        return subprocess.CompletedProcess(command, self.code, self.stdout, self.stderr)

    def metadata(self, path: str) -> str | None:
        assert path == "meta-data/placement/region"
        if isinstance(self.region, MetadataError):
            raise self.region
        return self.region

    def program(self, **environ: str) -> AwsProgram:
        return AwsProgram(run=self.run, environ=environ, metadata=self.metadata)

    def failure(self) -> AwsError:
        """Returns what a call fails with."""
        with pytest.raises(AwsError) as raised:
            self.program().call("ec2", "stop")
        return raised.value


def test_service_operation_and_arguments_are_asked_in_the_instances_region() -> None:
    aws = Aws()
    assert aws.program().call("autoscaling", "describe", "--name=a") == {"a": 1}
    assert aws.commands == [
        [
            *("aws", "autoscaling", "describe", "--name=a", "--region=eu-central-1", "--output=json"),
            *("--cli-connect-timeout=5", "--cli-read-timeout=10"),
        ]
    ]


def test_another_region_is_asked_without_knowing_ones_own() -> None:
    aws = Aws(region=None)
    aws.program().call("secretsmanager", "describe-secret", region="us-east-1")
    assert "--region=us-east-1" in aws.commands[0]


def test_own_role_is_used_and_no_other_credentials() -> None:
    aws = Aws()
    aws.program(AWS_PROFILE="mine", AWS_ACCESS_KEY_ID="a", HOME="/root", https_proxy="http://192.0.2.1").call(
        "ec2", "stop"
    )
    assert aws.environments == [
        {
            "https_proxy": "http://192.0.2.1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_V1_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            "LC_ALL": "C.UTF-8",
        }
    ]


def test_endpoint_of_the_environment_is_passed_on() -> None:
    aws = Aws()
    aws.program(AWS_ENDPOINT_URL="http://192.0.2.1").call("ec2", "stop")
    assert "--endpoint-url=http://192.0.2.1" in aws.commands[0]
    assert (aws.environments[0] or {})["AWS_ENDPOINT_URL"] == "http://192.0.2.1"


def test_operation_without_an_answer_has_an_empty_one() -> None:
    assert Aws(stdout="").program().call("ec2", "stop") == {}


@pytest.mark.parametrize("stdout", ["s3cret", '{"SecretString": "s3cret"', "\udcff"])
def test_output_that_is_no_json_is_not_quoted(stdout: str) -> None:
    error = Aws(stdout=stdout).failure()
    assert str(error) == "the aws program did not print JSON"
    assert error.__suppress_context__


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        (f"\nAn error occurred (A) {FAILED}: b\n", f"An error occurred (A) {FAILED}: b"),
        (f"An error occurred (A) {FAILED}: b\n\nDetails:\nc: d\n", f"An error occurred (A) {FAILED}: b"),
        ("first\n\nlast\n", "last"),
        ("", "no word, exit status 254"),
    ],
)
def test_failure_is_told_in_one_line(stderr: str, why: str) -> None:
    error = Aws(stderr=stderr, code=254).failure()
    assert (str(error), error.code) == (why, 254)


@pytest.mark.parametrize(
    ("region", "why"), [(None, "knows no Region"), (MetadataError("no answer"), "no answer")]
)
def test_unknown_region_is_a_failure_before_anything_is_asked(region: MetadataError | None, why: str) -> None:
    aws = Aws(region=region)
    assert why in str(aws.failure())
    assert aws.commands == []


def test_value_is_read_as_the_program_prints_it() -> None:
    script = """printf '{"arguments": "%s", "value": "\\303\\274"}' "$*" """
    program = AwsProgram(
        run=lambda command, environment: run_program(["sh", "-c", script, *command], environment),
        environ={"PATH": "/usr/bin:/bin"},
        metadata=lambda _: "eu-central-1",
    )
    answer = program.call("ec2", "stop")
    assert answer["value"] == "ü"
    assert answer["arguments"].startswith("ec2 stop --region=eu-central-1 ")
