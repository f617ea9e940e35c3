"""Secrets Manager: the values of secrets, their versions, and what each of its errors means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_program import SERVICE_ERROR, AwsError
from host import NOT_FOUND
from secret_error import NEW_PERMISSION, OUTAGE, SecretError

if TYPE_CHECKING:
    from aws_program import AwsProgram

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
    re.escape(SERVICE_ERROR) + r"(\w+)\) when calling the \w+ operation(?: \([^)]*\))?: *(.*)"
)
_ARN_WITH_REGION = re.compile(r"arn:[\w-]+:secretsmanager:([\w-]+):")


@dataclass(frozen=True)
class Value:
    """A secret's value and the version it is of, out of one answer."""

    version: str
    text: str = field(repr=False)


class SecretsManager:
    """The secrets of the account that this instance runs in."""

    def __init__(self, aws: AwsProgram) -> None:
        self._aws = aws

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
        arn = _ARN_WITH_REGION.match(secret_id)
        region = arn[1] if arn else None
        try:
            answer = self._aws.call("secretsmanager", operation, f"--secret-id={secret_id}", region=region)
        except AwsError as error:
            raise _failure(secret_id, error) from error
        if not answer:
            raise SecretError("Secrets Manager did not say anything", patience=OUTAGE)
        return answer


def _failure(secret_id: str, error: AwsError) -> SecretError:
    if error.code == NOT_FOUND:
        return SecretError("the aws program is not installed", of="image")
    found = _SERVICE_ERROR.search(str(error))
    if not found:
        why = str(error)
        if "Unable to locate credentials" in why:
            why = "the instance has no role, or its credentials are not there yet"
        return SecretError(f"Secrets Manager cannot be asked: {why}", patience=OUTAGE)
    kind, message = found.groups()
    patience = 0.0 if kind in FINAL else NEW_PERMISSION if kind in REFUSED else OUTAGE
    why = f'"{secret_id}": {" ".join(message.split())} ({kind})'
    return SecretError(why, patience=patience, answered=True)
