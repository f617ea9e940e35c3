"""The one place that makes boto3 clients, and that turns botocore's errors into ours."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from amifactory.errors import AmifactoryError, AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_autoscaling.client import AutoScalingClient
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_ec2.client import EC2Client
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_ssm.client import SSMClient
    from mypy_boto3_sts.client import STSClient

DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "403"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
INVALID = frozenset({"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"})

REFRESHED_BY_EVERYONE = frozenset({"iam-role", "container-role", "assume-role-with-web-identity"})
"""botocore's names of the sources that every AWS SDK reads alike, Packer's included."""

ACTIONS = {"HeadBucket": "ListBucket"}
"""Operations whose permission has another name (Service Authorization Reference, Amazon S3)."""


class AwsSession:
    """An account and region; each client is connected when it is first used.

    Args:
        region: AWS region name.
        profile: Named profile of the shared configuration files; default the environment's credentials.
        endpoint_url: Where to send every call instead of AWS; the sandbox's address.
        credentials: Access key id and secret key, instead of the environment's.
    """

    def __init__(
        self,
        *,
        region: str,
        profile: str | None = None,
        endpoint_url: str | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self.region = region
        self.endpoint_url = endpoint_url
        self._profile = profile
        self._credentials = credentials
        self._lock = threading.RLock()

    @cached_property
    def ec2(self) -> EC2Client:
        """Returns the EC2 client."""
        client: EC2Client = self._client("ec2")
        return client

    @cached_property
    def autoscaling(self) -> AutoScalingClient:
        """Returns the Auto Scaling client."""
        client: AutoScalingClient = self._client("autoscaling")
        return client

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        """Returns the CloudWatch client."""
        client: CloudWatchClient = self._client("cloudwatch")
        return client

    @cached_property
    def ssm(self) -> SSMClient:
        """Returns the Systems Manager client."""
        client: SSMClient = self._client("ssm")
        return client

    @cached_property
    def s3(self) -> S3Client:
        """Returns the S3 client."""
        client: S3Client = self._client("s3")
        return client

    @cached_property
    def secrets_manager(self) -> SecretsManagerClient:
        """Returns the Secrets Manager client."""
        client: SecretsManagerClient = self._client("secretsmanager")
        return client

    @cached_property
    def sts(self) -> STSClient:
        """Returns the STS client."""
        client: STSClient = self._client("sts")
        return client

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Returns the ``AWS_*`` variables that give a child process this session's identity.

        Where the credentials come from something the child asks and refreshes itself, such as an
        instance's role or web identity, it is pointed there; else it gets what there is now.

        Args:
            given: Our own environment.

        Raises:
            AwsError: No credentials were found, or they could not be refreshed.
        """
        region = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        with aws_errors("sts"):
            credentials = self._boto.get_credentials()
            if credentials is None:
                raise _no_credentials()
            if credentials.method in REFRESHED_BY_EVERYONE:
                own = {name: value for name, value in given.items() if name.startswith("AWS_")}
                return {**own, **region}
            frozen = credentials.get_frozen_credentials()
        variables = {
            **region,
            "AWS_ACCESS_KEY_ID": frozen.access_key or "",
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key or "",
        }
        if frozen.token:
            variables["AWS_SESSION_TOKEN"] = frozen.token
        return variables

    def identity(self) -> str:
        """Returns the ARN of who the credentials are.

        Raises:
            AwsError: There are none, or AWS does not accept them.
        """
        with aws_errors("sts"):
            return self.sts.get_caller_identity()["Arn"]

    @cached_property
    def _boto(self) -> Any:
        import boto3  # noqa: PLC0415 - 0.1 s that --help must not pay
        from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

        access_key, secret_key = self._credentials or (None, None)
        try:
            return boto3.Session(
                region_name=self.region,
                profile_name=self._profile,
                aws_access_key_id=access_key,
                aws_secret_access_key=secret_key,
            )
        except ProfileNotFound as error:
            raise AwsError(str(error), hint="Run: aws configure list-profiles") from error

    def _client(self, service: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415

        with self._lock:  # boto3 sessions are not safe to share between threads
            return self._boto.client(
                service,
                endpoint_url=self.endpoint_url,
                config=Config(
                    # The default gives up on a throttled call after 0.9 s; ten attempts last half a minute.
                    retries={"mode": "standard", "total_max_attempts": 10},
                    connect_timeout=10,
                    max_pool_connections=32,
                    s3={"addressing_style": "path"} if self.endpoint_url else None,
                ),
            )


@contextmanager
def aws_errors(service: str) -> Iterator[None]:
    """Turns botocore's errors into `AwsError`, naming the permission that was missing.

    Raises:
        AwsError: No, invalid or expired credentials; a denied or failed call; no connection.
    """
    from botocore.exceptions import (  # noqa: PLC0415
        BotoCoreError,
        ClientError,
        EndpointConnectionError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise _no_credentials() from error
    except EndpointConnectionError as error:
        raise AwsError(str(error), hint="Check the region's name and the network") from error
    except ClientError as error:
        raise _from_client_error(service, error.operation_name, error.response["Error"]) from error
    except BotoCoreError as error:
        raise AwsError(f"{service}: {error}") from error


def _no_credentials() -> AwsError:
    return AwsError(
        "no AWS credentials were found",
        hint="Set AWS_PROFILE, run `aws sso login`, or add --sandbox to try without an account",
    )


def _from_client_error(service: str, operation: str, error: Any) -> AmifactoryError:
    code = error.get("Code", "Unknown")
    message = error.get("Message", "")
    if code in EXPIRED:
        return AwsError("AWS credentials have expired", hint="Log in again, for example: aws sso login")
    if code in INVALID:
        return AwsError(
            f"AWS did not accept the credentials ({code}: {message})", hint="Run: amifactory doctor"
        )
    if code in DENIED:
        action = ACTIONS.get(operation, operation)
        return AwsError(
            f"AWS denied {service}:{action}: {message}",
            hint=f"Allow {service}:{action} in the policy of the role amifactory runs as",
        )
    return AwsError(f"{service}:{operation} failed with {code}: {message}")


def error_code(error: BaseException | None) -> str | None:
    """Returns AWS's code of the call behind an `AwsError`, such as ``NoSuchBucket``."""
    response = getattr(error.__cause__, "response", None) if error else None
    return str(response["Error"]["Code"]) if response else None
