"""A session whose clients answer what a test says, and a clock that moves only by waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.stub import Stubber

from amifactory.aws.session import AwsSession

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """Time that passes only by pausing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def session() -> AwsSession:
    return AwsSession(region="eu-central-1", credentials=("AKIAEXAMPLE", "secret"))


@pytest.fixture
def ec2(session: AwsSession) -> Iterator[Stubber]:
    with Stubber(session.ec2) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def s3(session: AwsSession) -> Iterator[Stubber]:
    with Stubber(session.s3) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def secrets_manager(session: AwsSession) -> Iterator[Stubber]:
    with Stubber(session.secrets_manager) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def autoscaling(session: AwsSession) -> Iterator[Stubber]:
    with Stubber(session.autoscaling) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def cloudwatch(session: AwsSession) -> Iterator[Stubber]:
    with Stubber(session.cloudwatch) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def ssm(session: AwsSession) -> Iterator[Stubber]:
    with Stubber(session.ssm) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
