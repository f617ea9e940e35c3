"""EC2 instances that live for one verification, and what they need: a one-time key, a way in."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.aws.session import aws_errors, error_code
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta

    from amifactory.aws.session import AwsSession
    from amifactory.domain.model import AmiId

STARTING = frozenset({"pending"})
SECURITY_GROUP_RETRIES = 24
"""AWS frees a security group some time after its last instance is terminated; two minutes at 5 s."""

CHECKABLE: Mapping[str, Mapping[str, str]] = {
    "create_key_pair": {"KeyName": "amifactory-doctor"},
    "create_security_group": {"GroupName": "amifactory-doctor", "Description": "amifactory: dry run"},
    "describe_instances": {},
}
"""Calls whose permission can be asked for with no resource at hand, and what they need to be well-formed."""


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """Where and as what a fresh instance is launched.

    Attributes:
        public: Reach it by its public address, which it then also asks for.
        security_group_ids: Existing groups; empty makes one for port 22 that is deleted with the instance.
    """

    instance_type: str
    subnet_id: str | None
    security_group_ids: tuple[str, ...]
    instance_profile: str | None
    public: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RunningInstance:
    """A launched instance and how to log in.

    Attributes:
        private_key: PEM text of the one-time key; lives as long as the instance.
    """

    instance_id: str
    address: str
    private_key: str


class Instances:
    """Launches and ends instances of one account and region."""

    def __init__(
        self,
        session: AwsSession,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], object],
        interval: float = 5.0,
    ) -> None:
        self._session = session
        self._clock = clock
        self._pause = pause
        self._interval = interval

    @contextmanager
    def fresh(
        self, ami_id: AmiId, settings: InstanceSettings, *, name: str, timeout: timedelta
    ) -> Iterator[RunningInstance]:
        """Launches an instance with a key of its own; all of it is gone however the block ends.

        Args:
            ami_id: What to boot.
            settings: Where and as what.
            name: Unique name of the key and the security group; also makes the launch idempotent.
            timeout: How long it may take to reach the state ``running``.

        Raises:
            AwsError: The launch was refused, failed, or took too long.
        """
        with (
            self._key_pair(name, settings.tags) as private_key,
            self._security_groups(name, settings) as groups,
        ):
            instance_id = self._run(ami_id, settings, groups, name)
            try:
                address = self._wait_running(instance_id, settings, timeout)
                yield RunningInstance(instance_id=instance_id, address=address, private_key=private_key)
            finally:
                with aws_errors("ec2"):
                    self._session.ec2.terminate_instances(InstanceIds=[instance_id])

    def console_output(self, instance_id: str) -> str:
        """Returns the end of an instance's console; empty when EC2 has none yet.

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("ec2"):
            answer = self._session.ec2.get_console_output(InstanceId=instance_id)
        return answer.get("Output", "")  # botocore has decoded it from base64

    def check_permission(self, operation: str) -> None:
        """Asks EC2 whether a call would be allowed, without making it.

        Args:
            operation: One of `CHECKABLE`.

        Raises:
            AwsError: It would be denied.
        """
        try:
            with aws_errors("ec2"):
                getattr(self._session.ec2, operation)(**CHECKABLE[operation], DryRun=True)
        except AwsError as error:
            if error_code(error) != "DryRunOperation":
                raise

    @contextmanager
    def _key_pair(self, name: str, tags: Mapping[str, str]) -> Iterator[str]:
        with aws_errors("ec2"):
            answer = self._session.ec2.create_key_pair(
                KeyName=name, KeyType="ed25519", TagSpecifications=[_tags("key-pair", tags)]
            )
        try:
            yield answer["KeyMaterial"]
        finally:
            with aws_errors("ec2"):
                self._session.ec2.delete_key_pair(KeyName=name)

    @contextmanager
    def _security_groups(self, name: str, settings: InstanceSettings) -> Iterator[list[str]]:
        if settings.security_group_ids:
            yield list(settings.security_group_ids)
            return
        network = {"VpcId": self._vpc_of(settings.subnet_id)} if settings.subnet_id else {}
        with aws_errors("ec2"):
            group = self._session.ec2.create_security_group(
                GroupName=name,
                Description="amifactory: SSH to a verification instance",
                TagSpecifications=[_tags("security-group", settings.tags)],
                **network,  # type: ignore[arg-type]
            )["GroupId"]
        try:
            with aws_errors("ec2"):
                self._session.ec2.authorize_security_group_ingress(
                    GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
                )
            yield [group]
        finally:
            self._delete_security_group(group)

    def _delete_security_group(self, group: str) -> None:
        for attempt in range(SECURITY_GROUP_RETRIES):
            try:
                with aws_errors("ec2"):
                    self._session.ec2.delete_security_group(GroupId=group)
            except AwsError as error:
                last = attempt == SECURITY_GROUP_RETRIES - 1
                if last or error_code(error) != "DependencyViolation":
                    raise
                self._pause(self._interval)
            else:
                return

    def _vpc_of(self, subnet_id: str | None) -> str:
        with aws_errors("ec2"):
            answer = self._session.ec2.describe_subnets(SubnetIds=[str(subnet_id)])
        return answer["Subnets"][0]["VpcId"]

    def _run(self, ami_id: AmiId, settings: InstanceSettings, groups: list[str], name: str) -> str:
        request: dict[str, Any] = {
            "ImageId": ami_id,
            "InstanceType": settings.instance_type,
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": name,
            "ClientToken": name,
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
            "TagSpecifications": [_tags("instance", settings.tags), _tags("volume", settings.tags)],
        }
        if settings.instance_profile:
            request["IamInstanceProfile"] = {"Name": settings.instance_profile}
        if settings.subnet_id:
            request["NetworkInterfaces"] = [
                {
                    "DeviceIndex": 0,
                    "SubnetId": settings.subnet_id,
                    "Groups": groups,
                    "AssociatePublicIpAddress": settings.public,
                }
            ]
        else:
            request["SecurityGroupIds"] = groups
        with aws_errors("ec2"):
            return self._session.ec2.run_instances(**request)["Instances"][0]["InstanceId"]

    def _wait_running(self, instance_id: str, settings: InstanceSettings, timeout: timedelta) -> str:
        deadline = self._clock() + timeout.total_seconds()
        while True:
            instance = self._describe(instance_id)
            state = instance["State"]["Name"] if instance else "pending"
            address = (instance or {}).get("PublicIpAddress" if settings.public else "PrivateIpAddress")
            if state == "running" and address:
                return str(address)
            if state not in STARTING | {"running"}:
                reason = (instance or {}).get("StateReason", {}).get("Message", "no reason given")
                raise AwsError(f"instance {instance_id} went to {state} while starting: {reason}")
            if self._clock() >= deadline:
                raise AwsError(f"instance {instance_id} is not running after {timeout}")
            self._pause(self._interval)

    def _describe(self, instance_id: str) -> Any | None:
        """Returns an instance; None while DescribeInstances does not know it yet."""
        try:
            with aws_errors("ec2"):
                answer = self._session.ec2.describe_instances(InstanceIds=[instance_id])
        except AwsError as error:
            if error_code(error) == "InvalidInstanceID.NotFound":
                return None
            raise
        return answer["Reservations"][0]["Instances"][0]


def _tags(resource: str, tags: Mapping[str, str]) -> Any:
    return {"ResourceType": resource, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
