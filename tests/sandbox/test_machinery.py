"""Instances, their disks and their network, on real Docker, asked for through the sandbox's AWS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from amifactory.sandbox.lifecycle import console, down, ensure, status
from amifactory.sandbox.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from amifactory.sandbox.state import SandboxState

REGION = "eu-central-1"
DAEMON_JSON = '{"registry-mirrors": ["%s"]}'
INSTALL_DOCKER = """
set -e
mkdir -p /etc/docker && echo '%s' >/etc/docker/daemon.json
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io >/dev/null
"""


def run(*command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@dataclass(frozen=True, kw_only=True)
class Instance:
    id: str
    address: str
    key: Path

    def ssh(self, command: str, *, timeout: float = 120) -> str:
        """Returns what a command, run as the default user, writes."""
        options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "BatchMode=yes",
        ]
        flags = [part for option in options for part in ("-o", option)]
        ran = run("ssh", "-i", str(self.key), *flags, f"admin@{self.address}", command, timeout=timeout)
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def host_key(self) -> str:
        return run("ssh-keyscan", "-t", "ed25519", self.address).stdout.split()[-1]


@dataclass(frozen=True)
class Sandbox:
    root: Path
    state: SandboxState

    @cached_property
    def ec2(self) -> Any:
        return self.client("ec2")

    def client(self, service: Any) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.state.endpoint,
            aws_access_key_id=self.state.access_key_id,
            aws_secret_access_key=self.state.secret_access_key,
        )

    @cached_property
    def key(self) -> Path:
        file = self.root / "key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file))
        self.ec2.import_key_pair(KeyName="test", PublicKeyMaterial=file.with_suffix(".pub").read_bytes())
        return file

    def launch(self, image_id: str | None = None, **more: Any) -> Instance:
        started = self.ec2.run_instances(
            ImageId=image_id or self.state.source_ami_id,
            InstanceType="t3.large",
            KeyName="test" if self.key else "",
            MinCount=1,
            MaxCount=1,
            **more,
        )["Instances"][0]
        self.wait("instance_running", started["InstanceId"])
        return Instance(id=started["InstanceId"], address=started["PrivateIpAddress"], key=self.key)

    def wait(self, waiter: str, instance_id: str) -> None:
        self.ec2.get_waiter(waiter).wait(
            InstanceIds=[instance_id], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def state_of(self, instance_id: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance_id])
        return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])

    def terminate(self, *instances: Instance) -> None:
        self.ec2.terminate_instances(InstanceIds=[instance.id for instance in instances])
        for instance in instances:
            self.wait("instance_terminated", instance.id)

    def docker_objects(self) -> set[str]:
        return docker_objects(self.state.id)


def docker_objects(sandbox_id: str) -> set[str]:
    """Returns the names of everything Docker holds that is a sandbox's, by its label or its name."""
    labelled = ["--filter", f"label=amifactory.sandbox={sandbox_id}"]
    listings = (
        ["ps", "--all", "--format", "container {{.Names}}"],
        ["images", "--all", "--format", "image {{.Repository}}:{{.Tag}}"],
        ["volume", "ls", "--format", "volume {{.Name}}"],
        ["network", "ls", "--format", "network {{.Name}}"],
    )
    found = [
        (more, line)
        for listing in listings
        for more in (labelled, [])
        for line in run("docker", *listing, *more).stdout.splitlines()
    ]
    return {line for more, line in found if more or f" amifactory-{sandbox_id}" in line}


def start(
    root: Path,
    *prepull: str,
    secrets: Mapping[str, str] = MappingProxyType({}),
    say: Callable[[str], None] = lambda _: None,
) -> Sandbox:
    root.mkdir(exist_ok=True)
    bucket = "example-amifactory-state"
    state = ensure(root, region=REGION, state_bucket=bucket, prepull=prepull, secrets=secrets, say=say)
    return Sandbox(root, state)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    root = tmp_path_factory.mktemp("machinery")
    try:
        yield start(root, "alpine:3.20", "gitlab/gitlab-runner:v17")
    finally:
        down(root)
    assert not docker_objects(Names.of(root).sandbox_id)


