"""`run_packer` against a script that answers as Packer does; the real one is in tests/sandbox."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amifactory.domain.cancellation import Cancellation, CancelledError
from amifactory.errors import AmifactoryError, MissingToolError
from amifactory.packer.machine_readable import Event, LeftOut, Ui
from amifactory.packer.run import PackerError, PackerResult, run_packer
from amifactory.packer.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = "echo '1,,ui,say,==> amazon-ebs.worker: Provisioning with shell script: provision/install-node.sh'\n"
ARTIFACT = "echo '1,amazon-ebs.worker,artifact,0,id,eu-central-1:ami-0abc'\n"


class Run:
    """One run of a fake Packer whose body is shell."""

    def __init__(self, folder: Path, body: str) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.on_event: Callable[[Event], object] = self.events.append
        self.cancellation = Cancellation()
        self.log = folder / "build.log"
        self.raw_log = folder / "packer.raw"
        self.binary = folder / "packer"
        self.binary.write_text(f"#!/bin/sh\n{body}")
        self.binary.chmod(0o755)

    def __call__(self, *, timeout: float = 20, makes_ami: bool = True) -> PackerResult:
        return run_packer(
            self.binary,
            self.folder,
            raw_log=self.raw_log,
            log=self.log,
            environment={"PATH": "/usr/bin:/bin", "GREETING": "hello"},
            timeout=timeout,
            on_event=self.on_event,
            cancellation=self.cancellation,
            clock=time.monotonic,
            grace=0.1,
            makes_ami=makes_ami,
        )


def cancel_once(cancellation: Cancellation) -> Callable[[Event], object]:
    return lambda _: cancellation.level or cancellation.request()


def is_running(pid_file: Path) -> bool:
    process = Path("/proc") / pid_file.read_text().strip() / "stat"
    try:
        return process.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_build_yields_its_ami_and_both_logs(tmp_path: Path) -> None:
    left_out = "echo '1,,ui,message,    amazon-ebs.worker: amifactory:left-out:pnpm: offline'\n"
    run = Run(tmp_path, STEP + left_out + ARTIFACT)
    result = run()
    assert result.ami_id == "ami-0abc"
    assert result.left_out == (LeftOut(tool="pnpm", why="offline"),)
    assert 0 < result.seconds < 5
    assert Step(name="provisioning with install-node.sh") in run.events
    assert run.raw_log.read_text().startswith("1,,ui,say,==> amazon-ebs.worker: Provisioning")
    lines = run.log.read_text().splitlines()
    assert lines[0].split(maxsplit=1) == [
        lines[0].split()[0],
        "Provisioning with shell script: provision/install-node.sh",
    ]
    assert lines[0].split()[0].endswith("s")


def test_packer_gets_its_flags_the_directory_and_only_the_given_environment(tmp_path: Path) -> None:
    body = 'echo "1,,ui,say,$*|$PWD|$GREETING|$HOME"\nread line || echo 1,,ui,say,no input\n' + ARTIFACT
    run = Run(tmp_path, body)
    run()
    said = [event.text for event in run.events if isinstance(event, Ui)]
    assert said == [f"build -machine-readable -color=false .|{tmp_path}|hello|", "no input"]


def test_events_arrive_while_packer_runs(tmp_path: Path) -> None:
    run = Run(tmp_path, STEP + f"until test -e {tmp_path}/go; do sleep 0.02; done\n" + ARTIFACT)

    def go(event: Event) -> None:
        run.events.append(event)
        (tmp_path / "go").touch()

    run.on_event = go
    assert run().ami_id == "ami-0abc"


def test_the_end_is_noticed_within_50_milliseconds(tmp_path: Path) -> None:
    run = Run(tmp_path, f"sleep 0.07\n{ARTIFACT}date +%s.%N > {tmp_path}/end\n")

    def delay() -> float:
        run()
        return time.time() - float((tmp_path / "end").read_text())

    assert min(delay() for _ in range(4)) < 0.05


def test_a_last_line_without_its_end_and_bytes_that_are_no_text_count(tmp_path: Path) -> None:
    run = Run(tmp_path, "printf '\\377\\n1,,ui,say,no end'\n" + "exit 1")
    with pytest.raises(PackerError) as caught:
        run()
    assert caught.value.output == ("\N{REPLACEMENT CHARACTER}", "no end")


def test_a_failure_shows_step_reason_output_and_log(tmp_path: Path) -> None:
    body = (
        STEP
        + "echo '1,,ui,error,==> amazon-ebs.worker: E: no such package'\n"
        + "echo '1,amazon-ebs.worker,error,Script exited with non-zero exit status: 100'\nexit 1"
    )
    run = Run(tmp_path, body)
    with pytest.raises(PackerError) as caught:
        run()
    error = caught.value
    assert error.message.splitlines()[0] == (
        "Packer failed while provisioning with install-node.sh: Script exited with non-zero exit status: 100"
    )
    assert "  | E: no such package" in error.message.splitlines()
    assert error.log == run.log
    assert str(run.log) in str(error.hint)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("exit 7", "exit status 7"),
        ("kill -9 $$", "killed by SIGKILL"),
        ("", "made no AMI"),
        (ARTIFACT + "echo '1,amazon-ebs.worker,error,it broke'", "it broke"),
        (ARTIFACT + "exit 1", "exit status 1"),
        ("echo 'panic: nil map' >&2; exit 2", r"(?s)exit status 2.*panic: nil map"),
    ],
)
def test_every_way_to_fail_is_told(tmp_path: Path, body: str, problem: str) -> None:
    with pytest.raises(PackerError, match=problem):
        Run(tmp_path, body)()


@pytest.mark.parametrize("ending", ["kill -9 $$", "exec sleep 30"])
def test_nothing_is_left_running(tmp_path: Path, ending: str) -> None:
    run = Run(
        tmp_path, f"(trap '' INT; echo $$ >/dev/null; exec sleep 30) & echo $! > {tmp_path}/child\n{ending}"
    )
    with pytest.raises(PackerError):
        run(timeout=0.2)
    deadline = time.monotonic() + 5
    while is_running(tmp_path / "child"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_interrupt_that_is_ignored_ends_in_a_kill(tmp_path: Path) -> None:
    launched = "echo '1,,ui,message,    amazon-ebs.worker: Instance ID: i-0abc'\n"
    run = Run(tmp_path, "trap '' INT\n" + launched + STEP + "sleep 30")
    started = time.monotonic()
    with pytest.raises(
        PackerError, match=r"provisioning with install-node\.sh: it had not finished within"
    ) as caught:
        run(timeout=0.2)
    assert time.monotonic() - started < 2
    assert "terminate-instances --instance-ids i-0abc" in str(caught.value.hint)


def test_an_ami_that_is_there_before_the_cancellation_works_is_a_result(tmp_path: Path) -> None:
    run = Run(tmp_path, "trap '' INT\n" + STEP + "sleep 0.2\n" + ARTIFACT)
    run.on_event = cancel_once(run.cancellation)
    assert run().ami_id == "ami-0abc"


def test_what_was_cancelled_before_does_not_start(tmp_path: Path) -> None:
    run = Run(tmp_path, f"touch {tmp_path}/started")
    run.cancellation.request()
    with pytest.raises(CancelledError):
        run()
    assert not (tmp_path / "started").exists()


def test_an_interrupt_that_ends_packer_without_a_word_is_no_result(tmp_path: Path) -> None:
    run = Run(tmp_path, "trap 'exit 0' INT\n" + STEP + "sleep 30 & wait")
    run.on_event = cancel_once(run.cancellation)
    with pytest.raises(CancelledError):
        run(makes_ami=False)


def test_an_error_while_events_are_handled_stops_packer(tmp_path: Path) -> None:
    run = Run(tmp_path, f"echo $$ > {tmp_path}/pid\n" + STEP + "sleep 30")

    def fail(event: Event) -> None:
        raise RuntimeError(type(event).__name__)

    run.on_event = fail
    with pytest.raises(RuntimeError, match="Step"):
        run()
    assert not is_running(tmp_path / "pid")


def test_a_full_disk_under_the_log_stops_packer_and_is_told(tmp_path: Path) -> None:
    run = Run(tmp_path, f"echo $$ > {tmp_path}/pid\n" + STEP + "sleep 30")
    run.log = Path("/dev/full")
    with pytest.raises(AmifactoryError, match="cannot write /dev/full: No space left on device"):
        run()
    assert not is_running(tmp_path / "pid")


def test_a_log_that_cannot_be_made_is_told_before_packer_starts(tmp_path: Path) -> None:
    run = Run(tmp_path, f"touch {tmp_path}/started")
    run.raw_log = tmp_path / "missing/packer.raw"
    with pytest.raises(AmifactoryError, match="cannot write"):
        run()
    assert not (tmp_path / "started").exists()


def test_a_packer_that_is_gone_is_a_missing_tool(tmp_path: Path) -> None:
    run = Run(tmp_path, "")
    run.binary.unlink()
    with pytest.raises(MissingToolError, match="cannot be run"):
        run()
