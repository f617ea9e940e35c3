"""`run_packer` with the real Packer: its ``null`` builder here, its ``amazon-ebs`` builder on moto."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amifactory.domain.cancellation import Cancellation, CancelledError
from amifactory.packer.context import assemble, context_files
from amifactory.packer.environment import packer_environment
from amifactory.packer.machine_readable import Event, LeftOut, Ui
from amifactory.packer.run import PackerError, PackerResult, run_packer
from amifactory.packer.steps import Step
from amifactory.packer.version import Packer, PackerVersion, find_packer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKER_CAME_TO_ITS_END = "==> Wait completed after"
NULL = 'source "null" "worker" { communicator = "none" }'


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return dict(packer_environment(os.environ, aws={}))


@pytest.fixture(scope="module")
def packer(environment: dict[str, str]) -> Packer:
    return find_packer(environment)


def write_template(folder: Path, source: str, *commands: str) -> Path:
    """Writes an image of one Packer source whose provisioners run on this machine."""
    provisioners = "\n".join(
        f'provisioner "shell-local" {{ inline = [<<EOT\n{command}\nEOT\n] }}' for command in commands
    )
    kind = source.split('"')[1]
    folder.mkdir()
    (folder / "build.pkr.hcl").write_text(
        f'{source}\nbuild {{\nsources = ["source.{kind}.worker"]\n{provisioners}\n}}\n'
    )
    return folder


class Build:
    """One run of the real Packer on a template."""

    def __init__(self, packer: Packer, environment: dict[str, str], folder: Path, template: Path) -> None:
        self.packer, self.environment, self.folder, self.template = packer, environment, folder, template
        self.cancellation = Cancellation()
        self.events: list[Event] = []
        self.on_event: Callable[[Event], object] = self.events.append
        self.log = folder / "build.log"

    def run(self, *, timeout: float = 30, grace: float = 10, makes_ami: bool = False) -> PackerResult:
        return run_packer(
            self.packer.binary,
            self.template,
            raw_log=self.folder / "packer.raw",
            log=self.log,
            environment=self.environment,
            timeout=timeout,
            on_event=self.on_event,
            cancellation=self.cancellation,
            clock=time.monotonic,
            grace=grace,
            makes_ami=makes_ami,
        )

    def once(self, text: str, action: Callable[[], object]) -> None:
        """Does something when Packer first says so."""

        def watch(event: Event) -> None:
            self.events.append(event)
            if isinstance(event, Ui) and event.text == text:
                action()

        self.on_event = watch


@pytest.fixture
def null_build(packer: Packer, environment: dict[str, str], tmp_path: Path) -> Callable[..., Build]:
    return lambda *commands: Build(
        packer, environment, tmp_path, write_template(tmp_path / "context", NULL, *commands)
    )


def processes_with(text: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = file.read_bytes()
        except OSError:
            continue
        if text.encode() in arguments:
            found.append(file.parent.name)
    return found


def test_success(null_build: Callable[..., Build]) -> None:
    build = null_build("echo hello, world", "echo amifactory:left-out:pnpm: offline, no mirror")
    result = build.run()
    assert result.left_out == (LeftOut(tool="pnpm", why="offline, no mirror"),)
    assert result.artifacts == ()
    assert [event for event in build.events if isinstance(event, Step)] == [
        Step(name="provisioning with inline script")
    ] * 2
    assert "hello, world" in build.log.read_text()


def test_no_ami_is_a_failure_where_one_is_wanted(null_build: Callable[..., Build]) -> None:
    with pytest.raises(PackerError, match="made no AMI"):
        null_build("true").run(makes_ami=True)


def test_a_failing_provisioner(null_build: Callable[..., Build]) -> None:
    with pytest.raises(PackerError) as caught:
        null_build("echo fine", "echo E: no such package >&2; exit 100", "echo never").run()
    assert caught.value.message.splitlines()[0] == (
        "Packer failed while provisioning with inline script: Script exited with non-zero exit status: 100."
    )
    assert caught.value.output[-1] == "E: no such package"


def test_a_broken_template(null_build: Callable[..., Build]) -> None:
    build = null_build("true")
    (build.template / "more.pkr.hcl").write_text("bad {")
    with pytest.raises(PackerError, match=r"(?s)Argument or block definition required.*more.pkr.hcl line 1"):
        build.run()


def test_a_provisioner_that_hangs_ends_with_the_timeout(
    null_build: Callable[..., Build], tmp_path: Path
) -> None:
    build = null_build("echo hanging; exec sleep 30")
    started = time.monotonic()
    with pytest.raises(PackerError, match=r"had not finished within 0.5 seconds") as caught:
        build.run(timeout=0.5)
    assert time.monotonic() - started < 3
    assert caught.value.output[-1] == "hanging"
    assert PACKER_CAME_TO_ITS_END in build.log.read_text()
    assert not processes_with(str(tmp_path))


def test_the_first_cancellation_lets_packer_clean_up(null_build: Callable[..., Build]) -> None:
    build = null_build("echo running; exec sleep 30")
    build.once("running", build.cancellation.request)
    started = time.monotonic()
    with pytest.raises(CancelledError) as caught:
        build.run()
    assert time.monotonic() - started < 5
    assert caught.value.hint is None
    assert PACKER_CAME_TO_ITS_END in build.log.read_text()


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.1, 0.15])
def test_a_cancellation_while_packer_starts_is_not_lost(
    null_build: Callable[..., Build], seconds: float
) -> None:
    build = null_build("exec sleep 30")
    threading.Timer(seconds, build.cancellation.request).start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        build.run()
    assert time.monotonic() - started < 5


def test_the_second_cancellation_kills_packer_and_all_it_started(
    null_build: Callable[..., Build], tmp_path: Path
) -> None:
    build = null_build(f"echo $$ > {tmp_path}/pid; trap '' INT; echo running; while :; do sleep 0.1; done")

    def twice() -> None:
        build.cancellation.request()
        threading.Timer(0.3, build.cancellation.request).start()

    build.once("running", twice)
    with pytest.raises(CancelledError):
        build.run()
    process = Path("/proc") / (tmp_path / "pid").read_text().strip()
    wait_until(lambda: not process.exists())


KILLED = """
import os, sys, time
from pathlib import Path
from amifactory.domain.cancellation import Cancellation
from amifactory.packer.run import run_packer