@pytest.fixture
def instance(sandbox: Sandbox) -> Iterator[Instance]:
    launched = sandbox.launch()
    yield launched
    sandbox.terminate(launched)


def test_an_instance_configures_itself_from_its_metadata(sandbox: Sandbox) -> None:
    instance = sandbox.launch(UserData="#!/bin/sh\nid -un >/user-data-ran\n")
    assert instance.ssh("hostname").strip() == f"ip-{instance.address.replace('.', '-')}"
    assert instance.ssh("sudo id -un").strip() == "root"
    assert instance.ssh("systemctl is-system-running --wait").strip() == "running"
    wait_for(lambda: "root" in instance.ssh("cat /user-data-ran || true"), "user data ran as root")
    assert "is configured" in console(sandbox.root, instance.id)
    sandbox.terminate(instance)


@pytest.mark.parametrize(
    "command",
    [
        "printenv AWS_ENDPOINT_URL",
        "sudo printenv AWS_ENDPOINT_URL",
        "sudo su --login --command 'printenv AWS_ENDPOINT_URL'",
        "sudo systemd-run --quiet --pipe --wait printenv AWS_ENDPOINT_URL",
    ],
)
def test_programs_in_an_instance_find_the_sandboxs_aws(
    sandbox: Sandbox, shared_instance: Instance, command: str
) -> None:
    assert shared_instance.ssh(command).strip() == sandbox.state.instance_endpoint


@pytest.fixture(scope="module")
def shared_instance(sandbox: Sandbox) -> Iterator[Instance]:
    launched = sandbox.launch()
    yield launched
    sandbox.terminate(launched)


def test_a_machines_kernel_settings_are_safe_and_an_instances_network_settings_its_own(
    shared_instance: Instance,
) -> None:
    setting = "/proc/sys/vm/max_map_count"
    refused = shared_instance.ssh(f"sudo sh -c 'echo 70000 >{setting}' 2>&1 || true")
    assert "Read-only" in refused
    shared_instance.ssh("sudo sysctl -q -w net.ipv4.ip_forward=0")
    assert run("cat", "/proc/sys/net/ipv4/ip_forward").stdout.strip() == "1"


def test_control_groups_are_an_instances_own(shared_instance: Instance) -> None:
    assert "/docker/" not in shared_instance.ssh("cat /proc/1/cgroup")


def test_stop_and_start_keep_disk_address_and_host_key(sandbox: Sandbox, instance: Instance) -> None:
    before = instance.host_key()
    instance.ssh("echo kept >kept; cat kept")
    sandbox.ec2.stop_instances(InstanceIds=[instance.id])
    sandbox.wait("instance_stopped", instance.id)
    assert not run("docker", "ps", "--quiet", "--filter", f"name={instance.id}").stdout
    sandbox.ec2.start_instances(InstanceIds=[instance.id])
    sandbox.wait("instance_running", instance.id)
    assert instance.ssh("cat kept").strip() == "kept"
    assert instance.host_key() == before


def test_power_off_from_inside_is_seen(sandbox: Sandbox, instance: Instance) -> None:
    instance.ssh("sudo systemctl poweroff || true")
    wait_for(lambda: sandbox.state_of(instance.id) == "stopped", "the instance is stopped")


