"""Lists what an instance has: packages, container images, users, listening ports, enabled units."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

Run = Callable[[list[str]], str]
"""Runs a program and returns its stdout; raises `ProgramError`."""

TIMEOUT = 30.0
"""Seconds that one program may take; none should need one."""

_PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin")
_DEB_FIELDS = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n"
_RPM_FIELDS = "%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n"
_IMPORTED_KEY = "gpg-pubkey"
"""What rpm calls the signing keys it trusts; they are listed like packages and are none."""
_PASSWD_FIELDS = 7
_PROGRAM = re.compile(r'"((?:[^"\\]|\\.)*)",pid=')
_CHECKSUM = re.compile(r"\+sha\d+\.[0-9a-f]+$")
"""What follows a version that corepack is to check (package.json, ``packageManager``)."""


class ProgramError(Exception):
    """A program is missing, failed, or took too long."""


class Instance(NamedTuple):
    """What is looked at: files below a directory, and what programs say."""

    root: Path
    run: Run

    def text(self, path: str) -> str:
        """Returns a file's content, nothing for one that is not there."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def has(self, program: str) -> bool:
        """Returns whether a program is there."""
        return any((self.root / folder / program).exists() for folder in _PROGRAM_FOLDERS)


def run_program(arguments: list[str]) -> str:
    """Returns the stdout of a program, its messages in plain English.

    Raises:
        ProgramError: It is missing, failed, or took longer than `TIMEOUT`.
    """
    try:
        done = subprocess.run(
            arguments,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{arguments[0]}: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ProgramError(f"{arguments[0]}: {said[-1] if said else f'exit status {done.returncode}'}")
    return done.stdout.decode(errors="replace")


def main(given: dict[str, Any], *, root: Path = Path("/"), run: Run = run_program) -> dict[str, Any]:
    """Returns all of it; ``problems`` says what could not be listed, and why.

    Args:
        given: Nothing so far.
        root: Directory that the files are read below.
        run: Runs a program.
    """
    del given
    instance = Instance(root, run)
    slow = {"packages": packages, "container_images": container_images, "ports": ports, "units": units}
    problems = []
    found: dict[str, Any] = {
        "os": operating_system(instance),
        "kernel": os.uname().release,
        "tools": tools(instance),
        "users": users(instance),
        "ephemeral_ports": ephemeral_ports(instance),
    }
    with ThreadPoolExecutor(max_workers=len(slow)) as pool:
        asked = {name: pool.submit(listed, instance) for name, listed in slow.items()}
        for name, answer in asked.items():
            try:
                found[name] = answer.result()
            except ProgramError as error:  # noqa: PERF203 - four turns
                found[name] = []
                problems.append(f"{name.replace('_', ' ')}: {error}")
    return {**found, "problems": problems}


def operating_system(instance: Instance) -> dict[str, str]:
    """Returns the distribution, from os-release(5)."""
    text = instance.text("etc/os-release") or instance.text("usr/lib/os-release")
    words = shlex.split(text, comments=True)
    fields = dict(word.split("=", 1) for word in words if "=" in word)
    identity = fields.get("ID", "linux")
    return {
        "id": identity,
        "version": fields.get("VERSION_ID", ""),
        "name": fields.get("PRETTY_NAME", identity),
    }


def tools(instance: Instance) -> list[dict[str, str]]:
    """Returns what was installed from its maker, not as a package, as provisioning noted it."""
    pairs = (line.partition(": ") for line in instance.text("etc/amifactory/tools").splitlines())
    return [{"name": name, "version": _CHECKSUM.sub("", version)} for name, _, version in pairs if version]


def packages(instance: Instance) -> list[dict[str, str]]:
    """Returns what dpkg or rpm has installed."""
    if instance.has("dpkg-query"):
        rows = _rows(instance.run(["dpkg-query", "--show", f"--showformat={_DEB_FIELDS}"]), 4)
        return [_package("deb", *row[1:]) for row in rows if row[0] == "installed"]
    if instance.has("rpm"):
        rows = _rows(instance.run(["rpm", "--query", "--all", f"--queryformat={_RPM_FIELDS}"]), 3)
        return [_package("rpm", *row) for row in rows if row[0] != _IMPORTED_KEY]
    raise ProgramError("neither dpkg-query nor rpm is installed")


def _rows(text: str, width: int) -> list[list[str]]:
    rows = (line.split("\t") for line in text.splitlines())
    return [row for row in rows if len(row) == width]


def _package(manager: str, name: str, version: str, architecture: str) -> dict[str, str]:
    return {"name": name, "version": version, "architecture": architecture, "manager": manager}


def container_images(instance: Instance) -> list[dict[str, Any]]:
    """Returns the images Docker keeps, one for each name; nothing where there is no Docker."""
    if not instance.has("docker"):
        return []
    ids = sorted(set(instance.run(["docker", "image", "ls", "--quiet", "--no-trunc"]).split()))
    if not ids:
        return []
    inspected = json.loads(instance.run(["docker", "image", "inspect", *ids]))
    return [
        {"reference": reference, "digest": digest, "image_id": image["Id"], "size": image["Size"]}
        for image in inspected
        for reference, digest in _names(image)
    ]


def _names(image: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns an image's names, each with its digest in that registry; none for one that was made here."""
    digests = dict(name.split("@", 1) for name in sorted(image["RepoDigests"] or (), reverse=True))
    tagged = [(tag, digests.get(tag.rpartition(":")[0], "")) for tag in image["RepoTags"] or ()]
    untagged = [(f"{repository}@{digest}", digest) for repository, digest in digests.items()]
    return tagged or untagged or [(image["Id"], "")]


def users(instance: Instance) -> list[dict[str, Any]]:
    """Returns the local users, the system's too, from passwd(5)."""
    rows = (line.split(":") for line in instance.text("etc/passwd").splitlines())
    return [
        {"name": row[0], "uid": int(row[2]), "shell": row[6]}
        for row in rows
        if len(row) == _PASSWD_FIELDS and row[2].isdigit()
    ]


def ports(instance: Instance) -> list[dict[str, Any]]:
    """Returns what listens, from ss(8)."""
    rows = (line.split(maxsplit=6) for line in instance.run(["ss", "-tulnpH"]).splitlines())
    found = {(row[0], *_endpoint(row[4]), _program(row[6:])) for row in rows}
    return [
        {"protocol": protocol, "address": address, "port": port, "program": program}
        for protocol, address, port, program in sorted(found)
    ]


def _endpoint(text: str) -> tuple[str, int]:
    """Returns address and port; ``%eth0`` for the address that an interface got on this boot."""
    host, _, port = text.replace("[", "").replace("]", "").rpartition(":")
    address, _, interface = host.partition("%")
    return f"%{interface}" if interface and not _is_loopback(address) else address, int(port)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # "*", every address of both families
        return False


def _program(processes: list[str]) -> str:
    """Returns the names of the processes that hold a socket; nothing for a socket that none does."""
    return ", ".join(sorted(set(_PROGRAM.findall(" ".join(processes)))))


def ephemeral_ports(instance: Instance) -> list[int]:
    """Returns the first and last port that the kernel gives to programs that ask for any."""
    return [int(port) for port in instance.text("proc/sys/net/ipv4/ip_local_port_range").split()]


def units(instance: Instance) -> list[str]:
    """Returns the names of the enabled systemd units."""
    listed = instance.run(
        ["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--no-pager", "--plain"]
    )
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
