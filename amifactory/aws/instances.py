"""EC2 instances that live for one verification, and what they need: a one-time key, a way in."""

from __future__ import annotations

import hashlib
import math
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.aws.session import aws_errors, error_code
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from amifactory.aws.session import AwsSession
    from amifactory.domain.model import AmiId

STARTING = frozenset({"pending"})
GROUP_SECONDS = 300
"""AWS frees a security group some time after its last instance is terminated; usually within a minute."""
CLIENT_TOKEN_LENGTH = 64
"""The most RunInstances takes (EC2 API reference, RunInstances, ClientToken)."""


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
        public_ip: Ask for a public address.
        by_public_ip: Reach it by that address.
        security_group_ids: Existing groups; empty makes one that lets SSH in, until `Instances.close`.
        lifetime: After this it ends itself, whatever became of us.
    """

    instance_type: str
    subnet_id: str | None
    security_group_ids: tuple[str, ...]
    instance_profile: str | None
    public_ip: bool
    by_public_ip: bool
    lifetime: timedelta
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RunningInstance:
    """A launched instance and how to log in.

    Attributes:
        launched_at: When EC2 took the request, by EC2's clock, in whole seconds.
        private_key: PEM text of the one-time key; lives as long as the instance.
    """

    instance_id: str
    address: str
    launched_at: datetime
    private_key: str


class Instances:
    """Launches and ends instances of one account and region.

    Args:
        session: The account and region.
        clock: Monotonic seconds.
        pause: Sleeps that many seconds.
        warn: Tells the person what could not be removed, and the command that removes it.
        interval: Seconds between two looks at a state.
    """

    def __init__(
        self,
        session: AwsSession,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], object],
        warn: Callable[[str], None],
        interval: float = 5.0,
    ) -> None:
        self._session = session
        self._clock = clock
        self._pause = pause
        self._warn = warn
        self._interval = interval
        self._lock = threading.Lock()
        self._groups: dict[str | None, str] = {}

    @contextmanager
    def fresh(
        self,
        ami_id: AmiId,
        settings: InstanceSettings,
        *,
        name: str,
        timeout: timedelta,
        check: Callable[[], None],
    ) -> Iterator[RunningInstance]:
        """Launches an instance with a key of its own; both are gone however the block ends.

        Args:
            ami_id: What to boot.
            settings: Where and as what.
            name: Unique name of the key; also makes the launch idempotent.
            timeout: How long it may take to reach the state ``running``.
            check: Raises when the wait should end early.

        Raises:
            AwsError: The launch was refused, failed, or took too long.
        """
        groups = list(settings.security_group_ids) or [self._security_group(name, settings)]
        with self._key_pair(name, settings.tags) as private_key:
            instance_id, launched_at = self._run(ami_id, settings, groups, name)
            try:
                address = self._wait_running(instance_id, settings, timeout, check)
                yield RunningInstance(
                    instance_id=instance_id,
                    address=address,
                    launched_at=launched_at,
                    private_key=private_key,
                )
            finally:
                with self._clean_up(f"aws ec2 terminate-instances --instance-ids {instance_id}"):
                    self._session.ec2.terminate_instances(InstanceIds=[instance_id])

    def close(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """Deletes the security groups that were made, once AWS has freed them.

        Args:
            hurry: Whether to give up waiting now.
        """
        with self._lock:
            groups, self._groups = list(self._groups.values()), {}
        deadline = self._clock() + GROUP_SECONDS
        for group in groups:
            with self._clean_up(f"aws ec2 delete-security-group --group-id {group}"):
                while not self._deleted(group):
                    if self._clock() >= deadline or hurry():
                        raise AwsError(f"{group} is still in use")
                    self._pause(self._interval)

    def _deleted(self, group: str) -> bool:
        try:
            with aws_errors("ec2"):
                self._session.ec2.delete_security_group(GroupId=group)
        except AwsError as error:
            if error_code(error) == "DependencyViolation":
                return False
            if error_code(error) != "InvalidGroup.NotFound":
                raise
        return True

    @contextmanager
    def _clean_up(self, command: str) -> Iterator[None]:
        """Runs a clean-up that must not hide how the work itself ended: what fails is told, not raised."""
        try:
            with aws_errors("ec2"):
                yield
        except AwsError as error:
            region = self._session.region
            self._warn(f"Not removed: {error.message}\n  Remove it: {command} --region {region}")

    def check_running(self, instance_id: str) -> None:
        """Raises unless an instance runs: somebody else may have taken it away.

        Raises:
            AwsError: It does not run, or the call was refused.
        """
        instance = self._describe(instance_id) or {"State": {"Name": "gone"}}
        if instance["State"]["Name"] != "running":
            reason = instance.get("StateReason", {}).get("Message", "no reason given")
            raise AwsError(
                f"instance {instance_id} is {instance['State']['Name']}, while it was needed: {reason}",
                hint="This says nothing of the build: run the command again.",
            )

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
            with self._clean_up(f"aws ec2 delete-key-pair --key-name {name}"):
                self._session.ec2.delete_key_pair(KeyName=name)

    def _security_group(self, name: str, settings: InstanceSettings) -> str:
        """Returns the group that all instances of one subnet's network share, made for the first."""
        with self._lock:
            if settings.subnet_id not in self._groups:
                self._groups[settings.subnet_id] = self._make_security_group(name, settings)
            return self._groups[settings.subnet_id]

    def _make_security_group(self, name: str, settings: InstanceSettings) -> str:
        network = {"VpcId": self._vpc_of(settings.subnet_id)} if settings.subnet_id else {}
        with aws_errors("ec2"):
            group = self._session.ec2.create_security_group(
                GroupName=name,
                Description="amifactory: SSH to verification instances",
                TagSpecifications=[_tags("security-group", settings.tags)],
                **network,  # type: ignore[arg-type]
            )["GroupId"]
            self._session.ec2.authorize_security_group_ingress(
                GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
            )
        return group

    def _vpc_of(self, subnet_id: str | None) -> str:
        with aws_errors("ec2"):
            answer = self._session.ec2.describe_subnets(SubnetIds=[str(subnet_id)])
        return answer["Subnets"][0]["VpcId"]

    def _run(
        self, ami_id: AmiId, settings: InstanceSettings, groups: list[str], name: str
    ) -> tuple[str, datetime]:
        interface: dict[str, Any] = {"DeviceIndex": 0, "Groups": groups}
        if settings.subnet_id:
            interface["SubnetId"] = settings.subnet_id
        if settings.public_ip:
            interface["AssociatePublicIpAddress"] = True
        minutes = math.ceil(settings.lifetime.total_seconds() / 60)
        request: dict[str, Any] = {
            "ImageId": ami_id,
            "InstanceType": settings.instance_type,
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": name,
            "ClientToken": hashlib.sha256(name.encode()).hexdigest()[:CLIENT_TOKEN_LENGTH],
            "InstanceInitiatedShutdownBehavior": "terminate",
            "UserData": f"#!/bin/sh\nsystemd-run --on-active={minutes}m systemctl poweroff\n",
            "NetworkInterfaces": [interface],
            "TagSpecifications": [_tags("instance", settings.tags), _tags("volume", settings.tags)],
        }
        if settings.instance_profile:
            request["IamInstanceProfile"] = {"Name": settings.instance_profile}
        with aws_errors("ec2"):
            instance = self._session.ec2.run_instances(**request)["Instances"][0]
        return instance["InstanceId"], instance["LaunchTime"]

    def _wait_running(
        self, instance_id: str, settings: InstanceSettings, timeout: timedelta, check: Callable[[], None]
    ) -> str:
        deadline = self._clock() + timeout.total_seconds()
        while True:
            check()
            instance = self._describe(instance_id) or {"State": {"Name": "pending"}}
            state = instance["State"]["Name"]
            address = instance.get("PublicIpAddress" if settings.by_public_ip else "PrivateIpAddress")
            if state == "running" and address:
                return str(address)
            if state not in STARTING | {"running"}:
                reason = instance.get("StateReason", {}).get("Message", "no reason given")
                raise AwsError(f"instance {instance_id} went to {state} while starting: {reason}")
            if self._clock() >= deadline:
                missing = "has no public address" if state == "running" else "is not running"
                raise AwsError(f"instance {instance_id} {missing} after {timeout}")
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
