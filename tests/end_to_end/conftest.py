"""Factories made of files, and the one sandbox that all of them share."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
import urllib.request
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Cli

TESTS = Path(__file__).parents[1]
FACTORIES = TESTS / "factories"
SHARED = TESTS.parent / "images" / "_shared"
PATIENCE = 60.0
ALIVE = ["pending", "running", "stopping", "stopped"]
HOOKS = TESTS.parent / "hooks" / "instance"
ON_SOURCE_AMI = (FACTORIES / "single/images/base/build.pkr.hcl").read_text()
ON_PARENT = (FACTORIES / "family/images/left/build.pkr.hcl").read_text()


class Sandbox:
    """The running sandbox, seen from outside: its AWS, what it was asked, what shall fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state: dict[str, Any] = json.loads((folder / "state.json").read_text())

    @cached_property
    def ec2(self) -> Any:
        return self._client("ec2")

    @cached_property
    def s3(self) -> Any:
        return self._client("s3")

    @cached_property
    def scaling(self) -> Any:
        return self._client("autoscaling")

    @cached_property
    def secrets(self) -> Any:
        return self._client("secretsmanager")

    @cached_property
    def ssm(self) -> Any:
        return self._client("ssm")

    @staticmethod
    def wait_for(true: Callable[[], object]) -> None:
        """Waits until something is true."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, f"it did not come to be within {PATIENCE} s"
            time.sleep(0.1)

    def tags(self, ami_id: str) -> dict[str, str]:
        """Returns an AMI's tags, their common prefix left out."""
        image = self.ec2.describe_images(ImageIds=[ami_id])["Images"][0]
        return {tag["Key"].removeprefix("amifactory:"): tag["Value"] for tag in image.get("Tags", [])}

    def builds(self, factory: str, image: str) -> list[str]:
        """Returns the AMIs made of an image, whatever their tags say."""
        names = [f"amifactory/{factory}/{image}/*"]
        found = self.ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": names}])
        return [image["ImageId"] for image in found["Images"]]

    def set_tag(self, ami_id: str, name: str, value: str) -> None:
        self.ec2.create_tags(Resources=[ami_id], Tags=[{"Key": f"amifactory:{name}", "Value": value}])

    def forget_calls(self) -> None:
        self._ask("DELETE", "calls")

    def calls(self) -> list[str]:
        """Returns the calls since they were forgotten, as ``ec2:DescribeImages``, sorted."""
        return sorted(f"{call['service']}:{call['operation']}" for call in self._ask("GET", "calls"))

    def changing_calls(self) -> list[str]:
        """Returns those of the calls that changed something, or tried to."""
        return sorted(
            f"{call['service']}:{call['operation']}" for call in self._ask("GET", "calls") if call["changes"]
        )

    def hold(self, operation: str, *, after: bool, nth: int = 1) -> None:
        """Holds the nth call of an operation from now on, before or after it is done."""
        effect = "hold-after" if after else "hold-before"
        self._ask("POST", "failures", {"operation": operation, "effect": effect, "nth": nth})

    def wait_until_held(self) -> None:
        """Waits until a call is held."""
        self.wait_for(lambda: self._ask("GET", "held"))

    def wait_until_none_is_held(self) -> None:
        """Waits until the clients of all calls that were held are gone."""
        self.wait_for(lambda: not self._ask("GET", "held"))

    def fail(self, operation: str, code: str, message: str = "so the test says", **more: Any) -> None:
        """Makes the next call of an operation fail."""
        self._ask("POST", "failures", {"operation": operation, "code": code, "message": message, **more})

    def forget_failures(self) -> None:
        self._ask("DELETE", "failures")

    def workers(self, group: str) -> dict[str, str]:
        """Returns a group's workers, by id, with the AMI that each was launched from."""
        ids = list(self.lifecycle_states(group))
        if not ids:
            return {}
        reservations = self.ec2.describe_instances(InstanceIds=ids)["Reservations"]
        instances = [instance for entry in reservations for instance in entry["Instances"]]
        return {instance["InstanceId"]: instance["ImageId"] for instance in instances}

    def lifecycle_states(self, group: str) -> dict[str, str]:
        """Returns the lifecycle states of a group's workers, by id."""
        members = self._group(group)["Instances"]
        return {member["InstanceId"]: member["LifecycleState"] for member in members}

    def in_service(self, group: str) -> bool:
        """Returns whether a group has the workers that it wants, all of them in service."""
        states = list(self.lifecycle_states(group).values())
        return states == ["InService"] * int(self._group(group)["DesiredCapacity"])

    def starts(self, group: str) -> tuple[str, str]:
        """Returns the AMI that a group starts, and the version of its launch template that says so."""
        template = self._group(group)["LaunchTemplate"]
        found = self.ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
        )
        return found["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"], template["Version"]

    def shell(self, instance_id: str, command: str) -> str:
        """Returns what a command prints, run as root in an instance."""
        container = f"amifactory-{self.state['id']}-{instance_id}"
        asked = ["docker", "exec", container, "sh", "-c", command]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()

    def containers(self) -> set[str]:
        """Returns the ids of the instances that Docker runs."""
        label = f"label=amifactory.sandbox={self.state['id']}"
        names = ["docker", "ps", "--filter", label, "--format", "{{.Names}}"]
        listed = subprocess.run(names, capture_output=True, text=True, check=True).stdout.split()
        return {"i-" + name.rpartition("-i-")[2] for name in listed if "-i-" in name}

    def end_groups(self) -> None:
        """Ends worker groups with all that belongs to them, so that a factory's fleets begin anew."""
        for group in self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
            name = group["AutoScalingGroupName"]
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        self.wait_for(lambda: not self.scaling.describe_auto_scaling_groups()["AutoScalingGroups"])
        for template in self.ec2.describe_launch_templates()["LaunchTemplates"]:
            self.ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])
        for parameter in self.ssm.get_parameters_by_path(Path="/amifactory", Recursive=True)["Parameters"]:
            self.ssm.delete_parameter(Name=parameter["Name"])
        bucket = self.state["state_bucket"]
        for kept in ("channels/", "releases/"):
            for found in self.s3.list_objects_v2(Bucket=bucket, Prefix=kept).get("Contents", []):
                self.s3.delete_object(Bucket=bucket, Key=found["Key"])

    def sweep(self) -> list[str]:
        """Removes what builds and verifications left running, and says what that was."""
        filters = [{"Name": "instance-state-name", "Values": ALIVE}]
        found = self.ec2.describe_instances(Filters=filters)["Reservations"]
        instances = [instance["InstanceId"] for entry in found for instance in entry["Instances"]]
        if instances:
            self.ec2.terminate_instances(InstanceIds=instances)
            self.ec2.get_waiter("instance_terminated").wait(
                InstanceIds=instances, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
            )
        keys = [key["KeyName"] for key in self.ec2.describe_key_pairs()["KeyPairs"]]
        for key in keys:
            self.ec2.delete_key_pair(KeyName=key)
        groups = {
            group["GroupId"]: group["GroupName"]
            for group in self.ec2.describe_security_groups()["SecurityGroups"]
            if group["GroupName"] != "default"
        }
        for group in groups:
            self.ec2.delete_security_group(GroupId=group)
        return [*instances, *keys, *groups.values()]

    def ask_registry(
        self, method: str, path: str, *, body: bytes | None = None, **headers: str
    ) -> tuple[dict[str, str], bytes]:
        """Returns headers and body of what the container registry answers."""
        connection = http.client.HTTPConnection(self.state["registry"], timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read()
            assert response.status < 300, text
            return dict(response.headers), text
        finally:
            connection.close()

    def _group(self, name: str) -> Any:
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return found["AutoScalingGroups"][0]

    def _client(self, service: Any) -> Any:
        return boto3.client(
            service,
            region_name=self.state["region"],
            endpoint_url=self.state["endpoint"],
            aws_access_key_id=self.state["access_key_id"],
            aws_secret_access_key=self.state["secret_access_key"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def _ask(self, method: str, what: str, document: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the sandbox's own address
            f"{self.state['endpoint']}/amifactory/{what}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


@dataclass(frozen=True)
class Factory:
    """A factory's files in a folder of the test's own."""

    cli: Cli

    @property
    def root(self) -> Path:
        return self.cli.root

    @property
    def run(self) -> Callable[..., Any]:
        return self.cli.run

    @property
    def start(self) -> Callable[..., Any]:
        return self.cli.start

    def image(self, name: str) -> Path:
        """Returns an image's folder."""
        return self.root / "images" / name

    def add(
        self,
        name: str,
        *,
        parent: str | None = "base",
        provision: str = "true",
        spec: str = "pass",
        settings: str = "",
        hooks: bool = False,
    ) -> Path:
        """Writes an image of one script and one spec.

        Args:
            hooks: Install the hooks again, as an image with secrets of its own has to.
            provision: Shell commands, run as root.
            spec: Body of the one test.
            settings: More of ``image.hcl``.
        """
        folder = self.image(name)
        for part in ("provision", "spec"):
            (folder / part).mkdir(parents=True)
        on = f'parent = "{parent}"\n' if parent else ""
        (folder / "image.hcl").write_text(f'description = "{name}"\n{on}{settings}\n')
        (folder / "build.pkr.hcl").write_text(ON_PARENT if parent and not hooks else ON_SOURCE_AMI)
        script = folder / "provision/install.sh"
        script.write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{provision}\n")
        script.chmod(0o755)
        (folder / "spec" / f"test_{name}.py").write_text(f"def test_it(host):\n    {spec}\n")
        return folder

    def with_build(self, settings: str) -> Factory:
        """Returns a copy beside this one: the same builds, other ``build`` settings, no images added."""
        root = self.root.with_name(f"{self.root.name}-{len(list(self.root.parent.iterdir()))}")
        shutil.copytree(self.root, root, symlinks=True, ignore=shutil.ignore_patterns("runs", "reports"))
        with (root / "factory.hcl").open("a") as file:
            file.write(f"build {{\n{settings}\n}}\n")
        return Factory(replace(self.cli, root=root))


def copy_factory(kind: str, root: Path, *, name: str | None = None) -> None:
    """Copies one of ``tests/factories`` and gives it what the project's own images share, but no spec."""
    shutil.copytree(FACTORIES / kind, root)
    shutil.copytree(SHARED, root / "images/_shared", ignore=shutil.ignore_patterns("spec"))
    shutil.copytree(HOOKS, root / "hooks/instance")
    if name:
        file = root / "factory.hcl"
        file.write_text(file.read_text().replace(f'factory "{kind}"', f'factory "{name}"'))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[..., Cli]) -> Iterator[Sandbox]:
    """Starts a sandbox, and sees to it that nothing is left of it."""
    root = tmp_path_factory.mktemp("sandbox") / "factory"
    copy_factory("single", root)
    cli = make_cli(root=root)
    cli.run("sandbox", "up").expect(0)
    sandbox = Sandbox(root / ".amifactory" / "sandbox")
    try:
        yield sandbox
    finally:
        cli.run("sandbox", "down").expect(0)
    assert docker_objects(sandbox.state["id"]) == []


def docker_objects(sandbox_id: str) -> list[str]:
    """Returns the ids of what Docker has of a sandbox."""
    label = f"label=amifactory.sandbox={sandbox_id}"
    found: list[str] = []
    for kind in (["container", "ls", "--all"], ["network", "ls"], ["volume", "ls"], ["image", "ls"]):
        listed = subprocess.run(
            ["docker", *kind, "--quiet", "--filter", label], capture_output=True, text=True, check=True
        )
        found += listed.stdout.split()
    return found


@pytest.fixture(scope="session")
def make_factory(
    sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[..., Cli]
) -> Callable[..., Factory]:
    """Makes factories of a name of their own, all in the one sandbox: starting one takes seconds."""

    def make(kind: str, *, name: str | None = None) -> Factory:
        root = tmp_path_factory.mktemp(name or kind) / "factory"
        copy_factory(kind, root, name=name)
        (root / ".amifactory").mkdir()
        (root / ".amifactory/sandbox").symlink_to(sandbox.folder)
        return Factory(make_cli(root=root))

    return make


@pytest.fixture
def files(tmp_path: Path, make_cli: Callable[..., Cli]) -> Factory:
    """Returns a factory without a sandbox, for what needs none."""
    root = tmp_path / "factory"
    copy_factory("family", root)
    return Factory(make_cli(root=root, sandbox=False))


@pytest.fixture(scope="session")
def workbench(make_factory: Callable[..., Factory]) -> tuple[Factory, str]:
    """Returns a factory whose image ``base`` is built, and that build's AMI."""
    factory = make_factory("single", name="workbench")
    built = factory.run("build", "--json").expect(0).builds["base"]
    return factory, built["ami_id"]


@pytest.fixture
def factory(workbench: tuple[Factory, str], sandbox: Sandbox) -> Iterator[Factory]:
    """Returns the workbench for tests to add images to; whatever they do, nothing must be lost or left."""
    bench, base = workbench
    yield bench
    for folder in (bench.root / "images").iterdir():
        if folder.name not in {"_shared", "base"}:
            shutil.rmtree(folder)
    assert sandbox.tags(base)["verdict"] == "verified"


@pytest.fixture(scope="session")
def worker_bench(make_factory: Callable[..., Factory]) -> Factory:
    """Returns a factory whose image ``worker`` is built: with Docker, the AWS CLI and a pre-pulled image."""
    factory = make_factory("worker")
    factory.run("build").expect(0)
    return factory


@pytest.fixture
def worker(worker_bench: Factory) -> Iterator[Factory]:
    """Returns it for tests to add images to."""
    yield worker_bench
    for folder in (worker_bench.root / "images").iterdir():
        if folder.name not in {"_shared", "worker"}:
            shutil.rmtree(folder)


@pytest.fixture
def base(workbench: tuple[Factory, str]) -> str:
    """Returns the AMI of the workbench's image ``base``."""
    return workbench[1]


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Sees to it that each test leaves the account as it was: no instance, key pair or security group."""
    yield
    if "sandbox" in request.fixturenames:
        sandbox = request.getfixturevalue("sandbox")
        sandbox.forget_failures()
        assert sandbox.sweep() == []


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Makes a PATH of these programs only; one given as text is a shell script."""

    def make(*names: str, **scripts: str) -> str:
        folder = tmp_path_factory.mktemp("bin")
        for name in names:
            (folder / name).symlink_to(str(shutil.which(name)))
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        return os.fspath(folder)

    return make
