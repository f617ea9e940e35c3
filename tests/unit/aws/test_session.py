"""botocore's errors in the words of this project."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from amifactory.aws.session import AwsSession, aws_errors, error_code
from amifactory.errors import AwsError


def client_error(code: str, operation: str = "CreateImage") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "because"}}, operation)


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException"])
def test_a_denied_call_is_named(code: str) -> None:
    with pytest.raises(AwsError, match="AWS denied ec2:CreateImage") as caught, aws_errors("ec2"):
        raise client_error(code)
    assert caught.value.hint is not None
    assert "ec2:CreateImage" in caught.value.hint


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_expired_credentials_are_told_from_denied_ones(code: str) -> None:
    with pytest.raises(AwsError, match="have expired"), aws_errors("sts"):
        raise client_error(code)


def test_no_credentials_lead_to_the_sandbox() -> None:
    with pytest.raises(AwsError, match="no AWS credentials") as caught, aws_errors("ec2"):
        raise NoCredentialsError
    assert "--sandbox" in (caught.value.hint or "")


def test_other_refusals_keep_their_code() -> None:
    with pytest.raises(AwsError, match=r"ec2:CreateImage failed with InvalidAMIName\.Duplicate") as caught:  # noqa: SIM117
        with aws_errors("ec2"):
            raise client_error("InvalidAMIName.Duplicate")
    assert error_code(caught.value) == "InvalidAMIName.Duplicate"


def test_an_unreachable_endpoint_is_an_aws_error() -> None:
    with pytest.raises(AwsError, match="Could not connect"), aws_errors("s3"):
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


def test_an_unknown_profile_is_an_aws_error() -> None:
    session = AwsSession(region="eu-central-1", profile="no-such-profile")
    with pytest.raises(AwsError, match="no-such-profile"):
        session.environment({})


def test_a_child_process_gets_exactly_this_identity() -> None:
    session = AwsSession(region="eu-central-1", credentials=("AKIAEXAMPLE", "secret"))
    mixed_in = {"AWS_SESSION_TOKEN": "of-other-credentials", "PATH": "/bin"}
    assert session.environment(mixed_in) == {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
