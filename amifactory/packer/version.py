"""Which Packer is installed, and what that version needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amifactory.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_SECONDS = 20.0
_VERSION = re.compile(r"^Packer v(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_INSTALL_HINT = (
    "Install it: `apt-get install packer` on Debian and Ubuntu, "
    "or see https://developer.hashicorp.com/packer/install."
)


@dataclass(frozen=True, kw_only=True, order=True)
class PackerVersion:
    """A version of Packer; compares as versions do."""

    major: int
    minor: int
    patch: int = 0

    @property
    def needs_plugins(self) -> bool:
        """Returns whether it wants a ``required_plugins`` block; earlier versions reject one."""
        return self >= PackerVersion(major=1, minor=7)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST = PackerVersion(major=1, minor=6)
FIRST_UNSUPPORTED = PackerVersion(major=2, minor=0)


@dataclass(frozen=True, kw_only=True)
class Packer:
    """An installed Packer that amifactory can work with."""

    binary: Path
    version: PackerVersion


def find_packer(environment: Mapping[str, str], *, binary: str = "packer") -> Packer:
    """Returns the Packer on the environment's ``PATH``, having asked it once for its version.

    Args:
        environment: What Packer is run with, see `packer_environment`.
        binary: A name to look for, or a path.

    Raises:
        MissingToolError: There is none, it is not HashiCorp's, or it is too old or too new.
    """
    found = shutil.which(binary, path=environment.get("PATH", ""))
    if found is None:
        raise MissingToolError(f'Packer is not installed: no program "{binary}" on PATH', hint=_INSTALL_HINT)
    path = Path(found).absolute()
    return Packer(binary=path, version=_supported(parse_version(_ask(path, environment), path), path))


def parse_version(answer: str, binary: Path) -> PackerVersion:
    """Returns the version in what ``packer version`` printed.

    Raises:
        MissingToolError: It is not what HashiCorp's Packer prints.
    """
    match = _VERSION.search(answer)
    if match is None:
        raise MissingToolError(
            f"{binary} is not HashiCorp's Packer (some distributions ship another program of that name)",
            hint=_INSTALL_HINT,
        )
    major, minor, patch = (int(number) for number in match.groups())
    return PackerVersion(major=major, minor=minor, patch=patch)


def _supported(version: PackerVersion, binary: Path) -> PackerVersion:
    if OLDEST <= version < FIRST_UNSUPPORTED:
        return version
    age = "old" if version < OLDEST else "new"
    raise MissingToolError(
        f"{binary} is Packer {version}, which is too {age}: "
        f"amifactory works with {OLDEST.major}.{OLDEST.minor} up to, "
        f"not including, {FIRST_UNSUPPORTED.major}.0",
        hint=_INSTALL_HINT,
    )


def _ask(binary: Path, environment: Mapping[str, str]) -> str:
    try:
        answer = subprocess.run(
            [binary, "version"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MissingToolError(
            f"{binary} did not say its version within {_ANSWER_SECONDS:.0f} seconds", hint=_INSTALL_HINT
        ) from error
    except OSError as error:
        raise MissingToolError(f"{binary} cannot be run: {error.strerror}", hint=_INSTALL_HINT) from error
    return answer.stdout.decode(errors="replace")
