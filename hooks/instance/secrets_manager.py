"""Secrets Manager, asked through the ``aws`` program with the instance's own role.

A value is read from the program's standard output and from nowhere else: it is in no argument, no
environment variable, no file and no message.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from instance_metadata import MetadataError
from secret_error import NEW_PERMISSION, OUTAGE, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Run = Callable[[Sequence[str], Mapping[str, str]], "subprocess.CompletedProcess[bytes]"]
    """Runs a program with exactly this environment; raises as `subprocess.run` does."""
    ReadMetadata = Callable[[str], "str | None"]

PROGRAM_SECONDS = 30
PASSED_ON = (
    *("PATH", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
OWN_ROLE = {
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_V1_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_PAGER": "",
    "LC_ALL": "C.UTF-8",
}
"""No other credentials than the role's, no history on disk, and no second retry inside of ours."""

FINAL = {
    *("ResourceNotFoundException", "InvalidRequestException"),
    *("InvalidParameterException", "ValidationException"),
}
"""API reference, GetSecretValue: absent, without a value, marked for deletion, not an id."""
REFUSED = {
    *("AccessDeniedException", "AccessDenied", "DecryptionFailure"),
    *("UnrecognizedClientException", "InvalidClientTokenId"),
}
"""Same reference and its "Common errors"; the last two are said of a role that is seconds old."""
_SERVICE_ERROR = re.compile(
    r"An error occurred \((\w+)\) when calling the \w+ operation(?: \([^)]*\))?: *(.*)"
)
_ARN_WITH_REGION = re.compile(r"arn:[\w-]+:secretsmanager:([\w-]+):")


@dataclass(frozen=True)
class Value:
    """A secret's value and the version it is of, out of one answer."""

    version: str
    text: str = field(repr=False)


class SecretsManager:
    """The secrets of the account that this instance runs in."""

    def __init__(self, *, run: Run, environ: Mapping[str, str], metadata: ReadMetadata) -> None:
        self._run = run
        self._metadata = metadata
        self._environment = {name: environ[name] for name in PASSED_ON if name in environ} | OWN_ROLE

    def value(self, secret_id: str) -> Value:
        """Returns the current value.

        Raises:
            SecretError: It could not be read, is binary or is empty.
        """
        answer = self._ask("get-secret-value", secret_id)
        text = answer.get("SecretString")
        if text is None and "SecretBinary" in answer:
            raise SecretError(f'"{secret_id}" is binary; it has to be text')
        if not isinstance(text, str) or not text.strip():
            raise SecretError(f'"{secret_id}" is empty')
        return Value(version=str(answer["VersionId"]), text=text)

    def version(self, secret_id: str) -> str | None:
        """Returns the id of the current version, or None if there is none.

        Raises:
            SecretError: It could not be read.
        """
        stages = self._ask("describe-secret", secret_id).get("VersionIdsToStages", {})
        return next((version for version, names in stages.items() if "AWSCURRENT" in names), None)

    def _ask(self, operation: str, secret_id: str) -> dict[str, Any]:
        ended = self._end(operation, secret_id)
        if ended.returncode != 0:
            raise _failure(secret_id, ended.returncode, ended.stderr.decode(errors="replace"))
        try:
            answer: dict[str, Any] = json.loads(ended.stdout)
        except ValueError:
            # Not its cause: its text could quote the value.
            raise SecretError("the aws program did not print JSON", patience=OUTAGE) from None
        return answer

    def _end(self, operation: str, secret_id: str) -> subprocess.CompletedProcess[bytes]:
        command = ["aws", "secretsmanager", operation, f"--secret-id={secret_id}", "--output=json"]
        command += [f"--region={self._region(secret_id)}", "--cli-connect-timeout=5", "--cli-read-timeout=10"]
        if endpoint := self._environment.get("AWS_ENDPOINT_URL"):
            command.append(f"--endpoint-url={endpoint}")  # for AWS CLIs before 2.13
        try:
            return self._run(command, self._environment)
        except FileNotFoundError:
            raise SecretError("the aws program is not installed", of="image") from None
        except subprocess.TimeoutExpired:
            why = f"the aws program did not end within {PROGRAM_SECONDS} s"
            raise SecretError(why, patience=OUTAGE) from None

    def _region(self, secret_id: str) -> str:
        if known := _ARN_WITH_REGION.match(secret_id):
            return known[1]
        try:
            region = self._metadata("meta-data/placement/region")
        except MetadataError as error:
            raise SecretError(str(error), patience=OUTAGE) from error
        if region is None:
            raise SecretError("the instance metadata service knows no Region", patience=OUTAGE)
        return region


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Returns what a program did in its time."""
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )


def _failure(secret_id: str, code: int, stderr: str) -> SecretError:
    found = _SERVICE_ERROR.search(stderr)
    if not found:
        last = (stderr.strip().splitlines() or [f"no word, exit status {code}"])[-1]
        if "Unable to locate credentials" in last:
            last = "the instance has no role, or its credentials are not there yet"
        return SecretError(f"Secrets Manager cannot be asked: {last}", patience=OUTAGE)
    kind, message = found.groups()
    patience = 0.0 if kind in FINAL else NEW_PERMISSION if kind in REFUSED else OUTAGE
    return SecretError(f'"{secret_id}": {" ".join(message.split())} ({kind})', patience=patience)