folder = Path(sys.argv[2])
run_packer(
    Path(sys.argv[1]), folder / "context", raw_log=folder / "packer.raw", log=folder / "build.log",
    environment=dict(os.environ), timeout=60, on_event=lambda event: None,
    cancellation=Cancellation(), clock=time.monotonic, makes_ami=False,
)
"""


def test_packer_finishes_its_work_when_amifactory_is_killed(packer: Packer, tmp_path: Path) -> None:
    write_template(
        tmp_path / "context",
        NULL,
        f"touch {tmp_path}/running; until test -e {tmp_path}/go; do sleep 0.05; done; seq 20000",
        f"touch {tmp_path}/done",
    )
    program = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), packer.binary, tmp_path])
    wait_for(tmp_path / "running")
    program.kill()
    program.wait()
    (tmp_path / "go").touch()
    wait_for(tmp_path / "done")
    wait_until(lambda: "Builds finished." in (tmp_path / "packer.raw").read_text())


def wait_for(file: Path) -> None:
    wait_until(file.exists)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_assembled_context_is_an_ordinary_packer_directory(
    packer: Packer, environment: dict[str, str], tmp_path: Path
) -> None:
    image = write_template(tmp_path / "image", NULL, "sh ${path.root}/shared/greet.sh ${var.name}")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "variables.pkr.hcl").write_text('variable "name" { type = string }')
    (shared / "plugins.pkr.hcl").write_text("packer { required_plugins { } }")
    (shared / "greet.sh").write_text("echo hello $1")
    context = tmp_path / "context"
    assemble(context_files(image, shared, tmp_path / "none"), context, {"name": "node"}, {}, packer.version)
    build = subprocess.run(
        [packer.binary, "build", "."],
        cwd=context,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hello node" in build.stdout
    assert build.returncode == 0


AMAZON_EBS = """
source "amazon-ebs" "worker" {{
  region                      = "us-east-1"
  custom_endpoint_ec2         = "{endpoint}"
  skip_region_validation      = true
  skip_metadata_api_check     = true
  skip_credential_validation  = true
  instance_type               = "t3.micro"
  communicator                = "none"
  source_ami                  = "{source_ami}"
  ami_name                    = "worker-{{{{timestamp}}}}-{{{{uuid}}}}"
  aws_polling {{
    delay_seconds = 1
    max_attempts  = 30
  }}
}}
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def ami_build(
    packer: Packer, environment: dict[str, str], endpoint: str, tmp_path: Path
) -> Callable[..., Build]:
    aws = {**environment, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}

    def make(*commands: str, source_ami: str = "ami-03cf127a") -> Build:
        source = AMAZON_EBS.format(endpoint=endpoint, source_ami=source_ami)
        return Build(packer, aws, tmp_path, write_template(tmp_path / "context", source, *commands))

    return make


def test_amazon_ebs_yields_its_ami_and_steps(ami_build: Callable[..., Build]) -> None:
    build = ami_build("echo hello")
    result = build.run(makes_ami=True)
    assert result.ami_id.startswith("ami-")
    assert result.artifacts[0].region == "us-east-1"
    steps = list(dict.fromkeys(event.name for event in build.events if isinstance(event, Step)))
    assert steps == [
        "checking settings",
        "creating key pair",
        "creating security group",
        "launching instance",
        "waiting for instance",
        "provisioning with inline script",
        "stopping instance",
        "creating AMI",
        "waiting for AMI",
        "cleaning up",
    ]


def test_amazon_ebs_failure_names_the_step_before_the_clean_up(ami_build: Callable[..., Build]) -> None:
    with pytest.raises(PackerError) as caught:
        ami_build("echo about to fail; exit 3").run(makes_ami=True)
    assert caught.value.step == "provisioning with inline script"
    assert caught.value.output[-1] == "about to fail"


def test_amazon_ebs_without_its_source_ami(ami_build: Callable[..., Build]) -> None:
    with pytest.raises(PackerError, match=r"while checking settings: .*InvalidAMIID\.NotFound"):
        ami_build("true", source_ami="ami-00000000").run(makes_ami=True)


def test_a_cancelled_amazon_ebs_build_leaves_no_instance(ami_build: Callable[..., Build]) -> None:
    build = ami_build("echo running; exec sleep 30")
    build.once("running", build.cancellation.request)
    with pytest.raises(CancelledError):
        build.run(makes_ami=True)
    assert "Terminating the source AWS instance..." in build.log.read_text()


def test_the_installed_packer_is_one_of_those_supported(packer: Packer) -> None:
    assert packer.version >= PackerVersion(major=1, minor=6)
