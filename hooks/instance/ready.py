#!/usr/bin/python3 -I
"""Says whether this instance is ready for its first job, and what it waits for.

Ready means: Docker answers where it is enabled, boot secrets are in place, the hooks have finished, and the
instance is not draining. Installed as ``/usr/local/bin/amifactory-ready``; needs no privileges. Ends with 0
when ready; with 1 when the time is up, or at once when waiting longer cannot help.

Python 3.9, the standard library, ``systemctl``.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Units = Mapping[str, Mapping[str, str]]
    """What systemd says of units, by name."""

DEFAULT_TIMEOUT = 300.0
POLL_SECONDS = 0.5
PATIENCE = 5.0
"""Seconds that Docker or systemd may take to answer."""
DOCKER = "docker.service"
DOCKER_SOCKET = "docker.socket"
SECRETS = "amifactory-secrets.service"
READY = "amifactory-ready.service"
PROPERTIES = (
    *("UnitFileState", "ActiveState", "Result", "Job", "Before"),
    *("ConditionResult", "ConditionTimestampMonotonic", "ExecMainStartTimestampMonotonic"),
)
ENABLED = {"enabled", "enabled-runtime"}
RUNNING = {"active", "reloading"}


class NoAnswerError(Exception):
    """Docker or systemd did not say anything useful."""


@dataclass(frozen=True)
class Waiting:
    """One thing the instance waits for.

    Attributes:
        of: Whose fault it is if it does not come: ``image`` or ``account``.
        final: Waiting longer cannot help.
    """

    what: str
    why: str
    of: str = "image"
    final: bool = False


@dataclass(frozen=True)
class Instance:
    """The machine, as far as readiness looks at it.

    Attributes:
        settings: ``/etc/amifactory``.
        state: ``/run/amifactory``.
        units: Asks systemd; raises `NoAnswerError`.
        ping_docker: Asks Docker; raises `NoAnswerError`, or PermissionError where this user may not ask.
    """

    settings: Path
    state: Path
    units: Callable[[Sequence[str]], Units]
    ping_docker: Callable[[], None]

    def waiting(self) -> list[Waiting]:
        """Returns what the instance is not ready for; nothing when it is ready."""
        try:
            units = self.units([DOCKER, DOCKER_SOCKET, SECRETS, READY, *self._hooks()])
            secrets = list(self._secrets(units))
            return [*self._draining(), *self._docker(units), *secrets, *self._unfinished(units, secrets)]
        except NoAnswerError as error:
            return [Waiting("systemd", str(error))]
        except ValueError:
            return [
                Waiting(
                    "hooks", f"{self.settings}/secrets.json is not what install-hooks.sh writes", final=True
                )
            ]

    def ready_since(self) -> float | None:
        """Returns when it was first seen ready on this boot, in seconds since the epoch."""
        try:
            return float((self.state / "ready").read_text())
        except (OSError, ValueError):
            return None

    def record(self, at: float) -> None:
        """Notes since when it is ready."""
        self.state.mkdir(parents=True, exist_ok=True)
        new = self.state / ".ready-new"
        new.write_text(f"{at:.3f}\n")
        new.replace(self.state / "ready")

    def _draining(self) -> Iterator[Waiting]:
        if (self.state / "draining").exists():
            yield Waiting("instance", "it is draining: it takes no more jobs", of="account", final=True)

    def _docker(self, units: Units) -> Iterator[Waiting]:
        service = units[DOCKER]
        if not ({service.get("UnitFileState"), units[DOCKER_SOCKET].get("UnitFileState")} & ENABLED):
            return
        state = service.get("ActiveState", "")
        if state == "failed":
            yield Waiting("docker", f"{DOCKER} failed ({service.get('Result')})", final=True)
            return
        try:
            self.ping_docker()
        except PermissionError:  # its unit is active no sooner than it answers
            if state not in RUNNING:
                yield Waiting("docker", f"{DOCKER} is {state}")
        except NoAnswerError as error:
            yield Waiting("docker", str(error))

    def _secrets(self, units: Units) -> Iterator[Waiting]:
        listed = self.settings / "secrets.json"
        for secret in json.loads(listed.read_text()) if listed.exists() else []:
            if secret["when"] == "boot":
                yield from self._secret(secret, units[SECRETS])

    def _secret(self, secret: Mapping[str, str], fetcher: Mapping[str, str]) -> Iterator[Waiting]:
        what = f"secret {secret['name']}"
        known = self._known(secret)
        problem = known["problem"]
        if known["version"] is not None:
            if not there(secret["path"]):
                yield Waiting(what, f"{secret['path']} was removed")
        elif problem is not None:
            yield Waiting(what, problem["why"], of=problem["of"], final=problem["final"])
        elif fetcher.get("ActiveState") == "failed":
            yield Waiting(what, f"{SECRETS} failed ({fetcher.get('Result')})", final=True)
        elif fetcher.get("UnitFileState") not in ENABLED:
            yield Waiting(what, f"{SECRETS} is not enabled", final=True)
        else:
            yield Waiting(what, "it is being fetched", of="account")

    def _known(self, secret: Mapping[str, str]) -> Mapping[str, Any]:
        nothing = {"version": None, "problem": None}
        try:
            known = json.loads((self.state / "secrets" / f"{secret['name']}.json").read_text())
        except (OSError, ValueError):
            return nothing
        return known if known.get("path") == secret["path"] else nothing

    def _hooks(self) -> list[str]:
        listed = self.settings / "hooks"
        names = listed.read_text().split() if listed.exists() else []
        return [name for name in names if name not in {SECRETS, READY}]

    def _unfinished(self, units: Units, secrets: Sequence[Waiting]) -> Iterator[Waiting]:
        later = units[READY].get("Before", "").split()
        # What is ordered after the secrets has not begun, for whatever reason they are not there.
        held = units[SECRETS].get("Before", "").split() if {one.of for one in secrets} == {"account"} else []
        for name in self._hooks():
            if name not in later and units[name].get("UnitFileState") in ENABLED:
                for one in unfinished(name, units[name]):
                    yield replace(one, of="account") if name in held and not one.final else one


def unfinished(name: str, unit: Mapping[str, str]) -> Iterator[Waiting]:
    """Yields why an enabled hook has not finished: a service that runs on has, once it is up."""
    state, what = unit.get("ActiveState", ""), f"hook {name}"
    if state in RUNNING:
        return
    if state == "failed":
        yield Waiting(what, f"it failed ({unit.get('Result')})", final=True)
    elif state != "inactive" or unit.get("Job"):
        yield Waiting(what, f"it is {state}" if state != "inactive" else "it is to be started")
    elif not was_run(unit):
        yield Waiting(what, "it was not started")


def was_run(unit: Mapping[str, str]) -> bool:
    """Whether an inactive unit ran on this boot, or was passed over by a condition of its own."""
    passed_over = unit.get("ConditionResult") == "no" and unit.get("ConditionTimestampMonotonic", "0") != "0"
    return passed_over or unit.get("ExecMainStartTimestampMonotonic", "0") != "0"


def there(path: str) -> bool:
    """Whether a file exists; one that this user may not look at is taken to."""
    try:
        os.lstat(path)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def ask_systemd(names: Sequence[str], *, systemctl: str = "systemctl") -> Units:
    """Returns what systemd says of units.

    Raises:
        NoAnswerError: It does not answer.
    """
    command = [systemctl, "show", f"--property={','.join(PROPERTIES)}", "--", *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAnswerError(f"systemctl cannot be asked: {error}") from error
    if done.returncode != 0:
        raise NoAnswerError(f"systemctl cannot be asked: {done.stderr.strip()}")
    blocks = done.stdout.rstrip("\n").split("\n\n")
    return {
        name: dict(line.partition("=")[::2] for line in block.splitlines())
        for name, block in zip(names, blocks)
    }


def ping_docker(path: str = "/run/docker.sock") -> None:
    """Returns when Docker answers (Docker Engine API, ``GET /_ping``).

    Raises:
        NoAnswerError: It does not.
        PermissionError: This user may not ask.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            answer = connection.recv(64)
    except PermissionError:
        raise
    except OSError as error:
        raise NoAnswerError(f"it does not answer: {error.strerror or error}") from error
    if b" 200 " not in answer:
        raise NoAnswerError("it answers, but is not well")


