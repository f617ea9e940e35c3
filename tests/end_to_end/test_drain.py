"""An image that asks for draining: real instances, real signals, the real ``aws`` program.

The gitlab-runner is a stand-in, as there is no GitLab here: it has the signals and the command that matter.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.conftest import Factory, Sandbox

PATIENCE = 60.0
DRAIN = """
drain {
  on         = ["rebalance", "termination"]
  timeout    = "10m"
  unregister = true
}
"""
FLEET = """
channel "staging" {}

fleet "drainer" {
  image   = "drainer"
  group   = "ci-drainer"
  channel = "staging"
  rollout = "refresh"

  sandbox {
    termination_hook = "drain"
  }
}
"""
GITLAB_RUNNER = """#!/usr/bin/python3
import pathlib, signal, sys, time

if sys.argv[1] == "unregister":
    assert sys.argv[2:4] == ["--all-runners", "--config"], sys.argv
    pathlib.Path(sys.argv[4]).write_text("concurrent = 1\\n")
    sys.exit()
asked = []
for number in (signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, lambda number, _: asked.append(signal.Signals(number).name))
while not asked or pathlib.Path("/run/job").exists():
    time.sleep(0.1)
pathlib.Path("/run/ended").write_text(" ".join(asked))
"""
UNIT = """[Service]
ExecStart=/usr/local/bin/gitlab-runner run
Restart=always
RestartSec=1
"""
INSTALL = f"""
apt-get update --quiet --quiet
apt-get install --yes --quiet --quiet --no-install-recommends awscli >/dev/null
cat >/usr/local/bin/gitlab-runner <<'PROGRAM'
{GITLAB_RUNNER}PROGRAM
chmod 0755 /usr/local/bin/gitlab-runner
cat >/etc/systemd/system/gitlab-runner.service <<'UNIT'
{UNIT}UNIT
mkdir /etc/gitlab-runner
echo '[[runners]]' >/etc/gitlab-runner/config.toml
"""


@pytest.fixture(scope="module")
def drainer(workbench: tuple[Factory, str]) -> tuple[Factory, str]:
    """Returns a factory, and the AMI of an image that drains."""
    factory, _ = workbench
    folder = factory.add("drainer", provision=INSTALL, settings=DRAIN, hooks=True)
    build = factory.run("build", "drainer", "--json").expect(0).builds["drainer"]
    shutil.rmtree(folder)
    return factory, build["ami_id"]


@pytest.fixture
def fleet(
    drainer: tuple[Factory, str], make_factory: Callable[..., Factory], sandbox: Sandbox
) -> Iterator[Factory]:
    """Returns a factory with a fleet of the image, in a group that has no worker yet."""
    factory = make_factory("single", name="workbench")
    factory.add("drainer", provision=INSTALL, settings=DRAIN, hooks=True)
    with (factory.root / "factory.hcl").open("a") as file:
        file.write(FLEET)
    yield factory
    sandbox.end_groups()


class Worker:
    """An instance of the AMI."""

    def __init__(self, factory: Factory, sandbox: Sandbox, instance_id: str, key: Path) -> None:
        self.instance_id = instance_id
        self._factory, self._sandbox = factory, sandbox
        self._ssh = ["ssh", "-F", "none", "-i", str(key), "-o", "UserKnownHostsFile=/dev/null"]
        self._ssh += ["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]

    def shell(self, command: str) -> str:
        """Returns what a command prints, run as root and not over SSH."""
        container = f"amifactory-{self._sandbox.state['id']}-{self.instance_id}"
        asked = ["docker", "exec", container, "sh", "-c", command]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()

    def notify(self, *arguments: str) -> Any:
        return self._factory.run("sandbox", "notify", self.instance_id, *arguments).expect(0).json

    def connect(self, *command: str) -> subprocess.Popen[str]:
        """Starts a command over a connection of its own, as a runner manager does."""
        address = f"admin@{self._described()['PrivateIpAddress']}"
        return subprocess.Popen(
            [*self._ssh, address, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def state(self) -> str:
        return str(self._described()["State"]["Name"])

    def journal(self) -> str:
        return self.shell("journalctl --output cat --unit amifactory-drain")

    def _described(self) -> Any:
        found = self._sandbox.ec2.describe_instances(InstanceIds=[self.instance_id])
        return found["Reservations"][0]["Instances"][0]


@pytest.fixture
def worker(drainer: tuple[Factory, str], sandbox: Sandbox, tmp_path: Path) -> Iterator[Worker]:
    """Runs an instance whose drain service is up."""
    factory, ami_id = drainer
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    ec2, public = sandbox.ec2, key.with_suffix(".pub").read_bytes()
    ec2.import_key_pair(KeyName="manager", PublicKeyMaterial=public)
    started = ec2.run_instances(
        ImageId=ami_id,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        KeyName="manager",
        IamInstanceProfile={"Name": sandbox.state["instance_profile"]},
    )
    worker = Worker(factory, sandbox, started["Instances"][0]["InstanceId"], key)
    try:
        wait_for(lambda: worker.state() == "running")
        wait_for(lambda: worker.shell("systemctl is-active amifactory-drain") == "active")
        yield worker
    finally:
        sandbox.sweep()


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.5)


def test_a_worker_that_registered_itself(worker: Worker, sandbox: Sandbox) -> None:
    """It drains at a recommendation, stays down, and lets the group go on when it is terminated."""
    assert json.loads(worker.shell("cat /etc/amifactory/drain.json")) == {
        "on": ["rebalance", "termination"],
        "timeout": 600,
        "lifecycle_hook": None,
        "unregister": True,
    }
    worker.shell("touch /run/job && systemctl start gitlab-runner")
    worker.notify("rebalance")
    wait_for(lambda: "ends its jobs" in worker.journal())
    assert worker.shell("systemctl is-active gitlab-runner") == "active"
    assert "draining" in worker.shell("amifactory-ready --timeout 1 2>&1")
    worker.shell("rm /run/job")
    wait_for(lambda: "gitlab-runner unregister: done" in worker.journal())
    assert worker.shell("systemctl is-active gitlab-runner") == "inactive"
    assert worker.shell("cat /run/ended") == "SIGQUIT"
    assert worker.shell("cat /etc/gitlab-runner/config.toml") == "concurrent = 1"
    assert worker.state() == "running"
    sandbox.forget_calls()
    worker.notify("termination", "--hook", "drain", "--group", "workers")
    wait_for(lambda: worker.state() == "terminated")
    assert "autoscaling:CompleteLifecycleAction" in sandbox.calls()


def test_a_worker_that_a_manager_comes_to(worker: Worker, sandbox: Sandbox) -> None:
    """A connection that exists goes on, a new one is refused; the group is asked to wait, then to go on."""
    with worker.connect("read line; echo $line") as job:
        wait_for(lambda: worker.shell("pgrep --count --uid admin sshd") == "1")
        sandbox.forget_calls()
        sandbox.fail("DescribeAutoScalingInstances", "ServiceUnavailable", status=503, service="autoscaling")
        worker.notify("termination", "--hook", "drain", "--group", "workers", "--heartbeat-timeout", "30")
        wait_for(lambda: "autoscaling:RecordLifecycleActionHeartbeat" in sandbox.calls())
        with worker.connect("true") as refused:
            assert refused.wait(PATIENCE) == 255
        assert worker.state() == "running"
        assert job.communicate("the job ends by itself\n", timeout=PATIENCE)[0] == "the job ends by itself\n"
    wait_for(lambda: worker.state() == "terminated")
    assert "autoscaling:CompleteLifecycleAction" in sandbox.calls()


def test_a_rollback_waits_for_the_job_of_a_worker(
    drainer: tuple[Factory, str], fleet: Factory, sandbox: Sandbox
) -> None:
    """The group's own termination hook holds a worker until the worker says that it has drained."""
    fleet.run("promote", "--channel", "staging", "--yes").expect(0)
    sandbox.scaling.set_desired_capacity(AutoScalingGroupName="ci-drainer", DesiredCapacity=1)
    wait_for(lambda: sandbox.in_service("ci-drainer"))
    ((worker, ami_id),) = sandbox.workers("ci-drainer").items()
    assert ami_id == drainer[1]
    wait_for(lambda: sandbox.shell(worker, "systemctl is-active amifactory-drain") == "active")
    sandbox.shell(worker, "touch /run/job && systemctl start gitlab-runner")

    sandbox.forget_calls()
    journal = "journalctl --output cat --unit amifactory-drain"
    with fleet.start("rollback", "--channel", "staging", "--yes") as running:
        wait_for(lambda: "ends its jobs" in sandbox.shell(worker, journal))
        assert sandbox.lifecycle_states("ci-drainer")[worker] == "Terminating:Wait"
        assert "autoscaling:CompleteLifecycleAction" not in sandbox.calls()
        sandbox.shell(worker, "rm /run/job")
        running.end().expect(0)
    assert "autoscaling:CompleteLifecycleAction" in sandbox.calls()
    assert worker not in sandbox.containers()
    assert set(sandbox.workers("ci-drainer").values()) == {sandbox.state["source_ami_id"]}
