"""Measures, on a freshly booted instance, how soon it was of use, and proves its pre-pulled images.

Runs on the instance as root. It waits for the ready signal, cuts the instance off from the container
registries for good, and then starts each pre-pulled image once, one after the other: the first start reads
the image from a cold disk. So nothing here reads an image's layers before that, nor anything else meanwhile.

Times are by the instance's clock as it stands at the end. Those of units are taken from a clock that nobody
sets, so it does not matter when time synchronization put the other one right.

Input: ``{"prepull": {reference: digest}, "registries": ["host", "host:port"], "ready_timeout": seconds,
"secrets": [names], "drains": bool}``.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

READY_PROGRAM = "/usr/local/bin/amifactory-ready"
SETTINGS = "/etc/amifactory"
READY_SPARE = 30.0
"""Seconds that `READY_PROGRAM` may take longer than its own limit."""
RUN_SECONDS = 300.0
"""How long the first start of an image may take: more than any budget, so that slow is told from stuck."""
ANSWER_SECONDS = 60.0
"""How long any other program may take."""
LOOK_UP_SECONDS = 3.0
"""How long one name may take to resolve, and one connection to a registry that ought to be cut off."""

HOSTS_SECONDS = 5.0
"""How long a Go program, such as Docker, relies on what it read in `HOSTS` (Go, ``net/hosts.go``)."""

SINKS = ("192.0.2.1", "100::1")
"""Where the names of registries lead once cut off: nowhere (RFC 5737, documentation; RFC 6666, discard)."""
HOSTS = "/etc/hosts"
SSH_UNITS = ("ssh.socket", "sshd.socket", "ssh.service", "sshd.service")
_NOT_FOUND = 127
"""What a shell says of a program that is not there (POSIX), and Docker of one that an image does not have."""
_CANNOT_EXECUTE = 126
_ADVICE = ("See 'docker ", "Run 'docker ")
"""How the last line of what Docker's command says begins, which helps nobody."""
_OTHER_ARCHITECTURE = "does not match the detected host platform"
"""Docker's warning that an image is for another architecture; what comes after it says so less clearly."""
_START_TIME = 19
"""Which field after the name in ``/proc/<pid>/stat`` is the start time (proc(5): field 22 of all)."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PREFERENCE = "100"
"""Where in the list of routing rules ours stand: before every table but the instance's own addresses."""
_PORTS = {"http": 80, "https": 443, "": 443}


class Ended(NamedTuple):
    """How a program ended; ``status`` is None when it took too long and was killed."""

    status: int | None
    output: str
    errors: str

    @property
    def why(self) -> str:
        """Returns the line that says what went wrong."""
        if self.status is None:
            return "it took too long"
        said = [line.strip() for line in self.errors.splitlines() if line.strip()]
        said = [line for line in said if not line.startswith(_ADVICE)] or [f"exit status {self.status}"]
        return next((line for line in said if _OTHER_ARCHITECTURE in line), said[-1])


class Clocks(NamedTuple):
    """The instance's clocks at one moment, in seconds: since 1970, and two since the kernel started."""

    realtime: float
    monotonic: float
    boottime: float


class Instance:
    """The machine that this runs on; a test's has made-up programs and files."""

    def run(self, arguments: Sequence[str], *, seconds: float, errors_to_stderr: bool = False) -> Ended:
        """Runs a program to its end, with nothing on its stdin."""
        path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        try:
            ended = subprocess.run(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if errors_to_stderr else subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
                env={**os.environ, "PATH": path, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            return Ended(None, "", "")
        except FileNotFoundError as error:
            return Ended(_NOT_FOUND, "", f"{arguments[0]}: {error.strerror}")
        except OSError as error:
            return Ended(_CANNOT_EXECUTE, "", f"{arguments[0]}: {error.strerror}")
        return Ended(ended.returncode, ended.stdout, ended.stderr or "")

    def read(self, path: str) -> str:
        """Returns the text of a file."""
        return Path(path).read_text(encoding="utf-8", errors="replace")

    def read_or(self, path: str, otherwise: str) -> str:
        """Returns the text of a file, or this where there is none."""
        try:
            return self.read(path)
        except FileNotFoundError:
            return otherwise

    def append(self, path: str, text: str) -> None:
        """Adds to a file, which stays the same file: it may be a mount."""
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)

    def connects(self, host: str, port: int) -> bool:
        """Returns whether somebody takes a TCP connection there."""
        try:
            socket.create_connection((host, port), timeout=LOOK_UP_SECONDS).close()
        except OSError:
            return False
        return True

    def pause(self, seconds: float) -> None:
        """Lets time pass."""
        time.sleep(seconds)

    def clocks(self) -> Clocks:
        """Returns all clocks, read at once."""
        return Clocks(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))

    def used_bytes(self, mounted: str) -> int:
        """Returns how much of a file system is in use."""
        found = os.statvfs(mounted)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


