"""SSH to a fresh instance: waiting until it lets us in, and one connection for all that is done there."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError, MissingToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from amifactory.domain.cancellation import Cancellation

ALIAS = "instance"
"""The host's name in the configuration file."""

CONNECTION_LOST = 255
"""ssh's exit status when the connection failed, not the command (ssh(1), EXIT STATUS)."""

_CONNECT_SECONDS = 5
_RETRY_SECONDS = 1.0
_PRINT_FILES = 'for file; do [ ! -e "$file" ] || cat -- "$file" || exit; done'
_START_TIME = 19
"""The field ``starttime``, 22nd of /proc/PID/stat (proc(5)), counted from after the name."""


class SshTimeoutError(AmifactoryError):
    """An instance did not let us in over SSH in time."""


@dataclass(frozen=True, kw_only=True)
class SshHost:
    """An instance as SSH reaches it.

    Attributes:
        key_file: The private key; nobody else may read it.
        proxy_command: How to reach it when not by TCP, as ssh_config's ``ProxyCommand`` has it.
    """

    address: str
    user: str
    key_file: Path
    port: int = 22
    proxy_command: str | None = None


@contextmanager
def ssh_configuration(host: SshHost) -> Iterator[Path]:
    """Yields an ssh_config file that knows the host as `ALIAS`, and nothing of the user's own settings.

    The host's key is accepted at first sight and held to from then on; instance addresses are reused, so
    it is kept apart from the user's known hosts. The folder is short, as socket paths have to be.
    """
    with tempfile.TemporaryDirectory(prefix="amifactory-ssh-") as folder:
        lines = [
            f"Host {ALIAS}",
            f"HostName {host.address}",
            f"Port {host.port}",
            f"User {host.user}",
            f'IdentityFile "{host.key_file.absolute()}"',
            "IdentitiesOnly yes",
            "IdentityAgent none",
            "BatchMode yes",
            "StrictHostKeyChecking accept-new",
            f'UserKnownHostsFile "{folder}/known_hosts"',
            "GlobalKnownHostsFile /dev/null",
            f"ConnectTimeout {_CONNECT_SECONDS}",
            "ServerAliveInterval 10",
            "ServerAliveCountMax 3",
            f'ControlPath "{folder}/master"',
            "LogLevel ERROR",
        ]
        if host.proxy_command:
            lines.append(f"ProxyCommand {host.proxy_command}")
        file = Path(folder) / "config"
        file.write_text("\n".join(lines) + "\n")
        yield file


@contextmanager
def ssh_master(configuration: Path, *, environment: Mapping[str, str]) -> Iterator[None]:
    """Holds one connection open that later ones share, which saves each its handshake.

    It need not be up, or stay up: without it, each command connects by itself.
    """
    arguments = ["ssh", "-F", str(configuration), "-o", "ControlMaster=yes", "-N", ALIAS]
    process = subprocess.Popen(
        arguments,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its proxy command, if any
        process.wait()


@contextmanager
def connected(host: SshHost, *, environment: Mapping[str, str]) -> Iterator[Path]:
    """Yields the ssh_config of a host to which a connection is held open.

    Raises:
        MissingToolError: There is no ssh on this machine.
    """
    if shutil.which("ssh", path=environment.get("PATH")) is None:
        raise MissingToolError("ssh is not installed", hint="apt-get install openssh-client")
    with ssh_configuration(host) as configuration, ssh_master(configuration, environment=environment):
        yield configuration


def boot_identity(configuration: Path, *, environment: Mapping[str, str]) -> str | None:
    """Returns what is different after each boot; None when the instance does not answer.

    The kernel's boot id, and the start of the first process: containers share the former with their host.
    """
    said = read_files(
        configuration, ["/proc/sys/kernel/random/boot_id", "/proc/1/stat"], environment=environment
    )
    if not said:
        return None
    boot_id, _, stat = said.partition("\n")
    return f"{boot_id} {stat.rpartition(')')[2].split()[_START_TIME]}"


def read_files(
    configuration: Path, paths: Sequence[str], *, environment: Mapping[str, str], as_root: bool = False
) -> str | None:
    """Returns the text of the files that are there, in order; None when the instance does not say at once."""
    sudo = ["sudo", "--non-interactive"] if as_root else []
    command = shlex.join([*sudo, "sh", "-c", _PRINT_FILES, "sh", *paths])
    try:
        done = subprocess.run(
            ["ssh", "-F", str(configuration), ALIAS, command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=4 * _CONNECT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode else done.stdout


def wait_for_ssh(
    host: SshHost,
    *,
    timeout: timedelta,
    clock: Callable[[], float],
    pause: Callable[[float], object],
    cancelled: Cancellation,
    probe: Callable[[SshHost], str | None] | None = None,
) -> None:
    """Returns as soon as a command runs on the host over SSH.

    Args:
        host: The instance.
        timeout: How long it may take.
        clock: Monotonic seconds.
        pause: Sleeps that many seconds.
        cancelled: Ends the wait.
        probe: Returns why the host does not let us in, or None when it does; `probe_ssh` by default.

    Raises:
        SshTimeoutError: With the last reason.
        CancelledError: The run was told to stop.
    """
    probe = probe or probe_ssh
    deadline = clock() + timeout.total_seconds()
    while True:
        cancelled.check()
        problem = probe(host)
        if problem is None:
            return
        if clock() >= deadline:
            minutes = f"{timeout.total_seconds():.0f} s"
            raise SshTimeoutError(
                f"{host.user}@{host.address} did not answer over SSH within {minutes}: {problem}",
                hint="Raise verify.boot_timeout, or look at the instance's console output in spec.log.",
            )
        pause(_RETRY_SECONDS)


def probe_ssh(host: SshHost) -> str | None:
    """Returns why no command runs on the host yet, or None when one did.

    Raises:
        MissingToolError: There is no ssh on this machine.
    """
    problem = None if host.proxy_command else _banner_problem(host)
    if problem:
        return problem
    with ssh_configuration(host) as configuration:
        try:
            ended = subprocess.run(
                ["ssh", "-F", str(configuration), ALIAS, "true"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=4 * _CONNECT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "logging in takes too long"
        except FileNotFoundError:
            raise MissingToolError("ssh is not installed", hint="apt-get install openssh-client") from None
    if ended.returncode == 0:
        return None
    return ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else "logging in failed"


def _banner_problem(host: SshHost) -> str | None:
    """Asks the port for its first bytes: cheaper than ssh, and most of the wait is for this."""
    try:
        with socket.create_connection((host.address, host.port), timeout=_CONNECT_SECONDS) as connection:
            banner = connection.recv(64)
    except OSError as error:
        return f"port {host.port}: {error.strerror or 'no answer'}".lower()
    return None if banner.startswith(b"SSH-") else f"port {host.port} answers, but not as an SSH server"
