"""Runs ``packer build`` in an assembled directory and tells what became of it."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amifactory.domain.cancellation import Cancellation, CancelledError
from amifactory.errors import AmifactoryError
from amifactory.packer.follow import LineReader, ReadableLog
from amifactory.packer.machine_readable import read_line
from amifactory.packer.process import PackerProcess
from amifactory.packer.record import Record
from amifactory.packer.stopper import Stopper, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from amifactory.domain.model import AmiId
    from amifactory.packer.machine_readable import Artifact, Event, LeftOut

GRACE_SECONDS = 180.0
_POLL_SECONDS = 0.05
_FULL_BYTES = 1 << 16
_BUILD = ("build", "-machine-readable", "-color=false", ".")


@dataclass(frozen=True, kw_only=True)
class PackerResult:
    """What a successful run made.

    Attributes:
        artifacts: The AMIs; at least one, unless the run was not asked for any.
        seconds: How long it took.
        left_out: What provisioners say they left out.
    """

    artifacts: tuple[Artifact, ...]
    seconds: float
    left_out: tuple[LeftOut, ...]

    @property
    def ami_id(self) -> AmiId:
        """Returns the AMI, the first one when there are several regions."""
        return self.artifacts[0].ami_id


class PackerError(AmifactoryError):
    """Packer failed, was stopped by the timeout, or made no AMI.

    Attributes:
        step: What it was doing, such as ``provisioning with install-node.sh``.
        output: The last lines of that step.
        log: Where all its output is.
    """

    def __init__(self, problem: str, *, record: Record, log: Path, hint: str | None = None) -> None:
        self.step = record.step
        self.output = record.step_output
        self.log = log
        lines = (problem, *(f"  | {line}" for line in self.output))
        super().__init__("\n".join(lines), hint=hint or f"The whole log is {log}")


def run_packer(
    binary: Path,
    directory: Path,
    *,
    raw_log: Path,
    log: Path,
    environment: Mapping[str, str],
    timeout: float,
    on_event: Callable[[Event], object],
    cancellation: Cancellation,
    clock: Callable[[], float],
    grace: float = GRACE_SECONDS,
    makes_ami: bool = True,
    inherited: Sequence[int] = (),
) -> PackerResult:
    """Builds what the Packer directory describes.

    The first request to cancel, and the timeout, let Packer clean up; the second request kills it.

    Args:
        raw_log: Takes Packer's machine-readable output as it is.
        log: Takes the same for people, each line with its seconds since the start.
        environment: Everything Packer gets, see `packer_environment`.
        timeout: Seconds the run may take.
        on_event: Called with each event, in order, while Packer runs.
        clock: Returns monotonic seconds.
        grace: Seconds Packer gets to clean up after the timeout.
        makes_ami: A run without an AMI is a failure.
        inherited: File descriptors that Packer holds open too, such as a lock's.

    Raises:
        PackerError: Packer failed or took too long.
        CancelledError: The run was cancelled before an AMI was there.
        MissingToolError: Packer cannot be run.
    """
    cancellation.check()
    started = clock()
    record = Record()
    process = PackerProcess(
        (binary, *_BUILD),
        directory=directory,
        output=raw_log,
        environment=environment,
        inherited=inherited,
    )
    stopper = Stopper(process, cancellation=cancellation, timeout=timeout, grace=grace, clock=clock)
    try:
        with raw_log.open("rb") as raw, ReadableLog(log) as readable:
            reader = LineReader(raw)

            def take_in(lines: Iterable[str]) -> None:
                for line in lines:
                    for event in read_line(line):
                        record.add(event)
                        readable.add(event, seconds=clock() - started)
                        on_event(event)
                readable.flush()

            while not process.wait(_POLL_SECONDS):
                take_in(reader.lines())
                stopper.check()
            take_in(reader.rest())
    finally:
        _leave_nothing_running(process, stopper, grace=grace)
    # A Packer interrupted while it starts ends with status 0 and without a word.
    has_result = bool(record.artifacts) or not (makes_ami or stopper.reason)
    if process.exit_status != 0 or record.has_errors or not has_result:
        raise _failure(process.exit_status, stopper, record, timeout=timeout, log=log)
    return PackerResult(artifacts=record.artifacts, seconds=clock() - started, left_out=record.left_out)


def _leave_nothing_running(process: PackerProcess, stopper: Stopper, *, grace: float) -> None:
    """Stops what still runs: all of it after an exception here, children when their parent was killed."""
    status = process.exit_status
    if status is not None and status >= 0 and stopper.reason is None:
        return
    if not stopper.was_killed and (status is None or status < 0):
        process.interrupt()
        process.wait_for_group(grace)
    process.kill()


def _failure(
    status: int | None, stopper: Stopper, record: Record, *, timeout: float, log: Path
) -> AmifactoryError:
    if stopper.reason is StopReason.CANCELLED:
        return CancelledError("Packer was cancelled", hint=_leftover_hint(stopper, record))
    where = f" while {record.step}" if record.step else ""
    if stopper.reason is StopReason.TIMEOUT:
        problem = f"Packer was stopped{where}: it had not finished within {timeout:g} seconds"
        return PackerError(problem, record=record, log=log, hint=_leftover_hint(stopper, record))
    if status == 0 and not record.has_errors:
        return PackerError("Packer finished but made no AMI", record=record, log=log)
    reason = record.reason or _describe_exit(status)
    return PackerError(f"Packer failed{where}: {reason}", record=record, log=log, hint=_disk_hint(log))


def _leftover_hint(stopper: Stopper, record: Record) -> str | None:
    if not stopper.was_killed or record.instance_id is None:
        return None
    return (
        f"Packer was killed before it had cleaned up. Terminate its instance if it still runs: "
        f"`aws ec2 terminate-instances --instance-ids {record.instance_id}`"
    )


def _disk_hint(log: Path) -> str | None:
    is_full = shutil.disk_usage(log.parent).free < _FULL_BYTES
    return f"The file system of {log.parent} is full; make room and build again" if is_full else None


def _describe_exit(status: int | None) -> str:
    if status is not None and status < 0:
        return f"it was killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