def main(given: Mapping[str, Any], instance: Instance | None = None) -> dict[str, Any]:
    """Returns what was measured."""
    here = instance or Instance()
    prepull: Mapping[str, str] = given["prepull"]
    ready_at, ready_problem = wait_until_ready(here, given["ready_timeout"])
    ready_problem = ready_problem or unlisted_settings(here, given["secrets"], drains=given["drains"])
    docker = ask_docker(here)
    cut_off, uncut = cut_off_registries(here, [*given["registries"], *docker.ways_out])
    first_run, problems = prove_images(here, prepull, docker.problem, uncut)
    return {
        **boot(here, docker),
        "ready_at": ready_at,
        "ready_problem": ready_problem,
        "first_run": first_run,
        "prepull_problems": problems,
        "cut_off": cut_off,
        "disk_used_bytes": disk_used(here),
    }


def unlisted_settings(here: Instance, secrets: Sequence[str], *, drains: bool) -> dict[str, str] | None:
    """Returns which settings of the image its hooks do not know of, so that nothing came of them."""
    known = {secret["name"] for secret in json.loads(here.read_or(f"{SETTINGS}/secrets.json", "[]"))}
    missing = [f'secret "{name}"' for name in secrets if name not in known]
    if drains and not here.read_or(f"{SETTINGS}/drain.json", ""):
        missing.append("drain")
    if not missing:
        return None
    return _image_fault(
        f"the instance knows nothing of {', '.join(missing)}: "
        "shared/provision/install-hooks.sh lists it, and build.pkr.hcl has to run that"
    )


def wait_until_ready(here: Instance, timeout: float) -> tuple[float | None, dict[str, str] | None]:
    """Returns when the instance was ready, or why it is not and whose fault that is."""
    command = [READY_PROGRAM, "--json", "--timeout", f"{timeout:g}"]
    ended = here.run(command, seconds=timeout + READY_SPARE, errors_to_stderr=True)
    if ended.status == _NOT_FOUND:
        return None, _image_fault(
            f"{READY_PROGRAM} is not on the instance: "
            "shared/provision/install-hooks.sh puts it there, and build.pkr.hcl has to run that"
        )
    if ended.status is None:
        return None, _image_fault(f"{READY_PROGRAM} did not end by itself within {timeout:g} s")
    try:
        said = json.loads(ended.output)
        if said["ready"]:
            return float(said["at"]), None
        waiting = [(f"{one['what']}: {one['why']}", one["of"]) for one in said["waiting"]]
    except (ValueError, TypeError, KeyError):
        return None, _image_fault(
            f"{READY_PROGRAM} ended with {ended.why} and said nothing that is understood"
        )
    why = "; ".join(reason for reason, _ in waiting) or "it does not say for what it waits"
    # What is wrong with the image is wrong whatever the account has.
    of_image = not waiting or any(whose == "image" for _, whose in waiting)
    return None, {"why": why, "of": "image" if of_image else "account"}


def _image_fault(why: str) -> dict[str, str]:
    return {"why": why, "of": "image"}


class Docker(NamedTuple):
    """What the Docker daemon says of itself.

    Attributes:
        problem: Why it is of no use.
        ways_out: Mirrors and proxies: registries are reached through these too.
    """

    problem: str | None
    ways_out: tuple[str, ...]


