"""Starts a factory's sandbox when something needs it, tells how it is, and ends it.

Light to import: Docker and moto load only when a sandbox has to be started or removed.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
import time
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from amifactory.errors import MissingToolError, UsageError
from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.state import SandboxState, StateFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MODULE = "amifactory.sandbox.daemon"
_START_SECONDS = 120
_END_SECONDS = 60
_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A container of the sandbox that is an instance, with the tag ``Name`` it was launched with."""

    instance_id: str
    name: str
    state: str
    private_ip: str


@dataclass(frozen=True, kw_only=True)
class SandboxStatus:
    """How a factory's sandbox is."""

    running: bool
    state: SandboxState | None
    instances: tuple[Machine, ...]
    log: Path


def ensure(
    root: Path,
    *,
    region: str,
    state_bucket: str,
    prepull: Sequence[str],
    secrets: Mapping[str, str],
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
) -> SandboxState:
    """Returns the factory's running sandbox, started now unless it runs.

    Its registry then holds a stand-in for each of ``prepull`` that it can. Its Secrets Manager gets one for
    each id in ``secrets``, of the format given there, when the sandbox first hears of it and never again.

    Raises:
        MissingToolError: Docker, debootstrap, docker-registry or moto is missing.
        UsageError: A sandbox for another region or state bucket runs here.
        DriverError: It does not start; the message has its last words.
    """
    folder = StateFolder(root=root)
    state = _running(folder)
    if state is not None:
        _require_same_factory(state, region, state_bucket)
        if set(prepull) <= set(state.stand_ins) and set(secrets) <= set(state.stand_in_secrets):
            return state
    with folder.lock():
        state = _running(folder) or _start(folder, region, state_bucket, say, environment)
        _require_same_factory(state, region, state_bucket)
        state = _add_stand_ins(folder, state, prepull, say)
        return _add_stand_in_secrets(folder, state, secrets, say)


def _running(folder: StateFolder) -> SandboxState | None:
    state = folder.read()
    return state if state is not None and is_running(state) else None


def _require_same_factory(state: SandboxState, region: str, state_bucket: str) -> None:
    if (state.region, state.state_bucket) != (region, state_bucket):
        raise UsageError(
            f"the sandbox runs for region {state.region} and state bucket {state.state_bucket}, "
            f"but factory.hcl now says {region} and {state_bucket}",
            hint="amifactory sandbox down",
        )


def is_running(state: SandboxState) -> bool:
    """Returns whether the sandbox's process lives and its AWS endpoint takes connections."""
    if not _is_daemon(state.pid):
        return False
    address = urlsplit(state.endpoint)
    try:
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=2):
            return True
    except OSError:
        return False


def _is_daemon(pid: int) -> bool:
    try:
        return _MODULE.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _start(
    folder: StateFolder,
    region: str,
    state_bucket: str,
    say: Callable[[str], None],
    environment: Mapping[str, str],
) -> SandboxState:
    if importlib.util.find_spec("moto") is None:
        raise MissingToolError(
            "the sandbox's packages are not installed", hint="pip install 'amifactory[sandbox]'"
        )
    from amifactory.sandbox import source_ami  # noqa: PLC0415
    from amifactory.sandbox.registry import require_registry_program  # noqa: PLC0415

    require_registry_program()
    _remove_remains(folder, environment)
    source_ami.prepare_source_ami(source_ami.default_cache_dir(environment), say, environment=environment)
    started = time.monotonic()
    arguments = [str(folder.root.resolve()), region, state_bucket]
    pid = _spawn(
        [sys.executable, "-m", _MODULE, *arguments], folder.log_file, _daemon_environment(environment)
    )
    state = _wait_until_ready(folder, pid, deadline=started + _START_SECONDS)
    say(f"sandbox {state.id} is up at {state.endpoint} ({time.monotonic() - started:.1f} s)")
    return state


def _spawn(command: list[str], log: Path, environment: Mapping[str, str]) -> int:
    """Starts a program that outlives this one, in a session of its own, and returns its process id."""
    write_log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.posix_spawn(
        command[0],
        command,
        environment,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), write_log, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )


