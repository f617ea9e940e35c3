"""The ``aws`` program: how hooks ask AWS, as the instance's own role and nobody else.

What it prints may hold a secret. It is read from standard output and from nowhere else: it is in no argument,
no environment variable, no file and no message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from instance_metadata import MetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from host import Ended, Run
    from instance_metadata import ReadMetadata

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
SERVICE_ERROR = "An error occurred ("


class AwsError(Exception):
    """AWS could not be asked, or said no.

    Attributes:
        code: The program's exit status, as of `host.run_program`; 0 where it did not fail.
    """

    def __init__(self, why: str, *, code: int = 0) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class AwsProgram:
    """Runs ``aws``.

    Attributes:
        environ: Of which it is passed no more than it needs.
        metadata: Says which Region the instance is in.
    """

    run: Run
    environ: Mapping[str, str]
    metadata: ReadMetadata

    def call(
        self, service: str, operation: str, *arguments: str, region: str | None = None
    ) -> dict[str, Any]:
        """Returns AWS's answer, an empty one where an operation has none.

        Args:
            region: The instance's own unless given.

        Raises:
            AwsError: There is no answer.
        """
        command = ["aws", service, operation, *arguments, f"--region={region or self._region()}"]
        command += ["--output=json", "--cli-connect-timeout=5", "--cli-read-timeout=10"]
        environment = {name: self.environ[name] for name in PASSED_ON if name in self.environ} | OWN_ROLE
        if endpoint := environment.get("AWS_ENDPOINT_URL"):
            command.append(f"--endpoint-url={endpoint}")  # for AWS CLIs before 2.13
        ended = self.run(command, environment)
        if ended.returncode != 0:
            raise AwsError(_why(ended), code=ended.returncode)
        try:
            answer: dict[str, Any] = json.loads(ended.stdout or "{}")
        except ValueError:
            # Not its cause: its text could quote a secret.
            raise AwsError("the aws program did not print JSON") from None
        return answer

    def _region(self) -> str:
        try:
            region = self.metadata("meta-data/placement/region")
        except MetadataError as error:
            raise AwsError(str(error)) from error
        if region is None:
            raise AwsError("the instance metadata service knows no Region")
        return region


def _why(failed: Ended) -> str:
    """Returns the service's error, which details may follow, else the program's last line."""
    lines = failed.stderr.strip().splitlines() or [f"no word, exit status {failed.returncode}"]
    return next((line for line in lines if SERVICE_ERROR in line), lines[-1])