def test_user_data_runs_in_each_new_instance_and_may_end_it(sandbox: Sandbox, instance: Instance) -> None:
    image_id = sandbox.ec2.create_image(InstanceId=instance.id, Name="with-user-data")["ImageId"]
    sandbox.ec2.get_waiter("image_available").wait(
        ImageIds=[image_id], WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    ended = sandbox.launch(
        image_id,
        UserData="#!/bin/sh\nsystemd-run --on-active=5s systemctl poweroff\n",
        InstanceInitiatedShutdownBehavior="terminate",
    )
    wait_for(lambda: sandbox.state_of(ended.id) == "terminated", "the instance has ended itself", 90)


def test_a_sandbox_whose_checkout_is_deleted_goes_too(tmp_path: Path) -> None:
    orphan = start(tmp_path / "deleted")
    orphan.launch()
    shutil.rmtree(orphan.root)
    pid = orphan.state.pid
    try:
        wait_for(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, "the daemon has ended", 60)
        assert not docker_objects(orphan.state.id)
        assert not orphan.root.exists()
    finally:
        down(orphan.root)


def test_ending_a_sandbox_needs_none_of_its_files(tmp_path: Path) -> None:
    orphan = start(tmp_path / "cleaned")
    shutil.rmtree(orphan.root / ".amifactory")
    down(orphan.root)
    assert not docker_objects(orphan.state.id)


def test_reboot_from_inside_boots_again(sandbox: Sandbox, instance: Instance) -> None:
    instance.ssh("sudo touch /run/before-reboot; (sleep 0.5; sudo systemctl reboot) >/dev/null 2>&1 &")

    def rebooted() -> bool:
        answer = run("docker", "exec", f"amifactory-{sandbox.state.id}-{instance.id}", "ls", "/run")
        return answer.returncode == 0 and "before-reboot" not in answer.stdout

    wait_for(rebooted, "the instance has booted again")
    assert sandbox.state_of(instance.id) == "running"


def test_docker_in_an_instance_and_in_the_ami_made_of_it(sandbox: Sandbox) -> None:
    before = sandbox.docker_objects()
    builder = sandbox.launch()
    script = INSTALL_DOCKER % (DAEMON_JSON % sandbox.state.instance_registry)
    builder.ssh(f"sudo bash -c {json.dumps(script).replace(chr(92) + 'n', chr(10))}", timeout=300)
    assert builder.ssh("sudo docker info --format '{{.Driver}}'").strip() == "overlay2"
    builder.ssh("sudo docker pull --quiet alpine:3.20")
    assert (
        builder.ssh("sudo docker run --rm --cpus 0.5 --memory 64m alpine:3.20 echo inside").strip()
        == "inside"
    )
    digest = builder.ssh("sudo docker inspect --format '{{index .RepoDigests 0}}' alpine:3.20")
    old_key = builder.host_key()
    sandbox.ec2.stop_instances(InstanceIds=[builder.id])
    sandbox.wait("instance_stopped", builder.id)
    image_id = sandbox.ec2.create_image(InstanceId=builder.id, Name="with-docker")["ImageId"]
    sandbox.ec2.get_waiter("image_available").wait(
        ImageIds=[image_id], WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    sandbox.terminate(builder)

    worker = sandbox.launch(image_id)
    assert worker.ssh("sudo docker inspect --format '{{index .RepoDigests 0}}' alpine:3.20") == digest
    assert worker.ssh("sudo docker run --rm --pull never alpine:3.20 echo again").strip() == "again"
    assert worker.host_key() != old_key

    snapshot = sandbox.ec2.describe_images(ImageIds=[image_id])["Images"][0]["BlockDeviceMappings"][0]
    sandbox.ec2.deregister_image(ImageId=image_id)
    sandbox.ec2.delete_snapshot(SnapshotId=snapshot["Ebs"]["SnapshotId"])
    assert worker.ssh("sudo docker run --rm --pull never alpine:3.20 echo still").strip() == "still"
    sandbox.terminate(worker)
    wait_for(lambda: sandbox.docker_objects() == before, f"only {before} is left")


def test_the_registry_holds_stand_ins_that_say_what_they_are(sandbox: Sandbox) -> None:
    image = f"{sandbox.state.registry}/gitlab/gitlab-runner:v17"
    try:
        assert run("docker", "run", "--rm", "--pull", "always", image, "true").returncode == 0
        inspected = run("docker", "inspect", "--format", "{{json .Config.Labels}}", image)
        assert json.loads(inspected.stdout) == {
            "amifactory.stand-in": "true",
            "amifactory.stand-in.reference": "gitlab/gitlab-runner:v17",
        }
    finally:
        run("docker", "image", "rm", image)


def test_more_stand_ins_come_when_asked_for_and_others_are_named(sandbox: Sandbox) -> None:
    said: list[str] = []
    state = start(sandbox.root, "alpine:3.20", "node:22", "registry.example.com/app:1", say=said.append).state
    assert state.pid == sandbox.state.pid
    assert [line for line in said if "registry.example.com/app:1" in line]
    image = f"{state.registry}/library/node:22"
    assert run("docker", "manifest", "inspect", "--insecure", image).returncode == 0
    assert start(sandbox.root, "node:22", say=pytest.fail).state == state


def test_a_secret_has_a_stand_in_once_whatever_becomes_of_it(sandbox: Sandbox) -> None:
    said: list[str] = []
    wanted = {"ci/kubeconfig": "kubeconfig", "ci/token": "text"}
    for _ in range(2):
        again = start(sandbox.root, secrets=wanted, say=said.append)
    assert [line.split(":")[1] for line in said] == [
        " the secret ci/kubeconfig is a stand-in",
        " the secret ci/token is a stand-in",
    ]
    secrets = again.client("secretsmanager")
    secrets.put_secret_value(SecretId="ci/token", SecretString="mine")
    secrets.delete_secret(SecretId="ci/kubeconfig", ForceDeleteWithoutRecovery=True)
    start(sandbox.root, secrets={**wanted, "ci/more": "text"}, say=said.append)
    assert secrets.get_secret_value(SecretId="ci/token")["SecretString"] == "mine"
    assert {secret["Name"] for secret in secrets.list_secrets()["SecretList"]} == {"ci/token", "ci/more"}


def test_it_listens_on_loopback_and_its_own_network_only(sandbox: Sandbox) -> None:
    listening = run("ss", "-tlnpH").stdout.splitlines()
    ours = [line.split()[3].rsplit(":", 1)[0] for line in listening if f"pid={sandbox.state.pid}," in line]
    gateway = sandbox.state.instance_endpoint.removeprefix("http://").split(":")[0]
    assert set(ours) == {"127.0.0.1", gateway}


def test_two_sandboxes_do_not_meet(sandbox: Sandbox, shared_instance: Instance, tmp_path: Path) -> None:
    other = start(tmp_path / "other")
    try:
        named = {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "the neighbour"}]}
        neighbour = other.launch(TagSpecifications=[named])
        token = "curl -sfX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
        own_id = f'curl -sf -H "X-aws-ec2-metadata-token: $({token})" http://169.254.169.254/latest/meta-data/instance-id'
        assert neighbour.ssh(own_id) == neighbour.id
        assert shared_instance.ssh(own_id) == shared_instance.id
        assert not neighbour.ssh(f"curl -s -m 2 telnet://{shared_instance.address}:22 || true")
        (machine,) = status(other.root).instances
        assert (machine.instance_id, machine.name) == (neighbour.id, "the neighbour")
    finally:
        down(other.root)
    assert not docker_objects(other.state.id)
    assert shared_instance.ssh("echo alive").strip() == "alive"


