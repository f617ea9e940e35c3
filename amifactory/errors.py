"""Every error amifactory reports, and the exit code each kind ends with.

::

    AmifactoryError              1  something failed
    ├── UsageError               2  the command line or the configuration is wrong
    │   └── ConfigError          2  … with every problem found, each with its file and line
    ├── MissingToolError         5  a program or daemon this machine needs is not there
    ├── AwsError                 6  AWS refused: credentials, permission, quota
    ├── RefusedError             7  a promotion or rollback was not begun: something speaks against it
    └── FailedChangeError        1  a promotion or rollback was begun, and failed:
        ├── RolledBackError      8  everything is back the way it was
        └── HalfDoneError        9  not everything is back
    (A rejected build is a result, not an error: ``build`` and ``verify`` end with 4.)
    (StaleError has no class: ``plan --exit-code`` ends with 3 when something is stale.)
    (Interrupted runs end with 130 after Ctrl-C and 143 after SIGTERM, as shells expect.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ExitCode(IntEnum):
    """What a command's exit status means; the README's table is this one."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    STALE = 3
    REJECTED = 4
    MISSING_TOOL = 5
    AWS_REFUSED = 6
    REFUSED = 7
    ROLLED_BACK = 8
    HALF_DONE = 9
    INTERRUPTED = 130
    TERMINATED = 143


class AmifactoryError(Exception):
    """Something failed. The message says what, where, and what to do next.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do next, usually a command; shown on a line of its own.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AmifactoryError):
    """The command line asks for something that does not exist or make sense."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """One thing wrong in a configuration file."""

    file: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{where}: {self.message}"


class ConfigError(UsageError):
    """The configuration is wrong; ``problems`` holds everything found, in file and line order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (str(problem.file), problem.line or 0)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingToolError(AmifactoryError):
    """Packer, Docker, ssh or another program is missing, unusable or not answering."""

    exit_code = ExitCode.MISSING_TOOL


class AwsError(AmifactoryError):
    """AWS refused a call: credentials, permissions, quotas."""

    exit_code = ExitCode.AWS_REFUSED


class RefusedError(AmifactoryError):
    """Nothing was changed: something speaks against it, and the message says what."""

    exit_code = ExitCode.REFUSED


class FailedChangeError(AmifactoryError):
    """A change of a channel was begun and failed.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do next.
        release: Number of the release it made or left, if it came that far.
    """

    def __init__(self, message: str, *, hint: str | None = None, release: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.release = release


class RolledBackError(FailedChangeError):
    """A change failed, and everything that it had touched is back the way it was."""

    exit_code = ExitCode.ROLLED_BACK


class HalfDoneError(FailedChangeError):
    """A change failed and could not be undone, or was cut off; the hint says how to go on."""

    exit_code = ExitCode.HALF_DONE
