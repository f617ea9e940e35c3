"""The hygiene spec of all images, on an instance that is as it should be, and on one spoilt in each way."""

from __future__ import annotations

import runpy
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import testinfra

from amifactory.sandbox.lifecycle import down, ensure
from amifactory.sandbox.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"
SPEC = Path(__file__).parents[2] / "images/_shared/spec"
AS_BUILT = "mkdir /etc/amifactory && touch -d 2026-01-01 /etc/amifactory/secrets.json"
LISTEN = "systemd-run --quiet --unit=listen python3 -m http.server --bind %s 9100; sleep 0.5"
NO_MORE = "systemctl stop listen"
SSHD = "/etc/ssh/sshd_config.d/0.conf"

SPOILT = [
    ("test_ssh_takes_no_password", f"echo PasswordAuthentication yes >{SSHD}", f"rm {SSHD}"),
    ("test_ssh_takes_no_password", f"echo KbdInteractiveAuthentication yes >{SSHD}", f"rm {SSHD}"),
    ("test_no_user_has_a_password", "echo admin:secret | chpasswd", "usermod --password '!' admin"),
    ("test_no_user_has_a_password", "passwd --quiet --delete admin", "usermod --password '!' admin"),
    ("test_nothing_listens_for_other_machines_but_what_must", LISTEN % "0.0.0.0", NO_MORE),  # noqa: S104
    ("test_nothing_listens_for_other_machines_but_what_must", LISTEN % "::", NO_MORE),
    ("test_no_file_is_writable_for_everybody", "touch /etc/x && chmod 666 /etc/x", "rm /etc/x"),
    ("test_no_file_is_writable_for_everybody", "mkdir -m 777 /opt/x", "rmdir /opt/x"),
    ("test_no_file_is_writable_for_everybody", "chmod 777 /tmp", "chmod 1777 /tmp"),
    ("test_every_unit_started", "! systemd-run --quiet --wait --unit=broken false", "systemctl reset-failed"),
    ("test_only_the_key_of_this_instance_is_authorized", "mv /home/admin/.ssh /", "mv /.ssh /home/admin/"),
    (
        "test_only_the_key_of_this_instance_is_authorized",
        "mkdir -p /root/.ssh; echo ssh-ed25519 AAAA of-the-build >/root/.ssh/authorized_keys",
        "rm /root/.ssh/authorized_keys",
    ),
    (
        "test_host_keys_were_made_on_this_instance",
        "touch -d 2025-01-01 /etc/ssh/ssh_host_ecdsa_key",
        "touch /etc/ssh/ssh_host_ecdsa_key",
    ),
    (
        "test_instance_has_a_machine_id",
        "mv /etc/machine-id /id; touch /etc/machine-id",
        "mv /id /etc/machine-id",
    ),
    ("test_nothing_of_the_build_is_left", "touch /usr/sbin/policy-rc.d", "rm /usr/sbin/policy-rc.d"),
    ("test_nothing_of_the_build_is_left", "mkdir /tmp/amifactory", "rmdir /tmp/amifactory"),
    (
        "test_logs_of_the_build_are_gone",
        "echo >/var/log/x && touch -d 2025-01-01 /var/log/x",
        "rm /var/log/x",
    ),
    ("test_logs_are_small", "fallocate --length 70M /var/log/x", "rm /var/log/x"),
    ("test_package_caches_are_empty", "touch /var/cache/apt/x.deb", "rm /var/cache/apt/x.deb"),
    ("test_package_caches_are_empty", "touch /var/lib/apt/lists/x_InRelease", "rm /var/lib/apt/lists/x_*"),
]
"""Test, how to make it fail, how to make it pass again."""

HARMLESS = [
    ("test_nothing_listens_for_other_machines_but_what_must", LISTEN % "127.0.0.1", NO_MORE),
    (
        "test_no_file_is_writable_for_everybody",
        "mkdir -m 1777 /opt/x; install -m 666 /dev/null /tmp/x",
        "rm -r /opt/x /tmp/x",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance, entered through Docker."""

    ec2: Any
    id: str
    names: Names

    @property
    def container(self) -> str:
        return self.names.instance(self.id)

    def run(self, script: str) -> None:
        """Runs a script as root."""
        subprocess.run(["docker", "exec", self.container, "bash", "-ec", script], check=True)


def spec_tests() -> dict[str, Any]:
    """Returns the tests of the spec."""
    files = [runpy.run_path(str(file)) for file in sorted(SPEC.glob("test_*.py"))]
    return {name: test for file in files for name, test in file.items() if name.startswith("test_")}


TESTS = spec_tests()


def ask(name: str, instance: Instance) -> None:
    """Runs a test of the spec; raises what it raises."""
    TESTS[name](testinfra.get_host(f"docker://{instance.container}"))


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    root = tmp_path_factory.mktemp("hygiene")
    try:
        state = ensure(
            root, region=REGION, state_bucket="example", prepull=(), secrets={}, say=lambda _: None
        )
        ec2: Any = boto3.client(
            "ec2",
            region_name=REGION,
            endpoint_url=state.endpoint,
            aws_access_key_id=state.access_key_id,
            aws_secret_access_key=state.secret_access_key,
        )
        ec2.create_key_pair(KeyName="test", KeyType="ed25519")
        (launched,) = ec2.run_instances(
            ImageId=state.source_ami_id,
            InstanceType="t3.large",
            KeyName="test",
            MinCount=1,
            MaxCount=1,
            MetadataOptions={"HttpTokens": "required"},
        )["Instances"]
        instance = Instance(ec2=ec2, id=launched["InstanceId"], names=Names.of(root))
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance.id], WaiterConfig={"Delay": 1})
        instance.run(AS_BUILT)
        yield instance
    finally:
        down(root)


@pytest.mark.parametrize(
    ("socket", "is_stray"),
    [
        ("udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:*", False),
        ("tcp LISTEN 0 5 [fe80::1]%eth0:9100 [::]:*", True),
        ("udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*", False),
        ("tcp LISTEN 0 5 [::1]:9100 [::]:*", False),
        ("tcp LISTEN 0 5 *:9100 *:*", True),
    ],
)
def test_sockets_that_other_machines_reach_are_told_from_the_rest(socket: str, *, is_stray: bool) -> None:
    """As ss prints them: the zone of an IPv6 address stands outside of the brackets."""
    assert runpy.run_path(str(SPEC / "test_exposure.py"))["is_stray"](socket) is is_stray


@pytest.mark.parametrize("name", TESTS)
def test_an_instance_of_the_source_ami_passes(instance: Instance, name: str) -> None:
    ask(name, instance)


@pytest.mark.parametrize(("name", "spoil", "mend"), SPOILT)
def test_a_spoilt_instance_fails(instance: Instance, name: str, spoil: str, mend: str) -> None:
    instance.run(spoil)
    with pytest.raises(AssertionError, match=r"^(?!Unexpected exit code)"):
        ask(name, instance)
    instance.run(mend)
    ask(name, instance)


@pytest.mark.parametrize(("name", "change", "undo"), HARMLESS)
def test_a_harmless_instance_passes(instance: Instance, name: str, change: str, undo: str) -> None:
    instance.run(change)
    ask(name, instance)
    instance.run(undo)


def test_an_instance_that_answers_imdsv1_fails(instance: Instance) -> None:
    instance.ec2.modify_instance_metadata_options(InstanceId=instance.id, HttpTokens="optional")
    with pytest.raises(AssertionError, match="ImdsSupport"):
        ask("test_metadata_needs_a_token", instance)
    instance.ec2.modify_instance_metadata_options(InstanceId=instance.id, HttpTokens="required")