def _daemon_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without what would send the sandbox's own AWS calls elsewhere."""
    mine = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return {**mine, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _wait_until_ready(folder: StateFolder, pid: int, *, deadline: float) -> SandboxState:
    while time.monotonic() < deadline:
        state = folder.read()
        if state is not None and state.pid == pid:
            return state
        if _has_ended(pid):
            raise _did_not_start(folder, "ended")
        time.sleep(_POLL_SECONDS)
    _end(pid)
    raise _did_not_start(folder, f"was not ready after {_START_SECONDS} s")


def _has_ended(pid: int) -> bool:
    """Returns whether a process has ended; buries it when it is this one's child."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return not _is_daemon(pid)


def _did_not_start(folder: StateFolder, how: str) -> DriverError:
    last = "\n".join(folder.log_file.read_text(errors="replace").splitlines()[-10:])
    return DriverError(
        f"the sandbox did not start: its process {how}\n{last}", hint=f"the log is {folder.log_file}"
    )


def _add_stand_ins(
    folder: StateFolder, state: SandboxState, prepull: Sequence[str], say: Callable[[str], None]
) -> SandboxState:
    from amifactory.sandbox.stand_ins import push_stand_ins  # noqa: PLC0415

    missing = [reference for reference in dict.fromkeys(prepull) if reference not in state.stand_ins]
    if not missing:
        return state
    push_stand_ins(state.registry, missing, say)
    extended = replace(state, stand_ins=(*state.stand_ins, *missing))
    folder.write(extended)
    return extended


def _add_stand_in_secrets(
    folder: StateFolder, state: SandboxState, secrets: Mapping[str, str], say: Callable[[str], None]
) -> SandboxState:
    missing = {name: kind for name, kind in secrets.items() if name not in state.stand_in_secrets}
    if not missing:
        return state
    from amifactory.sandbox.stand_in_secrets import make_secrets  # noqa: PLC0415

    make_secrets(state, missing, say)
    extended = replace(state, stand_in_secrets=(*state.stand_in_secrets, *missing))
    folder.write(extended)
    return extended


def status(root: Path, *, environment: Mapping[str, str] = os.environ) -> SandboxStatus:
    """Returns how the sandbox is, with its instances when it runs."""
    folder = StateFolder(root=root)
    state = _running(folder)
    if state is None:
        return SandboxStatus(running=False, state=None, instances=(), log=folder.log_file)
    from amifactory.sandbox.machine import connect, list_machines  # noqa: PLC0415

    with closing(connect(environment)) as client:
        machines = tuple(Machine(**machine) for machine in list_machines(client, state.id))
    return SandboxStatus(running=True, state=state, instances=machines, log=folder.log_file)


def console(root: Path, instance_id: str, *, environment: Mapping[str, str] = os.environ) -> str:
    """Returns what an instance of the sandbox wrote to its console.

    Raises:
        UsageError: There is no such instance.
    """
    from docker.errors import NotFound  # noqa: PLC0415

    from amifactory.sandbox.machine import connect, docker_errors  # noqa: PLC0415
    from amifactory.sandbox.names import Names  # noqa: PLC0415

    with closing(connect(environment)) as client, docker_errors(f"{instance_id} has no console"):
        try:
            output: bytes = client.containers.get(Names.of(root).instance(instance_id)).logs()
        except NotFound as error:
            raise UsageError(f"the sandbox has no instance {instance_id}") from error
    return output.decode(errors="replace")


def down(root: Path, *, environment: Mapping[str, str] = os.environ) -> None:
    """Ends the sandbox and removes everything it made; one that died half-way or lost its files, too.

    Raises:
        MissingToolError: Docker does not answer, so nothing could be removed.
        DriverError: Docker would not remove something.
    """
    folder = StateFolder(root=root)
    with folder.lock() if folder.path.exists() else nullcontext():
        _remove_remains(folder, environment)


def _remove_remains(folder: StateFolder, environment: Mapping[str, str]) -> None:
    from amifactory.sandbox.machine import connect, remove_everything  # noqa: PLC0415
    from amifactory.sandbox.names import Names  # noqa: PLC0415

    with closing(connect(environment)) as client:
        for pid in _daemons_of(folder):
            _end(pid)
        remove_everything(client, Names.of(folder.root))
    folder.forget()


def _daemons_of(folder: StateFolder) -> list[int]:
    """Returns the processes that run this factory's sandbox, by their command line: state files get lost."""
    wanted = [b"-m", _MODULE.encode(), str(folder.root.resolve()).encode()]
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[1:4] == wanted:
            found.append(int(file.parent.name))
    return found


def _end(pid: int) -> None:
    """Asks the daemon to end, and makes it when it does not within a minute."""
    for wanted, patience in ((signal.SIGTERM, _END_SECONDS), (signal.SIGKILL, 5)):
        deadline = time.monotonic() + patience
        with suppress(ProcessLookupError):
            os.kill(pid, wanted)
        while time.monotonic() < deadline:
            if _has_ended(pid):
                return
            time.sleep(_POLL_SECONDS)
