"""The measuring probe on a made-up instance: what it waits for, cuts off, starts, and says of each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.probes.measure import main
from amifactory.probes.measure.cutting_off import SINKS, endpoint_of
from amifactory.probes.measure.instance import Clocks, Ended, Instance
from amifactory.probes.measure.readiness import READY_PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DIGEST = f"sha256:{'ab' * 32}"
OTHER_DIGEST = f"sha256:{'cd' * 32}"
HUB, HUB_ADDRESS, NEWER_ADDRESS = "registry-1.docker.io", "203.0.113.9", "203.0.113.10"
MIRROR = "198.51.100.2"
NOW = Clocks(realtime=1_800_000_000.0, monotonic=5_000.0, boottime=5_100.0)
"""The kernel counted 100 s more than the clock that stands still while the machine sleeps."""
FINE = Ended(0, "", "")
READY = Ended(0, '{"ready": true, "at": 1799999950.5, "waiting": []}', "")
NO_TRUE = Ended(127, "", 'exec: "true": executable file not found in $PATH')
OTHER_ARCHITECTURE = (
    "WARNING: The requested image's platform (linux/arm64) does not match the detected host platform "
    "(linux/amd64) and no specific platform was requested"
)


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
    settings: dict[str, str] = field(default_factory=dict)
    mounts: str = "1 0 0:9 / / rw - overlay overlay rw\n"
    said: list[str] = field(default_factory=list)
    now: float = NOW.monotonic
    forbidden: set[tuple[str, int | None]] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)

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
        assert rest[:3] == ["show", "--property=ActiveEnterTimestampMonotonic", "--value"]
        stamps = [str(round(self.units.get(unit, 0) * 1e6)) for unit in rest[3:]]
        return Ended(0, "\n\n".join(stamps) + "\n", "")

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


def measured(
    here: MadeUp, prepull: Mapping[str, str] | None = None, *registries: str, **more: object
) -> dict[str, Any]:
    """Returns what the probe says; whatever it did, it leaves no container."""
    given = {"prepull": prepull or {}, "registries": registries, "ready_timeout": 120.0}
    found = main({**given, "secrets": [], "boot_secrets": False, "drains": False, **more}, here)
    assert json.loads(json.dumps(found)) == found
    assert here.containers == set()
    return found


def test_times_are_those_of_units_by_the_clock_as_it_stands_now() -> None:
    found = measured(MadeUp())
    assert found["booted_at"] == NOW.realtime - (NOW.boottime - 5_050.0)
    assert found["ssh_at"] == NOW.realtime - 50
    assert found["docker_at"] == NOW.realtime - 40
    assert found["ready_at"] == 1_799_999_950.5
    assert found["ready_problem"] is None


def test_settings_that_the_hooks_do_not_know_of_are_told() -> None:
    here = MadeUp(settings={"/etc/amifactory/secrets.json": '[{"name": "known"}]'})
    assert measured(here, secrets=["known"])["ready_problem"] is None
    problem = measured(here, secrets=["known", "token"], drains=True)["ready_problem"]
    assert problem["of"] == "image"
    assert problem["why"].startswith('the instance knows nothing of secret "token", drain: ')


DRAIN, FETCH, REFRESH = "amifactory-drain.service", "amifactory-secrets.service", "amifactory-secrets.timer"


@pytest.mark.parametrize(
    ("states", "needs", "problem"),
    [
        ({DRAIN: "enabled"}, {"drains"}, None),
        ({DRAIN: "disabled"}, {"drains"}, f"{DRAIN} is disabled"),
        ({DRAIN: "masked"}, set(), None),
        ({}, {"drains"}, f"{DRAIN} is not there"),
        ({FETCH: "enabled", REFRESH: "enabled"}, {"boot_secrets"}, None),
        ({FETCH: "enabled", REFRESH: "disabled"}, {"boot_secrets"}, f"{REFRESH} is disabled"),
        (
            {FETCH: "masked", REFRESH: "static", DRAIN: "enabled"},
            {"boot_secrets", "drains"},
            f"{FETCH} is masked, {REFRESH} is static",
        ),
    ],
)
def test_units_that_settings_need_have_to_start_with_the_instance(
    states: dict[str, str], needs: set[str], problem: str | None
) -> None:
    here = MadeUp(settings={"/etc/amifactory/drain.json": "{}"}, unit_files=states)
    found = measured(here, boot_secrets="boot_secrets" in needs, drains="drains" in needs)["ready_problem"]
    assert (found and found["why"].partition(":")[0]) == problem
    assert found is None or found["of"] == "image"


def test_sshd_that_a_socket_starts_answers_since_the_socket_listens() -> None:
    found = measured(MadeUp(units={"ssh.socket": 4_940.0, "ssh.service": 4_990.0}))
    assert found["ssh_at"] == NOW.realtime - 60
    assert found["docker_at"] is None


def waiting(*reasons: tuple[str, str, str, bool]) -> Ended:
    listed = [dict(zip(("what", "why", "of", "final"), reason, strict=True)) for reason in reasons]
    return Ended(1, json.dumps({"ready": False, "at": None, "waiting": listed}), "")


DENIED, BROKEN = ("secret x", "denied", "account", True), ("Docker", "failed", "image", True)
FETCHING, STARTING = ("secret y", "is fetched", "account", False), ("Docker", "starts", "image", False)
NOT_INSTALLED = (
    f"{READY_PROGRAM} is not on the instance: shared/provision/install-hooks.sh puts it there, "
    "and build.pkr.hcl has to run that"
)
NOT_UNDERSTOOD = "and said nothing that is understood"


@pytest.mark.parametrize(
    ("said", "why", "whose"),
    [
        (Ended(127, "", ""), NOT_INSTALLED, "image"),
        (Ended(None, "", ""), f"{READY_PROGRAM} did not end by itself within 120 s", "image"),
        (Ended(1, "Trace", ""), f"{READY_PROGRAM} ended with exit status 1 {NOT_UNDERSTOOD}", "image"),
        (
            Ended(0, '{"ready": true, "at": null}', ""),
            f"{READY_PROGRAM} ended with exit status 0 {NOT_UNDERSTOOD}",
            "image",
        ),
        (waiting(DENIED), "secret x: denied", "account"),
        (waiting(DENIED, BROKEN), "secret x: denied; Docker: failed", "image"),
        (waiting(STARTING, DENIED), "secret x: denied", "account"),
        (waiting(FETCHING, BROKEN), "Docker: failed", "image"),
        (waiting(FETCHING, STARTING), "secret y: is fetched; Docker: starts", "image"),
        (waiting(FETCHING), "secret y: is fetched", "account"),
        (waiting(), "it does not say for what it waits", "image"),
    ],
)
def test_why_it_is_not_ready_and_whose_fault_that_is(said: Ended, why: str, whose: str) -> None:
    found = measured(MadeUp(ready=said))
    assert found["ready_at"] is None
    assert found["ready_problem"] == {"why": why, "of": whose}


def test_each_image_is_started_in_turn_once_all_is_cut_off_and_before_it_is_pulled() -> None:
    images = {"node:22": Stored(seconds=1.25), "alpine:3.20": Stored(seconds=0.5)}
    here = MadeUp(images=images)
    found = measured(here, dict.fromkeys(images, DIGEST), HUB)
    assert found["first_run"] == {"alpine:3.20": 0.5, "node:22": 1.25}
    assert found["prepull_problems"] == {}
    assert found["cut_off"] == [HUB]
    assert here.forbidden == {(HUB_ADDRESS, 443), *((sink, None) for sink in SINKS)}
    docker = [said.split()[1] for said in here.said if said.startswith("docker")]
    assert docker == ["info", *["image", "run", "rm", "pull"] * 2]
    runs = [said.split()[-1] for said in here.said if said.startswith("docker run")]
    assert runs == ["alpine:3.20", "node:22"]
    first_run = next(number for number, said in enumerate(here.said) if said.startswith("docker run"))
    assert not any(said.startswith("ip ") for said in here.said[first_run:])


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (None, "it is not on the instance"),
        (Stored(digest=OTHER_DIGEST), f"the one on the instance is {OTHER_DIGEST}, not {DIGEST}"),
        (Stored(digest=None), f"the one on the instance is one that came from no registry, not {DIGEST}"),
        (
            Stored(starts=Ended(125, "", "docker: layer does not exist.\nSee 'docker run --help'.\n")),
            "it does not run: docker: layer does not exist.",
        ),
        (
            Stored(starts=Ended(1, "", f"{OTHER_ARCHITECTURE}\nexec /bin/true: exec format error\n")),
            f"it does not run: {OTHER_ARCHITECTURE}",
        ),
        (Stored(starts=Ended(139, "", "")), "it does not run: exit status 139"),
        (Stored(starts=Ended(None, "", "")), "it did not start within 300 s"),
        (
            Stored(starts=NO_TRUE, starts_own_program=Ended(125, "", "docker: No command specified.")),
            "it does not run: docker: No command specified.",
        ),
        (
            Stored(starts=NO_TRUE, starts_own_program=Ended(None, "", "")),
            "it did not start within 300 s",
        ),
        (
            Stored(starts=NO_TRUE, starts_own_program=Ended(0, "2d07e268\n", f"{OTHER_ARCHITECTURE}\n")),
            f"it does not run: {OTHER_ARCHITECTURE}",
        ),
    ],
)
def test_an_image_that_is_not_right_is_told_and_has_no_time(stored: Stored | None, problem: str) -> None:
    found = measured(MadeUp(images={"app:1": stored} if stored else {}), {"app:1": DIGEST}, HUB)
    assert found["prepull_problems"] == {"app:1": problem}
    assert found["first_run"] == {}


def test_an_image_of_another_architecture_that_runs_all_the_same_is_right() -> None:
    stored = Stored(starts=Ended(0, "", f"{OTHER_ARCHITECTURE}\n"))
    assert measured(MadeUp(images={"app:1": stored}), {"app:1": DIGEST}, HUB)["prepull_problems"] == {}


@pytest.mark.parametrize(
    ("stuck", "problem"),
    [
        (Stored(starts=Ended(None, "", "")), "it did not start within 300 s"),
        (Stored(looked_at=Ended(None, "", "")), "Docker did not look at it within 60 s"),
    ],
)
def test_once_docker_hangs_no_further_image_is_tried(stuck: Stored, problem: str) -> None:
    here = MadeUp(images={"app:1": Stored(), "app:2": stuck, "app:3": Stored(), "app:4": Stored()})
    found = measured(here, dict.fromkeys(here.images, DIGEST), HUB)
    untried = f"it was not tried after app:2: {problem}"
    assert found["prepull_problems"] == {"app:2": problem, "app:3": untried, "app:4": untried}
    assert found["first_run"] == {"app:1": 0.5}
    assert not any("app:3" in said or "app:4" in said for said in here.said)


@pytest.mark.parametrize("without_true", [NO_TRUE, Ended(126, "", 'exec: "true": permission denied')])
def test_an_image_without_true_runs_its_own_program_and_both_starts_count(without_true: Ended) -> None:
    here = MadeUp(images={"app:1": Stored(starts=without_true, seconds=0.5)})
    found = measured(here, {"app:1": DIGEST}, HUB)
    assert found["first_run"] == {"app:1": 1.0}
    assert found["prepull_problems"] == {}


def test_mirrors_and_proxies_that_docker_knows_are_cut_off_too() -> None:
    here = MadeUp(
        images={"app:1": Stored()},
        mirrors=(f"http://{MIRROR}:5000/",),
        proxy="http://user:xxxxx@10.0.0.3:3128",
    )
    here.listening |= {(MIRROR, 5000), ("10.0.0.3", 3128)}
    found = measured(here, {"app:1": DIGEST}, HUB)
    assert found["cut_off"] == [HUB, f"{MIRROR}:5000", "10.0.0.3:3128"]
    assert found["prepull_problems"] == {}
    assert not here.connects(MIRROR, 5000)


def test_only_the_port_of_a_registry_is_cut_off() -> None:
    here = MadeUp(listening={(MIRROR, 5000), (MIRROR, 22)})
    assert measured(here, {}, f"{MIRROR}:5000")["cut_off"] == [f"{MIRROR}:5000"]
    assert not here.connects(MIRROR, 5000)
    assert here.connects(MIRROR, 22)


def test_a_registry_that_still_answers_fails_every_image_and_is_not_called_cut_off() -> None:
    images = {"app:1": Stored(), "app:2": Stored()}
    here = MadeUp(images=images, mirrors=(f"http://{MIRROR}:5000/",), has_ip=False)
    here.listening.add((MIRROR, 5000))
    found = measured(here, dict.fromkeys([*images, "app:3"], DIGEST), HUB)
    problem = (
        f"the registries cannot be cut off: {MIRROR}:5000 still answers (ip -4 rule add pref 100 to "
        f"{HUB_ADDRESS} ipproto tcp dport 443 unreachable: ip: No such file or directory)"
    )
    assert found["cut_off"] == [HUB]
    assert found["prepull_problems"] == {
        "app:1": problem,
        "app:2": problem,
        "app:3": "it is not on the instance",
    }
    assert found["first_run"] == {"app:1": 0.5, "app:2": 0.5}


def test_a_mirror_on_the_instance_itself_cannot_be_cut_off_and_that_is_said_each_time() -> None:
    here = MadeUp(images={"app:1": Stored()}, mirrors=("http://127.0.0.1:5000/",))
    here.listening.add(("127.0.0.1", 5000))
    for _ in range(2):
        assert measured(here, {"app:1": DIGEST}, HUB)["prepull_problems"] == {
            "app:1": "the registries cannot be cut off: 127.0.0.1:5000 still answers"
        }


def test_a_way_that_nobody_named_shows_when_docker_still_pulls() -> None:
    found = measured(MadeUp(images={"app:1": Stored()}), {"app:1": DIGEST})
    problem = "its registry cannot be cut off, and answers a pull with: the image"
    assert found["cut_off"] == []
    assert found["prepull_problems"] == {"app:1": problem}


def test_docker_is_asked_again_once_it_has_forgotten_old_addresses() -> None:
    here = MadeUp(images={"app:1": Stored()}, relies_on_hosts_for=4.0)
    assert measured(here, {"app:1": DIGEST}, HUB)["prepull_problems"] == {}
    assert sum(said.startswith("docker pull") for said in here.said) == 2


def test_measuring_twice_finds_the_same() -> None:
    here = MadeUp(images={"app:1": Stored()})
    first = measured(here, {"app:1": DIGEST}, HUB)
    second = measured(here, {"app:1": DIGEST}, HUB)
    assert first["prepull_problems"] == second["prepull_problems"] == {}
    assert first["cut_off"] == second["cut_off"]


def test_localhost_keeps_its_address() -> None:
    here = MadeUp(mirrors=("http://localhost:5000/", "http://mirror.example.com/"))
    measured(here)
    assert here.hosts == {"mirror.example.com": list(SINKS)}


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        (Ended(127, "", "docker: No such file or directory"), "Docker is not installed on the instance"),
        (
            Ended(1, '{"ServerErrors": ["Cannot connect"]}', "errors pretty printing info"),
            "Docker does not answer: Cannot connect",
        ),
        (
            Ended(0, '{"ServerVersion": "", "ServerErrors": ["Cannot connect"]}', ""),
            "Docker does not answer: Cannot connect",
        ),
        (Ended(1, "", "permission denied\n"), "Docker does not answer: permission denied"),
        (Ended(None, "", ""), "Docker does not answer: it took too long"),
    ],
)
def test_without_docker_there_is_nothing_to_start(info: Ended, problem: str) -> None:
    here = MadeUp(images={"app:1": Stored()}, docker_info=info)
    found = measured(here, {"app:1": DIGEST}, HUB)
    assert found["prepull_problems"] == {"app:1": problem}
    assert found["docker_at"] is None
    assert not any(said.startswith("docker run") for said in here.said)


def test_the_disks_of_an_instance_are_counted_once_each() -> None:
    mounts = (
        "21 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n"
        "22 21 0:5 / /dev rw - devtmpfs udev rw\n"
        "23 21 259:2 /docker /docker rw - xfs /dev/nvme1n1 rw\n"
        "24 21 259:2 / /data\\040disk rw - xfs /dev/nvme1n1 rw\n"
        "25 21 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro\n"
        "26 21 259:3 / /boot/efi rw - vfat /dev/nvme0n1p15 rw\n"
    )
    assert measured(MadeUp(mounts=mounts))["disk_used_bytes"] == 1023


def test_a_root_that_is_no_disk_of_the_instance_says_nothing_of_its_size() -> None:
    assert measured(MadeUp())["disk_used_bytes"] is None


@pytest.mark.parametrize(
    ("text", "endpoint", "shown"),
    [
        ("registry.example.com", ("registry.example.com", 443), "registry.example.com"),
        ("registry.example.com:5000", ("registry.example.com", 5000), "registry.example.com:5000"),
        ("http://mirror.example.com/", ("mirror.example.com", 80), "mirror.example.com:80"),
        ("https://mirror.example.com/cache", ("mirror.example.com", 443), "mirror.example.com"),
        ("[2001:db8::1]", ("2001:db8::1", 443), "2001:db8::1"),
        ("http://user:xxxxx@proxy:3128", ("proxy", 3128), "proxy:3128"),
    ],
)
def test_endpoints_are_read_from_hosts_and_urls(text: str, endpoint: tuple[str, int], shown: str) -> None:
    assert endpoint_of(text) == endpoint
    assert str(endpoint_of(text)) == shown
