"""``packer init`` for Packer 1.7 and later, once per set of required plugins."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from amifactory.packer.version import Packer

_DOWNLOAD_SECONDS = 600.0
_DECIDE_WHERE_PLUGINS_ARE = ("HOME", "XDG_CONFIG_HOME", "PACKER_CONFIG_DIR", "PACKER_PLUGIN_PATH")


def install_plugins(
    packer: Packer, plugins_file: Path, *, cache: Path, environment: Mapping[str, str]
) -> bool:
    """Installs the plugins a template requires, unless that was done before; returns whether Packer ran.

    Runs that need the same plugins at the same time wait for one another.

    Args:
        plugins_file: The ``plugins.pkr.hcl`` with the ``required_plugins`` block; may be missing.
        cache: Where to note what was installed.
        environment: What Packer is run with.

    Raises:
        AmifactoryError: Packer could not install them.
    """
    if not packer.version.needs_plugins or not plugins_file.exists():
        return False
    stamp = cache / "packer-init" / _key(packer, plugins_file, environment)
    if stamp.exists():
        return False
    stamp.parent.mkdir(parents=True, exist_ok=True)
    with _locked(stamp.parent / "lock"):
        if stamp.exists():
            return False
        _init(packer, plugins_file, environment)
        stamp.touch()
    return True


def _key(packer: Packer, plugins_file: Path, environment: Mapping[str, str]) -> str:
    where = [environment.get(name, "") for name in _DECIDE_WHERE_PLUGINS_ARE]
    parts = [str(packer.version), *where, plugins_file.read_text(encoding="utf-8")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _init(packer: Packer, plugins_file: Path, environment: Mapping[str, str]) -> None:
    try:
        answer = subprocess.run(
            [packer.binary, "init", plugins_file],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(plugins_file, f"no answer within {_DOWNLOAD_SECONDS:.0f} seconds") from error
    if answer.returncode != 0:
        raise _failed(plugins_file, answer.stdout.decode(errors="replace").strip())


def _failed(plugins_file: Path, why: str) -> AmifactoryError:
    return AmifactoryError(
        f"`packer init {plugins_file}` could not install the plugins: {why}",
        hint="Without internet access, install them from files: `packer plugins install --path FILE SOURCE`.",
    )