def ask_docker(here: Instance) -> Docker:
    """Returns what Docker says; where it starts on demand, this starts it."""
    ended = here.run(["docker", "info", "--format", "{{json .}}"], seconds=ANSWER_SECONDS)
    if ended.status == _NOT_FOUND:
        return Docker("Docker is not installed on the instance", ())
    try:
        info = json.loads(ended.output)
    except ValueError:
        info = {}
    if ended.status != 0 or not info.get("ServerVersion"):
        why = (info.get("ServerErrors") or [ended.why])[-1]
        return Docker(f"Docker does not answer: {why}", ())
    registries = info.get("RegistryConfig") or {}
    mirrors = list(registries.get("Mirrors") or ())
    for index in (registries.get("IndexConfigs") or {}).values():
        mirrors += index.get("Mirrors") or ()
    proxies = [info.get("HttpProxy"), info.get("HttpsProxy")]
    ways_out = dict.fromkeys(way for way in [*mirrors, *proxies] if way)
    return Docker(None, tuple(ways_out))


class Endpoint(NamedTuple):
    """Where a registry, a mirror or a proxy listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return self.host if self.port == _PORTS["https"] else f"{self.host}:{self.port}"


def endpoint_of(text: str) -> Endpoint:
    """Returns the endpoint of a URL, a ``host`` or a ``host:port``; without a scheme it is HTTPS."""
    parts = urlsplit(text if "://" in text else f"//{text}")
    return Endpoint(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443))


def cut_off_registries(here: Instance, ways: Iterable[str]) -> tuple[list[str], str | None]:
    """Makes every way to a registry lead nowhere; returns those that do, and what is wrong when one does not.

    A name gets an address that nobody has; the addresses it had until now, and those given as such, cannot be
    reached on that port any more. Only on that port: the same machine may be where we are called from.
    """
    endpoints = list(dict.fromkeys(endpoint_of(way) for way in ways))
    refusals = [refused for endpoint in endpoints for refused in _close(here, endpoint)]
    names = dict.fromkeys(endpoint.host for endpoint in endpoints if _is_name(endpoint.host))
    if names:
        lines = [f"{sink} {name}" for name in names for sink in SINKS]
        here.append(
            HOSTS, "\n".join(["", "# Cut off by amifactory, to see that no registry is needed", *lines, ""])
        )
        refusals += [refused for sink in SINKS for refused in _forbid(here, sink)]
    open_ones = [endpoint for endpoint in endpoints if here.connects(endpoint.host, endpoint.port)]
    cut = [str(endpoint) for endpoint in endpoints if endpoint not in open_ones]
    if not open_ones:
        return cut, None
    because = f" ({refusals[0]})" if refusals else ""
    return cut, f"the registries cannot be cut off: {open_ones[0]} still answers{because}"


def _is_name(host: str) -> bool:
    """Returns whether a host is a name, and not the instance's own, which has to stay what it is."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def _close(here: Instance, endpoint: Endpoint) -> Iterator[str]:
    found = here.run(["getent", "ahosts", endpoint.host], seconds=LOOK_UP_SECONDS)
    for address in dict.fromkeys(line.split()[0] for line in found.output.splitlines()):
        yield from _forbid(here, address, endpoint.port)


def _forbid(here: Instance, address: str, port: int | None = None) -> Iterator[str]:
    """Forbids the way to an address; yields what ``ip`` says when it cannot, unless that is done already."""
    family = f"-{ipaddress.ip_address(address).version}"
    only = [] if port is None else ["ipproto", "tcp", "dport", str(port)]
    command = ["ip", family, "rule", "add", "pref", _PREFERENCE, "to", address, *only, "unreachable"]
    ended = here.run(command, seconds=ANSWER_SECONDS)
    if ended.status != 0 and "File exists" not in ended.errors:
        yield f"{' '.join(command)}: {ended.why}"


def prove_images(
    here: Instance, prepull: Mapping[str, str], broken: str | None, uncut: str | None
) -> tuple[dict[str, float], dict[str, str]]:
    """Returns how long the first start of each image took, and what is wrong with those that are not right.

    ``broken`` says why Docker is of no use, ``uncut`` which registry is still reached, if so.
    """
    first_run: dict[str, float] = {}
    problems: dict[str, str] = {}
    for number, (reference, digest) in enumerate(sorted(prepull.items())):
        pinned, problem = (None, broken) if broken else find(here, reference, digest)
        if pinned:
            taken, problem = first_start(here, reference, f"amifactory-first-run-{os.getpid()}-{number}")
            problem = problem or uncut or reached(here, pinned)
            if taken is not None:
                first_run[reference] = round(taken, 3)
        if problem:
            problems[reference] = problem
    return first_run, problems


