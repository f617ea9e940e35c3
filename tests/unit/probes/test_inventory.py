"""What the probe makes of the files and programs it finds on an instance."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.probes.inventory import ProgramError, main, run_program

if TYPE_CHECKING:
    from pathlib import Path

PASSWD = """root:x:0:0:root:/root:/bin/bash
gitlab-runner:x:1001:1001::/home/gitlab-runner:/bin/bash
+::::::
"""
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n# a comment\n'
SOCKETS = """\
udp UNCONN 0      0   172.31.5.6%ens5:68  0.0.0.0:* users:(("systemd-network",pid=300,fd=20))
udp UNCONN 0      0   127.0.0.53%lo:53    0.0.0.0:* users:(("systemd-resolve",pid=301,fd=13))
udp UNCONN 0      0   [fe80::1]%ens5:546  [::]:*    users:(("systemd-network",pid=300,fd=22))
udp UNCONN 0      0   127.0.0.11:39865    0.0.0.0:*
tcp LISTEN 0      128 0.0.0.0:22          0.0.0.0:* users:(("sshd",pid=95,fd=3),("systemd",pid=1,fd=9))
tcp LISTEN 0      128 [::]:22             [::]:*    users:(("sshd",pid=95,fd=4))
tcp LISTEN 0      5   *:9100              *:*       users:(("node exporter",pid=7,fd=3),("worker",pid=8,fd=3))
"""
PINNED = "sha256:" + "1" * 64
CONFIGURATION = "sha256:" + "2" * 64


@dataclass
class Instance:
    """An instance with what a test puts into it.

    Attributes:
        says: A program and its first argument to what it prints, or why it fails.
        asked: The commands it was given.
    """

    root: Path
    says: dict[str, str | ProgramError] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    def put(self, path: str, text: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, arguments: list[str]) -> str:
        self.asked.append(arguments)
        said = next(
            (said for command, said in self.says.items() if " ".join(arguments).startswith(command)), ""
        )
        if isinstance(said, ProgramError):
            raise said
        return said

    def look(self) -> dict[str, Any]:
        return main({}, root=self.root, run=self.run)


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(tmp_path)
    made.put("usr/bin/dpkg-query")
    return made


def docker_image(*, tags: list[str], digests: list[str]) -> dict[str, object]:
    return {"Id": CONFIGURATION, "RepoTags": tags, "RepoDigests": digests, "Size": 7}


def container_images(instance: Instance, image: dict[str, object]) -> list[tuple[str, str]]:
    instance.put("usr/bin/docker")
    instance.says = {
        "docker image ls": f"{CONFIGURATION}\n{CONFIGURATION}\n",
        "docker image inspect": json.dumps([image]),
    }
    found = instance.look()
    assert found["problems"] == []
    assert next(command for command in instance.asked if "inspect" in command)[3:] == [CONFIGURATION]
    assert {(image["image_id"], image["size"]) for image in found["container_images"]} == {(CONFIGURATION, 7)}
    return [(image["reference"], image["digest"]) for image in found["container_images"]]


def test_distribution_and_kernel_are_named(instance: Instance) -> None:
    instance.put("etc/os-release", OS_RELEASE)
    found = instance.look()
    assert found["os"] == {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"}
    assert found["kernel"]


def test_distribution_without_a_version_has_none(instance: Instance) -> None:
    instance.put("usr/lib/os-release", "ID=arch\n")
    assert instance.look()["os"] == {"id": "arch", "version": "", "name": "arch"}


def test_packages_of_dpkg_are_those_installed(instance: Instance) -> None:
    instance.says["dpkg-query"] = (
        "installed\tcurl\t7.88.1-10+deb12u8\tamd64\nconfig-files\tnano\t7.2-1\tamd64\nunexpected\n"
    )
    assert instance.look()["packages"] == [
        {"name": "curl", "version": "7.88.1-10+deb12u8", "architecture": "amd64", "manager": "deb"}
    ]


def test_packages_of_rpm_are_without_the_keys_it_trusts(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.put("usr/bin/rpm")
    instance.says["rpm"] = "openssl\t1:3.0.8-1.amzn2023.0.1\tx86_64\ngpg-pubkey\td832c631-6515c85e\t(none)\n"
    assert instance.look()["packages"] == [
        {"name": "openssl", "version": "1:3.0.8-1.amzn2023.0.1", "architecture": "x86_64", "manager": "rpm"}
    ]


def test_instance_without_a_package_manager_says_so(tmp_path: Path) -> None:
    found = Instance(tmp_path).look()
    assert found["packages"] == []
    assert found["problems"] == ["packages: neither dpkg-query nor rpm is installed"]


def test_tools_are_what_provisioning_noted_without_the_checksum(instance: Instance) -> None:
    instance.put("etc/amifactory/tools", "jdk-21: 21.0.5+11\npnpm: 9.12.3+sha512.cce0f9de\n\n")
    assert instance.look()["tools"] == [
        {"name": "jdk-21", "version": "21.0.5+11"},
        {"name": "pnpm", "version": "9.12.3"},
    ]


def test_container_image_has_the_digest_of_its_own_repository(instance: Instance) -> None:
    image = docker_image(
        tags=["alpine:3.20", "registry.example.com:5000/mine:1"],
        digests=[f"alpine@{PINNED}", f"other@{CONFIGURATION}"],
    )
    assert container_images(instance, image) == [
        ("alpine:3.20", PINNED),
        ("registry.example.com:5000/mine:1", ""),
    ]


def test_container_image_without_a_tag_goes_by_its_digest(instance: Instance) -> None:
    image = docker_image(tags=[], digests=[f"alpine@{PINNED}"])
    assert container_images(instance, image) == [(f"alpine@{PINNED}", PINNED)]


def test_container_image_without_any_name_goes_by_its_id(instance: Instance) -> None:
    assert container_images(instance, docker_image(tags=[], digests=[])) == [(CONFIGURATION, "")]


def test_docker_that_is_not_there_or_empty_has_no_images(instance: Instance) -> None:
    assert instance.look()["container_images"] == []
    instance.put("usr/bin/docker")
    found = instance.look()
    assert (found["container_images"], found["problems"]) == ([], [])


def test_docker_that_does_not_answer_is_a_problem_and_the_rest_is_listed(instance: Instance) -> None:
    instance.put("usr/bin/docker")
    instance.put("etc/passwd", PASSWD)
    instance.says["docker"] = ProgramError("docker: Cannot connect to the Docker daemon")
    found = instance.look()
    assert found["problems"] == ["container images: docker: Cannot connect to the Docker daemon"]
    assert found["container_images"] == []
    assert found["users"]


def test_users_are_the_local_ones(instance: Instance) -> None:
    instance.put("etc/passwd", PASSWD)
    assert instance.look()["users"] == [
        {"name": "root", "uid": 0, "shell": "/bin/bash"},
        {"name": "gitlab-runner", "uid": 1001, "shell": "/bin/bash"},
    ]


def test_ports_are_without_the_addresses_this_boot_was_given(instance: Instance) -> None:
    instance.says["ss"] = SOCKETS
    found = {
        f"{port['protocol']} {port['address']} {port['port']}": port["program"]
        for port in instance.look()["ports"]
    }
    assert found == {
        "tcp 0.0.0.0 22": "sshd, systemd",
        "tcp :: 22": "sshd",
        "tcp * 9100": "node exporter, worker",
        "udp %ens5 68": "systemd-network",
        "udp %ens5 546": "systemd-network",
        "udp 127.0.0.53 53": "systemd-resolve",
        "udp 127.0.0.11 39865": "",
    }


def test_ports_the_kernel_hands_out_are_known(instance: Instance) -> None:
    assert instance.look()["ephemeral_ports"] == []
    instance.put("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
    assert instance.look()["ephemeral_ports"] == [32768, 60999]


def test_units_are_the_enabled_ones(instance: Instance) -> None:
    instance.says["systemctl"] = "docker.service enabled enabled\ngetty@.service  enabled enabled\n\n"
    assert instance.look()["units"] == ["docker.service", "getty@.service"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["sh", "-c", "echo first >&2; echo last >&2; exit 3"], "sh: last"),
        (["sh", "-c", "exit 3"], "sh: exit status 3"),
        (["not-a-program"], "not-a-program: [Errno 2] No such file or directory: 'not-a-program'"),
    ],
)
def test_program_that_fails_says_why(arguments: list[str], why: str) -> None:
    with pytest.raises(ProgramError) as raised:
        run_program(arguments)
    assert str(raised.value) == why


def test_programs_speak_plain_english() -> None:
    assert run_program(["sh", "-c", 'printf "%s" "$LC_ALL"']) == "C"