def wait(
    instance: Instance,
    timeout: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    log: Callable[[str], None],
) -> list[Waiting]:
    """Returns what is still waited for: nothing once ready, else when the time is up or a reason is final.

    Args:
        log: Told what is waited for, whenever that changes.
    """
    until = clock() + timeout
    said: list[Waiting] = []
    while True:
        waiting = instance.waiting()
        over = clock() >= until or any(one.final for one in waiting)
        if not waiting or over:
            return waiting
        for one in waiting:
            if one not in said:
                log(f"waiting for {one.what}: {one.why}")
        said = waiting
        sleep(min(POLL_SECONDS, max(0.0, until - clock())))


def main(
    arguments: Sequence[str],
    instance: Instance,
    *,
    clock: Callable[[], float],
    now: Callable[[], float],
    sleep: Callable[[float], None],
    log: Callable[[str], None],
    out: Callable[[str], None],
) -> int:
    """Returns 0 when the instance is ready, else 1."""
    parser = argparse.ArgumentParser(prog="amifactory-ready", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="how long to wait (default: %(default)g); 0 only looks",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--record", action="store_true", help="note the time in /run/amifactory/ready (root)")
    options = parser.parse_args(arguments)
    waiting = wait(instance, options.timeout, clock=clock, sleep=sleep, log=log)
    at = None if waiting else instance.ready_since() or now()
    if at is not None and options.record:
        instance.record(at)
    for one in waiting:
        log(f"not ready: {one.what}: {one.why}")
    if options.json:
        out(json.dumps({"ready": not waiting, "at": at, "waiting": [asdict(one) for one in waiting]}))
    return 1 if waiting else 0


def this_instance() -> Instance:
    """Returns the machine this runs on."""
    return Instance(
        settings=Path("/etc/amifactory"),
        state=Path("/run/amifactory"),
        units=ask_systemd,
        ping_docker=ping_docker,
    )


if __name__ == "__main__":
    sys.exit(
        main(
            sys.argv[1:],
            this_instance(),
            clock=time.monotonic,
            now=time.time,
            sleep=time.sleep,
            log=lambda words: print(words, file=sys.stderr, flush=True),
            out=print,
        )
    )
