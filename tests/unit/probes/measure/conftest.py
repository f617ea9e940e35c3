"""An instance to measure that is only made up: its programs, files, network and clocks."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.probes.measure import main
from amifactory.probes.measure.cutting_off import endpoint_of
from amifactory.probes.measure.instance import Clocks, Ended, Instance
from amifactory.probes.measure.readiness import READY_PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

DIGEST = f"sha256:{'ab' * 32}"
HUB, HUB_ADDRESS, NEWER_ADDRESS = "registry-1.docker.io", "203.0.113.9", "203.0.113.10"
NOW = Clocks(realtime=1_800_000_000.0, monotonic=5_000.0, boottime=5_100.0)
"""The kernel counted 100 s more than the clock that stands still while the machine sleeps."""
FINE = Ended(0, "", "")
READY = Ended(0, '{"ready": true, "at": 1799999950.5, "waiting": []}', "")


@dataclass(kw_only=True)
class Stored:
    """A container image on the made-up instance: what starting it comes to, and how long that takes."""

    digest: str | None = DIGEST
    looked_at: Ended | None = None
    starts: Ended = FINE
    starts_own_program: Ended = FINE
    seconds: float = 0.5


@dataclass(kw_only=True)
class MadeUp(Instance):
    """An instance with these images, names, listeners and units; it notes every command.

    Attributes:
        relies_on_hosts_for: How long Docker goes on with the addresses names had before.
        shown: What systemd shows of units to who asks for more than since when they are active.
    """

    images: dict[str, Stored] = field(default_factory=dict)
    ready: Ended = READY
    docker_info: Ended | None = None
    mirrors: tuple[str, ...] = ()
    proxy: str = ""
    listening: set[tuple[str, int]] = field(
        default_factory=lambda: {(HUB_ADDRESS, 443), (NEWER_ADDRESS, 443)}
    )
    dns: dict[str, list[str]] = field(default_factory=lambda: {HUB: [HUB_ADDRESS]})
    hosts: dict[str, list[str]] = field(default_factory=dict)
    has_ip: bool = True
    relies_on_hosts_for: float = 0.0
    units: dict[str, float] = field(
        default_factory=lambda: {"ssh.service": 4_950.0, "docker.service": 4_960.0}
    )
    unit_files: dict[str, str] = field(default_factory=dict)
    shown: dict[str, dict[str, object]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    mounts: str = "1 0 0:9 / / rw - overlay overlay rw\n"
    said: list[str] = field(default_factory=list)
    now: float = NOW.monotonic
    forbidden: set[tuple[str, int | None]] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)

    def store(self, *references: str, **changes: Any) -> None:
        """Puts images there that are as they ought to be, but for these changes of `Stored`."""
        self.images |= {reference: Stored(**changes) for reference in references}

    def measured(self, prepull: Iterable[str] = (), *registries: str, **more: object) -> dict[str, Any]:
        """Returns what the probe says; whatever it did, it leaves no container."""
        given = {"prepull": dict.fromkeys(prepull, DIGEST), "registries": registries, "ready_timeout": 120.0}
        found = main({**given, "secrets": [], "boot_secrets": False, "drains": False, **more}, self)
        assert json.loads(json.dumps(found)) == found
        assert self.containers == set()
        return found

    def run(self, arguments: Sequence[str], *, seconds: float, errors_to_stderr: bool = False) -> Ended:
        assert seconds > 0
        assert errors_to_stderr is (arguments[0] == READY_PROGRAM)
        self.said.append(" ".join(arguments))
        programs: Mapping[str, Callable[[Sequence[str]], Ended]] = {
            READY_PROGRAM: self._amifactory_ready,
            "docker": self._docker,
            "getent": self._getent,
            "ip": self._ip,
            "systemctl": self._systemctl,
        }
        return programs[arguments[0]](arguments[1:])

    def read(self, path: str) -> str:
        return {
            "/proc/1/stat": f"1 (a) b) S {' '.join(str(number) for number in range(4, 22))} 505000 23",
            "/proc/self/mountinfo": self.mounts,
        }[path]

    def read_or(self, path: str, otherwise: str) -> str:
        return self.settings.get(path, otherwise)

    def append(self, path: str, text: str) -> None:
        assert path == "/etc/hosts"
        for line in text.splitlines():
            if line and not line.startswith("#"):
                address, name = line.split()
                self.hosts.setdefault(name, []).append(address)

    def connects(self, host: str, port: int) -> bool:
        return self._reaches(self._look_up(host), port)

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def clocks(self) -> Clocks:
        return Clocks(NOW.realtime, self.now, NOW.boottime)

    def used_bytes(self, mounted: str) -> int:
        return {"/": 1000, "/data disk": 20, "/docker": 20, "/boot/efi": 3}[mounted]

    def _look_up(self, host: str) -> list[str]:
        return self.hosts.get(host) or self.dns.get(host) or [host]

    def _reaches(self, addresses: Sequence[str], port: int) -> bool:
        ways = {(address, port) for address in addresses} & self.listening
        own = {way for way in ways if way[0].startswith("127.")}  # no rule comes before these
        return bool(own or {way for way in ways if not self.forbidden & {way, (way[0], None)}})

    def _amifactory_ready(self, rest: Sequence[str]) -> Ended:
        assert rest == ["--json", "--timeout", "120"]
        return self.ready

    def _getent(self, rest: Sequence[str]) -> Ended:
        found = [address for address in self._look_up(rest[1]) if address[0].isdigit()]
        return Ended(0 if found else 2, "".join(f"{one} STREAM a\n{one} DGRAM\n" for one in found), "")

    def _ip(self, rest: Sequence[str]) -> Ended:
        if not self.has_ip:
            return Ended(127, "", "ip: No such file or directory")
        pattern = r"-[46] rule add pref 100 to (\S+)(?: ipproto tcp dport (\d+))? unreachable"
        rule = re.fullmatch(pattern, " ".join(rest))
        assert rule
        way = (rule[1], int(rule[2]) if rule[2] else None)
        if way in self.forbidden:
            return Ended(2, "", "RTNETLINK answers: File exists")
        self.forbidden.add(way)
        return FINE

    def _systemctl(self, rest: Sequence[str]) -> Ended:
        if rest[0] == "is-enabled":
            state = self.unit_files.get(rest[1], "")
            return Ended(0 if state == "enabled" else 1, f"{state}\n" if state else "", "")
        if "--value" not in rest:
            return self._show(rest[rest.index("--") + 1 :], rest[1].partition("=")[2].split(","))
        assert rest[:3] == ["show", "--property=ActiveEnterTimestampMonotonic", "--value"]
        stamps = [str(round(self.units.get(unit, 0) * 1e6)) for unit in rest[3:]]
        return Ended(0, "\n\n".join(stamps) + "\n", "")

    def _show(self, units: Sequence[str], properties: Sequence[str]) -> Ended:
        blocks = [
            "".join(f"{name}={self.shown.get(unit, {}).get(name, '')}\n" for name in properties)
            for unit in units
        ]
        return Ended(0, "\n".join(blocks), "")

    def _docker(self, rest: Sequence[str]) -> Ended:
        commands: Mapping[str, Callable[[Sequence[str]], Ended]] = {
            "info": self._docker_info,
            "image": self._docker_inspect,
            "pull": self._docker_pull,
            "run": self._docker_run,
            "rm": self._docker_rm,
        }
        return commands[rest[0]](rest[1:])

    def _docker_info(self, _: Sequence[str]) -> Ended:
        registries = {"Mirrors": None, "IndexConfigs": {"docker.io": {"Mirrors": list(self.mirrors)}}}
        info = {"ServerVersion": "20.10", "RegistryConfig": registries, "HttpsProxy": self.proxy}
        return self.docker_info or Ended(0, json.dumps(info), "")

    def _docker_inspect(self, rest: Sequence[str]) -> Ended:
        image = self.images.get(rest[1])
        if image is None:
            return Ended(1, "[]\n", f"Error: No such image: {rest[1]}\n")
        if image.looked_at:
            return image.looked_at
        digests = [f"repository@{image.digest}"] if image.digest else []
        return Ended(0, json.dumps([{"RepoDigests": digests}]), "")

    def _docker_pull(self, rest: Sequence[str]) -> Ended:
        assert rest == ["--quiet", f"repository@{DIGEST}"]
        relies_on_old = self.now < NOW.monotonic + self.relies_on_hosts_for
        for host, port in map(endpoint_of, (*self.mirrors, HUB)):
            if self._reaches([NEWER_ADDRESS] if relies_on_old else self._look_up(host), port):
                return FINE
        return Ended(1, "", 'Error: Get "https://…/v2/": dial tcp 192.0.2.1:443: network is unreachable')

    def _docker_run(self, rest: Sequence[str]) -> Ended:
        image = self.images[rest[-1]]
        assert "--network none --pull never" in " ".join(rest)
        self.now += image.seconds
        own = "--entrypoint" not in rest
        ended = image.starts_own_program if own else image.starts
        if own or ended.status is None:
            self.containers.add(rest[rest.index("--name") + 1])
        return ended

    def _docker_rm(self, rest: Sequence[str]) -> Ended:
        assert rest[0] == "--force"
        self.containers.discard(rest[1])
        return FINE


@pytest.fixture
def here() -> MadeUp:
    """Returns an instance that is ready, has no image, and reaches Docker Hub."""
    return MadeUp()
