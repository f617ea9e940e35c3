"""The disk of the sandbox's source AMI: Debian 12 made with debootstrap, kept in this user's cache.

Only the standard library is imported, so that ``python -m amifactory.sandbox.source_ami`` can run beside
the installation of everything else.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError, MissingToolError
from amifactory.sandbox.apt_sources import Mirrors, mirrors_of_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SUITE = "bookworm"
PACKAGES = (
    "busybox-static", "ca-certificates", "curl", "dbus", "iproute2", "iptables", "netbase", "openssh-server",
    "procps", "python3", "python3-yaml", "sudo", "systemd", "systemd-sysv",
)  # fmt: skip
"""With python3 and python3-yaml, which Debian's cloud AMIs have for cloud-init."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_FOLDER = Path(__file__).parent
_SCRIPT = _FOLDER / "make-source-ami.sh"
_ROOTFS = _FOLDER / "rootfs"
_DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_EC2_ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class SourceAmi:
    """A cached disk and the AMI it is in the sandbox."""

    tarball: Path
    key: str
    debian_architecture: str
    made_at: float

    @property
    def ami_id(self) -> str:
        """An id that follows from the content's recipe: the same in every sandbox."""
        return f"ami-{self.key[:17]}"

    @property
    def name(self) -> str:
        """A name as Debian's cloud team writes them."""
        day = time.strftime("%Y%m%d", time.gmtime(self.made_at))
        return f"debian-12-{self.debian_architecture}-{day}-sandbox"

    @property
    def architecture(self) -> str:
        """The architecture in EC2's words."""
        return _EC2_ARCHITECTURES[self.debian_architecture]


def default_cache_dir(environment: Mapping[str, str]) -> Path:
    """Returns where this user keeps what amifactory can make again."""
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(base) / "amifactory"


def prepare_source_ami(
    cache_dir: Path, say: Callable[[str], None], *, environment: Mapping[str, str] = os.environ
) -> SourceAmi:
    """Returns the source AMI's disk, made now unless cached; a second maker waits for the first.

    Raises:
        MissingToolError: debootstrap, Debian's keyring, a mirror or the right to become root is missing.
        AmifactoryError: debootstrap failed.
    """
    architecture = _DEBIAN_ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise MissingToolError(f"the sandbox runs on x86_64 and arm64 machines, not on {platform.machine()}")
    mirrors = mirrors_of_this_machine(environment)
    key = recipe_key(architecture, mirrors)
    tarball = cache_dir / f"debian-12-{architecture}-{key[:12]}.tar"
    if not tarball.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _one_maker(cache_dir / f"{tarball.name}.lock"):
            if not tarball.exists():
                _make(tarball, architecture, mirrors, environment, say)
    return SourceAmi(
        tarball=tarball, key=key, debian_architecture=architecture, made_at=tarball.stat().st_mtime
    )


def recipe_key(architecture: str, mirrors: Mirrors) -> str:
    """Returns the SHA-256 over everything of ours that decides the disk's content."""
    digest = hashlib.sha256(f"{SUITE} {architecture} {' '.join(PACKAGES)}\n".encode())
    for name, text in _apt_configuration(mirrors).items():
        digest.update(f"{name}\n{text}".encode())
    for file in [_SCRIPT, *sorted(path for path in _ROOTFS.rglob("*") if path.is_file())]:
        digest.update(f"{file.relative_to(_FOLDER)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _one_maker(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make(
    tarball: Path,
    architecture: str,
    mirrors: Mirrors,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    as_root = _privileges()
    _require_tools()
    say(f"making the sandbox's Debian 12 source AMI from {mirrors.main} (once; takes about a minute)")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="source-ami-", dir=tarball.parent) as folder:
        work = Path(folder)
        overlay = work / "overlay"
        shutil.copytree(_ROOTFS, overlay)
        for name, text in _apt_configuration(mirrors).items():
            (overlay / name).parent.mkdir(parents=True, exist_ok=True)
            (overlay / name).write_text(text)
        log = tarball.with_suffix(".log")
        script_arguments = [work / "out.tar", work, overlay, SUITE, architecture, KEYRING, mirrors.main]
        command = [*as_root, "bash", *map(str, [_SCRIPT, *script_arguments, ",".join(PACKAGES)])]
        try:
            status = run_to_its_end(command, log, {**environment, **mirrors.proxy_environment()})
        finally:  # nobody but root may remove it, and nobody what debootstrap has mounted in it
            subprocess.run([*as_root, "rm", "-rf", "--one-file-system", work / "root"], check=False)
        if status:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise AmifactoryError(
                f"the Debian source AMI could not be made:\n{last}", hint=f"the whole log is {log}"
            )
        (work / "out.tar").rename(tarball)
    say(f"source AMI made in {time.monotonic() - started:.0f} s")


def run_to_its_end(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """Runs a command and returns its exit status; interrupted, asks it to end and waits until it has."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment)
        )
        try:
            return child.wait()
        except BaseException:
            with suppress(PermissionError):  # sudo's child is root's; a terminal has told it already
                child.terminate()
            child.wait()
            raise


def _apt_configuration(mirrors: Mirrors) -> dict[str, str]:
    """Returns the files that make apt in an instance use the mirrors."""
    files = {"etc/apt/sources.list.d/debian.sources": mirrors.deb822(SUITE, KEYRING)}
    if mirrors.proxy and not mirrors.proxy_is_local:
        files["etc/apt/apt.conf.d/90proxy"] = f'Acquire::http::Proxy "{mirrors.proxy}";\n'
    return files


def _privileges() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise MissingToolError(
            "debootstrap needs root, and sudo is not installed",
            hint="run this once as root: python3 -m amifactory.sandbox.source_ami",
        )
    return ["sudo", "--preserve-env=http_proxy,https_proxy"]


def _require_tools() -> None:
    if shutil.which("debootstrap", path=f"{os.defpath}:/usr/sbin:/sbin") is None or not KEYRING.exists():
        raise MissingToolError(
            "debootstrap, which makes the sandbox's source AMI, is not installed",
            hint="sudo apt-get install debootstrap debian-archive-keyring",
        )


def main() -> int:
    """Makes the source AMI's disk ahead of time and names the file on standard output."""
    try:
        source = prepare_source_ami(default_cache_dir(os.environ), _say)
    except AmifactoryError as error:
        sys.stderr.write(f"Error: {error.message}\n" + (f"{error.hint}\n" if error.hint else ""))
        return int(error.exit_code)
    sys.stdout.write(f"{source.tarball}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
