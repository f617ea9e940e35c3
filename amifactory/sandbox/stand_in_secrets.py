"""Stand-ins for the secrets that images ask for: made up, so that instances are ready without real ones."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from amifactory.sandbox.driver import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_secretsmanager.client import SecretsManagerClient

    from amifactory.sandbox.state import SandboxState

_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
  - name: sandbox
    cluster:
      server: https://kubernetes.invalid:6443
users:
  - name: sandbox
    user:
      token: {token}
contexts:
  - name: sandbox
    context:
      cluster: sandbox
      user: sandbox
current-context: sandbox
"""


def stand_in(kind: str) -> str:
    """Returns a made-up value, another one each time; a ``kubeconfig``'s server is nowhere (RFC 2606)."""
    token = secrets.token_urlsafe(32)
    return _KUBECONFIG.format(token=token) if kind == "kubeconfig" else token


def make_secrets(state: SandboxState, formats: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Makes a stand-in for each secret, by its name; one that exists stays as it is.

    Args:
        state: Where the sandbox is.
        formats: ``kubeconfig`` or ``text`` for each secret's id.
        say: Told what was made, and what cannot be.

    Raises:
        DriverError: The sandbox's Secrets Manager cannot be asked.
    """
    import boto3  # noqa: PLC0415 - a running sandbox that has them all is found without it
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        client = boto3.client(
            "secretsmanager",
            region_name=state.region,
            endpoint_url=state.endpoint,
            aws_access_key_id=state.access_key_id,
            aws_secret_access_key=state.secret_access_key,
        )
        for name, kind in formats.items():
            _make(client, name, kind, say)
    except BotoCoreError as error:
        raise DriverError(f"the sandbox's Secrets Manager cannot be asked: {error}") from error


def _make(client: SecretsManagerClient, name: str, kind: str, say: Callable[[str], None]) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    if name.startswith("arn:"):
        say(f"sandbox: no stand-in for the secret {name}: only secrets by name have one")
        return
    try:
        client.create_secret(Name=name, Description="A stand-in", SecretString=stand_in(kind))
    except client.exceptions.ResourceExistsException:
        return
    except ClientError as error:
        say(f"sandbox: no stand-in for the secret {name}: {error.response['Error']['Message']}")
    else:
        say(f"sandbox: the secret {name} is a stand-in: a made-up {kind}")
