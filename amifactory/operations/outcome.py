"""What became of each target of a run, and how a run tells its watchers."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from amifactory.errors import AmifactoryError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from amifactory.domain.cold_start import ColdStart
    from amifactory.domain.levers import Lever
    from amifactory.domain.model import AmiId, Fingerprint, Target
    from amifactory.domain.staleness import BuildPlan


class Result(StrEnum):
    """How a target ended."""

    BUILT = "built"
    ADOPTED = "adopted"
    REUSED = "reused"
    VERIFIED = "verified"
    REJECTED = "rejected"
    FAILED = "failed"
    SKIPPED = "skipped"


USABLE = frozenset({Result.BUILT, Result.ADOPTED, Result.REUSED})
"""Results whose AMI is verified, so that children can be built on it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one target's step.

    Attributes:
        parent: Id of the AMI it was, or would have been, built on.
        build_seconds: Wall time of Packer.
        verify_seconds: Wall time from launching the fresh instance to the verdict.
        cold_start: How fast fresh instances started, if that was measured.
        levers: What would make them start faster, if that is too slow.
        log: Readable log of the build or of the verification.
        report: ``report.json`` of the verification.
        error: Why it was rejected, failed or skipped.
        exit_code: What the command ends with if this is the worst that happened.
        left_out: ``tool: why`` for what offline mode could not install.
    """

    target: Target
    result: Result
    fingerprint: Fingerprint
    region: str
    reasons: tuple[str, ...] = ()
    ami_id: AmiId | None = None
    parent: AmiId | None = None
    build_seconds: float = 0.0
    verify_seconds: float = 0.0
    cold_start: ColdStart | None = None
    levers: tuple[Lever, ...] = ()
    log: Path | None = None
    report: Path | None = None
    error: str | None = None
    exit_code: ExitCode = ExitCode.DONE
    left_out: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Returns whether children can be built on it."""
        return self.result in USABLE


def failed(
    outcome: Outcome, error: AmifactoryError | OSError, *, directory: Path, interrupted: bool
) -> Outcome:
    """Returns the outcome of a target that an error ended, with what to do about it and a log if any.

    Args:
        directory: Where the target's logs are.
        interrupted: The run was told to stop, so that the error says nothing of the target.
    """
    if isinstance(error, OSError):  # a full disk, above all
        error = AmifactoryError(f"{error.filename or directory}: {error.strerror}")
    logs = (outcome.log, directory / "build.log", directory / "spec.log")
    return replace(
        outcome,
        result=Result.FAILED,
        error=f"{error.message}\n{error.hint}" if error.hint else error.message,
        exit_code=ExitCode.INTERRUPTED if interrupted else error.exit_code,
        log=next((log for log in logs if log and log.exists()), None),
    )


def unexpected(error: Exception, log: Path) -> AmifactoryError:
    """Returns what to say of an error that nobody expected; where it comes from is added to the log."""
    with log.open("a") as file:
        file.write("".join(traceback.format_exception(error)))
    return AmifactoryError(f"unexpected {error!r}")


class Progress(Protocol):
    """Watches a run; called from several threads."""

    def planned(self, plan: BuildPlan) -> None:
        """The run is about to begin."""

    def step(self, target: Target, name: str) -> None:
        """A target entered its next step."""

    def output(self, target: Target, line: str) -> None:
        """A target's current step said something."""

    def finished(self, outcome: Outcome) -> None:
        """A target ended."""


def exit_code(outcomes: Sequence[Outcome]) -> ExitCode:
    """Returns what a run ends with: one kind of failure by its own code, several by the general one."""
    codes = {outcome.exit_code for outcome in outcomes} - {ExitCode.DONE}
    if not codes:
        return ExitCode.DONE
    if len(codes) == 1:
        return codes.pop()
    interrupted = codes & {ExitCode.INTERRUPTED, ExitCode.TERMINATED}
    return interrupted.pop() if interrupted else ExitCode.FAILED