def test_two_commands_at_once_start_one_sandbox_and_down_leaves_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        ended, same = pool.map(start, [tmp_path / "ended"] * 2)
    assert ended.state == same.state
    ended.launch()
    down(ended.root)
    assert not docker_objects(ended.state.id)
    assert run("ps", "--pid", str(ended.state.pid), "--no-headers").stdout == ""
    assert f"amif-{ended.state.id}" not in run("ip", "link").stdout
    assert ended.state.id not in run("iptables-save").stdout
    assert {file.name for file in (ended.root / ".amifactory/sandbox").iterdir()} <= {"lock", "server.log"}
    assert not status(ended.root).running
    down(ended.root)


def test_a_killed_sandbox_is_cleared_away_and_sigterm_ends_the_next_one(tmp_path: Path) -> None:
    killed = start(tmp_path / "killed")
    killed.launch()
    run("kill", "-9", str(killed.state.pid))
    wait_for(lambda: not status(killed.root).running, "the sandbox counts as not running")
    try:
        again = start(killed.root)
        assert again.state.pid != killed.state.pid
        assert not status(again.root).instances
        again.launch()
        run("kill", str(again.state.pid))
        wait_for(lambda: not docker_objects(again.state.id), "everything is removed")
    finally:
        down(killed.root)
