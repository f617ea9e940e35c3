"""What the probe found becomes sorted values, each once."""

from __future__ import annotations

from typing import Any

from amifactory.domain.inventory import ContainerImage, Inventory, OperatingSystem, Port, User, read_inventory

FOUND: dict[str, Any] = {
    "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
    "kernel": "6.1.0-28-cloud-amd64",
    "packages": [
        {"name": name, "version": "1.0", "architecture": "amd64", "manager": "deb"}
        for name in ("curl", "adduser", "curl")
    ],
    "tools": [{"name": "node", "version": "22.11.0"}],
    "container_images": [
        {"reference": "alpine:3.20", "digest": "sha256:1", "image_id": "sha256:2", "size": 7},
        {"reference": "local:1", "digest": "", "image_id": "sha256:3", "size": 8},
    ],
    "users": [{"name": "root", "uid": 0, "shell": "/bin/bash"}],
    "ports": [{"protocol": "tcp", "address": "::", "port": 22, "program": "sshd"}],
    "units": ["ssh.service", "docker.service"],
    "ephemeral_ports": [32768, 60999],
    "problems": [],
}


def port(number: int) -> Port:
    return Port(protocol="tcp", address="127.0.0.1", port=number, program="containerd")


def test_everything_is_read_sorted_and_once() -> None:
    inventory = read_inventory(FOUND)
    assert inventory.os == OperatingSystem(id="debian", version="12", name="Debian GNU/Linux 12 (bookworm)")
    assert [package.name for package in inventory.packages] == ["adduser", "curl"]
    assert inventory.units == ("docker.service", "ssh.service")
    assert inventory.users == (User(name="root", uid=0, shell="/bin/bash"),)  # noqa: S604 - a login shell
    assert inventory.ports == (Port(protocol="tcp", address="::", port=22, program="sshd"),)


def test_container_image_is_known_by_its_digest_or_else_its_id() -> None:
    pulled, made_here = read_inventory(FOUND).container_images
    assert isinstance(pulled, ContainerImage)
    assert (pulled.content, made_here.content) == ("sha256:1", "sha256:3")


def test_ephemeral_ports_are_those_in_the_kernels_range() -> None:
    inventory = read_inventory(FOUND)
    numbers = (32767, 32768, 60999, 61000)
    assert [inventory.is_ephemeral(port(number)) for number in numbers] == [False, True, True, False]


def test_no_port_is_ephemeral_where_the_range_is_unknown() -> None:
    inventory: Inventory = read_inventory({**FOUND, "ephemeral_ports": []})
    assert not inventory.is_ephemeral(port(40000))