def find(here: Instance, reference: str, digest: str) -> tuple[str | None, str | None]:
    """Returns an image's name with its digest, or why it is not the right one, by Docker's books."""
    ended = here.run(["docker", "image", "inspect", reference], seconds=ANSWER_SECONDS)
    if ended.status != 0:
        absent = "no such image" in ended.errors.lower()
        return None, "it is not on the instance" if absent else f"Docker cannot look at it: {ended.why}"
    known = json.loads(ended.output)[0].get("RepoDigests") or ["@one that came from no registry"]
    for pinned in known:
        if pinned.endswith(f"@{digest}"):
            return pinned, None
    return None, f"the one on the instance is {known[0].partition('@')[2]}, not {digest}"


def reached(here: Instance, pinned: str) -> str | None:
    """Returns how Docker still gets an answer to a pull; None when it does not.

    Pulling by digest what is there already moves nothing but a manifest, should it succeed.
    """
    for wait in (0.0, HOSTS_SECONDS):
        here.pause(wait)
        ended = here.run(["docker", "pull", "--quiet", pinned], seconds=ANSWER_SECONDS)
        # Go's words for a connection that does not come about; anything else was said by a registry.
        if ended.status != 0 and "dial tcp" in ended.errors:
            return None
    said = "the image" if ended.status == 0 else ended.why
    return f"its registry cannot be cut off, and answers a pull with: {said}"


def first_start(here: Instance, reference: str, name: str) -> tuple[float | None, str | None]:
    """Returns how many seconds the first start of an image took, or why Docker cannot start it.

    It runs ``true`` to its end. An image without that is started a second time, with its own program, and
    both count; once that runs it has shown what it should, and is removed. The first image of all also pays
    for what Docker itself reads for the first time.
    """
    fixed = ["--name", name, "--network", "none", "--pull", "never"]
    began = here.clocks().monotonic
    ended = here.run(
        ["docker", "run", "--rm", *fixed, "--entrypoint", "true", reference], seconds=RUN_SECONDS
    )
    if ended.status in (_CANNOT_EXECUTE, _NOT_FOUND):
        ended = here.run(["docker", "run", "--detach", *fixed, reference], seconds=RUN_SECONDS)
    taken = here.clocks().monotonic - began
    here.run(["docker", "rm", "--force", name], seconds=ANSWER_SECONDS)
    if ended.status is None:
        return None, f"it did not start within {RUN_SECONDS:g} s"
    if ended.status != 0:
        return None, f"it does not run: {ended.why}"
    return taken, None


def boot(here: Instance, docker: Docker) -> dict[str, Any]:
    """Returns which boot this is, and when it, sshd and Docker began."""
    ticks = int(here.read("/proc/1/stat").rpartition(")")[2].split()[_START_TIME])
    clocks = here.clocks()

    def entered(units: Sequence[str]) -> float | None:
        """Returns when the first of the units that run became active."""
        shown = here.run(
            ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", *units],
            seconds=ANSWER_SECONDS,
        )
        stamps = [int(stamp) / 1e6 for stamp in shown.output.split() if int(stamp)]
        return round(clocks.realtime - (clocks.monotonic - min(stamps)), 3) if stamps else None

    kernel = here.read("/proc/sys/kernel/random/boot_id").strip()
    return {
        "boot_id": f"{kernel}/{ticks}",
        "booted_at": round(clocks.realtime - (clocks.boottime - ticks / _TICKS_PER_SECOND), 3),
        "ssh_at": entered(SSH_UNITS),
        "docker_at": None if docker.problem else entered(["docker.service"]),
    }


def disk_used(here: Instance) -> int | None:
    """Returns the bytes in use on the instance's disks; None where its root is not a disk of its own."""
    disks: dict[str, str] = {}
    for line in here.read("/proc/self/mountinfo").splitlines():
        mount, _, source = line.partition(" - ")
        mounted, device = mount.split()[4], source.split()[1]
        if mounted == "/" and not device.startswith("/dev/"):
            return None
        if device.startswith("/dev/") and not device.startswith("/dev/loop"):
            disks[device] = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), mounted)
    return sum(here.used_bytes(mounted) for mounted in disks.values())


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
