"""Secrets Manager: that a secret exists, and registry credentials. Values go to no log and no file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from amifactory.aws.session import aws_errors, error_code
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amifactory.aws.session import AwsSession


class Secrets:
    """The secrets of one account and region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def check(self, secret_ids: Iterable[str]) -> None:
        """Raises unless every secret exists; reads no value.

        Raises:
            AwsError: Names all that are missing, or the permission that is.
        """
        missing = [secret_id for secret_id in sorted(set(secret_ids)) if not self._exists(secret_id)]
        if missing:
            names = ", ".join(f'"{name}"' for name in missing)
            endpoint = self._session.endpoint_url
            where = f" --endpoint-url {endpoint}" if endpoint else ""
            command = f"aws secretsmanager create-secret --name {missing[0]} --secret-string file://FILE"
            raise AwsError(
                f"no such secret in Secrets Manager: {names}",
                hint=f"Run: {command} --region {self._session.region}{where}",
            )

    def credentials(self, secret_id: str) -> tuple[str, str]:
        """Returns user name and password from a secret ``{"username": …, "password": …}``.

        Raises:
            AwsError: The secret is missing, denied or of another form.
        """
        try:
            with aws_errors("secretsmanager"):
                answer = self._session.secrets_manager.get_secret_value(SecretId=secret_id)
        except AwsError as error:
            if error_code(error) == "ResourceNotFoundException":
                raise AwsError(f'no such secret in Secrets Manager: "{secret_id}"') from error
            raise
        try:
            fields = json.loads(answer["SecretString"])
            return str(fields["username"]), str(fields["password"])
        except (KeyError, TypeError, ValueError):
            # The cause is left out: its text could quote the value.
            raise AwsError(
                f'secret "{secret_id}" is not of the form {{"username": "…", "password": "…"}}'
            ) from None

    def _exists(self, secret_id: str) -> bool:
        try:
            with aws_errors("secretsmanager"):
                self._session.secrets_manager.describe_secret(SecretId=secret_id)
        except AwsError as error:
            if error_code(error) == "ResourceNotFoundException":
                return False
            raise
        return True
