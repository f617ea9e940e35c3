"""Fresh instances: what is asked of EC2, and that what costs money goes away whatever happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import ANY, Stubber

from amifactory.aws.instances import Instances, InstanceSettings
from amifactory.domain.model import AmiId
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from amifactory.aws.session import AwsSession

LAUNCHED = datetime(2026, 1, 15, 12, tzinfo=UTC)
NAME = "amifactory-20260115T120000Z-abcdef-an-image-with-quite-a-long-name-x86_64"
RUNNING = {"State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.5", "PublicIpAddress": "192.0.2.5"}


class Bench:
    """Instances with canned answers, and what the person was told."""

    def __init__(self, ec2: Stubber, session: AwsSession, clock: Any) -> None:
        self.ec2 = ec2
        self.told: list[str] = []
        self.instances = Instances(session, clock=clock, pause=clock.pause, warn=self.told.append)

    def answer_launch(self, request: dict[str, Any] | None = None) -> None:
        self.ec2.add_response("create_key_pair", {"KeyMaterial": "PEM"})
        self.ec2.add_response(
            "run_instances", {"Instances": [{"InstanceId": "i-1", "LaunchTime": LAUNCHED}]}, request
        )

    def answer_state(self, **instance: Any) -> None:
        self.ec2.add_response("describe_instances", {"Reservations": [{"Instances": [instance]}]})

    def answer_end(self) -> None:
        self.ec2.add_response("terminate_instances", {}, {"InstanceIds": ["i-1"]})
        self.ec2.add_response("delete_key_pair", {}, {"KeyName": NAME})

    def fresh(self, settings: InstanceSettings, timeout: timedelta = timedelta(minutes=1)) -> Any:
        return self.instances.fresh(AmiId("ami-1"), settings, name=NAME, timeout=timeout, check=lambda: None)


@pytest.fixture
def bench(ec2: Stubber, session: AwsSession, clock: Any) -> Bench:
    return Bench(ec2, session, clock)


def settings(**changes: Any) -> InstanceSettings:
    given: dict[str, Any] = {
        "instance_type": "t3.large",
        "subnet_id": None,
        "security_group_ids": ("sg-given",),
        "instance_profile": None,
        "public_ip": False,
        "by_public_ip": False,
        "lifetime": timedelta(minutes=30),
        "tags": {"amifactory:run": "run-1"},
    }
    return InstanceSettings(**{**given, **changes})


def test_an_instance_is_launched_once_ends_itself_and_leaves_metadata_to_the_ami(bench: Bench) -> None:
    expected = {
        "ImageId": "ami-1",
        "InstanceType": "t3.large",
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": NAME,
        "ClientToken": ANY,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "UserData": "#!/bin/sh\nsystemd-run --on-active=30m systemctl poweroff\n",
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "Groups": ["sg-given"],
                "SubnetId": "subnet-1",
                "AssociatePublicIpAddress": True,
            }
        ],
        "TagSpecifications": ANY,
        "IamInstanceProfile": {"Name": "ci-verify"},
    }
    bench.answer_launch(expected)
    bench.answer_state(**RUNNING)
    bench.answer_end()
    wanted = settings(subnet_id="subnet-1", instance_profile="ci-verify", public_ip=True, by_public_ip=True)
    with bench.fresh(wanted) as instance:
        assert (instance.address, instance.private_key) == ("192.0.2.5", "PEM")
        assert instance.launched_at == LAUNCHED
    assert bench.told == []


def test_the_client_token_is_as_long_as_ec2_allows(bench: Bench, session: AwsSession) -> None:
    """EC2 API reference, RunInstances, ClientToken: at most 64 ASCII characters."""
    tokens: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        tokens.append(params["ClientToken"])

    session.ec2.meta.events.register("provide-client-params.ec2.RunInstances", note)
    for _ in range(2):
        bench.answer_launch()
        bench.answer_state(**RUNNING)
        bench.answer_end()
        with bench.fresh(settings()):
            pass
    session.ec2.meta.events.unregister("provide-client-params.ec2.RunInstances", note)
    assert tokens[0] == tokens[1]
    assert len(NAME) > 64 == len(tokens[0])


def test_everything_goes_when_the_work_fails(bench: Bench) -> None:
    bench.answer_launch()
    bench.answer_state(**RUNNING)
    bench.answer_end()
    with pytest.raises(ZeroDivisionError), bench.fresh(settings()):
        raise ZeroDivisionError


def test_the_key_goes_when_the_launch_is_refused(bench: Bench) -> None:
    bench.ec2.add_response("create_key_pair", {"KeyMaterial": "PEM"})
    bench.ec2.add_client_error("run_instances", "InstanceLimitExceeded")
    bench.ec2.add_response("delete_key_pair", {})
    with pytest.raises(AwsError, match="InstanceLimitExceeded"), bench.fresh(settings()):
        pass


def test_an_instance_that_could_not_be_ended_is_named_and_hides_nothing(bench: Bench) -> None:
    bench.answer_launch()
    bench.answer_state(**RUNNING)
    bench.ec2.add_client_error("terminate_instances", "UnauthorizedOperation")
    bench.ec2.add_response("delete_key_pair", {})
    with bench.fresh(settings()):
        pass
    (told,) = bench.told
    assert "AWS denied ec2:TerminateInstances" in told
    assert "aws ec2 terminate-instances --instance-ids i-1 --region eu-central-1" in told


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        (
            {"State": {"Name": "terminated"}, "StateReason": {"Message": "Server.InternalError"}},
            r"went to terminated while starting: Server\.InternalError",
        ),
        ({"State": {"Name": "pending"}}, "is not running after"),
        ({"State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.5"}, "has no public address after"),
    ],
)
def test_an_instance_that_does_not_start_is_ended_with_the_reason(
    bench: Bench, instance: dict[str, Any], words: str
) -> None:
    bench.answer_launch()
    bench.answer_state(**instance)
    bench.answer_end()
    with pytest.raises(AwsError, match=words), bench.fresh(settings(by_public_ip=True), timedelta(0)):
        pass


def test_an_instance_that_ec2_does_not_know_yet_is_waited_for(bench: Bench, clock: Any) -> None:
    bench.answer_launch()
    bench.ec2.add_client_error("describe_instances", "InvalidInstanceID.NotFound")
    bench.answer_state(State={"Name": "pending"})
    bench.answer_state(**RUNNING)
    bench.answer_end()
    with bench.fresh(settings()) as instance:
        assert instance.address == "10.0.0.5"
    assert clock.seconds == 10


def test_all_instances_share_one_security_group_that_goes_when_aws_has_freed_it(
    bench: Bench, clock: Any
) -> None:
    bench.ec2.add_response("create_security_group", {"GroupId": "sg-made"})
    bench.ec2.add_response("authorize_security_group_ingress", {})
    for _ in range(2):
        bench.answer_launch()
        bench.answer_state(**RUNNING)
        bench.answer_end()
        with bench.fresh(settings(security_group_ids=())):
            pass
    for _ in range(3):
        bench.ec2.add_client_error("delete_security_group", "DependencyViolation")
    bench.ec2.add_response("delete_security_group", {}, {"GroupId": "sg-made"})
    bench.instances.close()
    assert clock.seconds == 15
    assert bench.told == []
    bench.instances.close()  # nothing is left to delete


@pytest.mark.parametrize("hurry", [True, False])
def test_a_security_group_that_stays_in_use_is_named(bench: Bench, clock: Any, hurry: bool) -> None:
    bench.ec2.add_response("create_security_group", {"GroupId": "sg-made"})
    bench.ec2.add_response("authorize_security_group_ingress", {})
    bench.answer_launch()
    bench.answer_state(**RUNNING)
    bench.answer_end()
    with bench.fresh(settings(security_group_ids=())):
        pass
    for _ in range(1 if hurry else 61):
        bench.ec2.add_client_error("delete_security_group", "DependencyViolation")
    bench.instances.close(hurry=lambda: hurry)
    (told,) = bench.told
    assert "aws ec2 delete-security-group --group-id sg-made" in told
    assert clock.seconds == (0 if hurry else 300)


def test_console_output_is_text(ec2: Stubber, bench: Bench) -> None:
    """botocore decodes Output from base64 before anybody sees it, but not for a stub."""
    ec2.add_response("get_console_output", {"Output": "Welcome\n"})
    ec2.add_response("get_console_output", {})
    assert bench.instances.console_output("i-1") == "Welcome\n"
    assert bench.instances.console_output("i-1") == ""


def test_a_permission_is_asked_for_without_using_it(ec2: Stubber, bench: Bench) -> None:
    ec2.add_client_error(
        "create_key_pair", "DryRunOperation", expected_params={"KeyName": ANY, "DryRun": True}
    )
    bench.instances.check_permission("create_key_pair")
    ec2.add_client_error("create_key_pair", "UnauthorizedOperation")
    with pytest.raises(AwsError, match="denied ec2:CreateKeyPair"):
        bench.instances.check_permission("create_key_pair")
