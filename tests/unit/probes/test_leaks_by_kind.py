"""Leaks told by what they look like, or by being older than the boot: each kind is planted and found."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import string
import struct
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.probes.conftest import Disk

RANDOM = random.Random(7)  # noqa: S311  # the same each time
BASE64 = string.ascii_letters + string.digits


def key(name: str, *, headers: str = "") -> str:
    """Returns what looks like a private key; nothing can be opened with it."""
    body = "\n".join("".join(RANDOM.choices(BASE64, k=64)) for _ in range(6))
    return f"-----BEGIN {name}-----\n{headers}{body}\n-----END {name}-----\n"


PEM = key("PRIVATE KEY")
AWS_ID, AWS_SECRET = "AKIA" + "Q7XW2KJ5TZ3NPL6M", "a1B2c3D4e5F6g7H8i9J0" + "k+L/mNoPqRsTuVwXyZ01"
ACCOUNT_KEY = "".join(RANDOM.choices(BASE64, k=86)) + "=="
ENCRYPTED = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n"
AUTH = base64.b64encode(b"ci:hunter2hunter2").decode()
AUTHS = json.dumps({"auths": {"registry.example.com": {"auth": AUTH}}})
PUTTY = f"""\
PuTTY-User-Key-File-3: ssh-ed25519
Encryption: none
Comment: me
Public-Lines: 1
{"".join(RANDOM.choices(BASE64, k=64))}
Private-Lines: 1
{"".join(RANDOM.choices(BASE64, k=48))}
"""
SERVICE_ACCOUNT = {
    "type": "service_account",
    "private_key_id": "0123456789abcdef" * 2,
    "private_key": "removed",
}

CANARIES: dict[str, tuple[str, str, str | bytes]] = {
    "PKCS #8": ("private-key", "/opt/x.pem", PEM),
    "RSA": ("private-key", "/opt/x.pem", key("RSA PRIVATE KEY")),
    "encrypted RSA": ("private-key", "/opt/x.pem", key("RSA PRIVATE KEY", headers=ENCRYPTED)),
    "EC": ("private-key", "/opt/x.pem", "text before\n" + key("EC PRIVATE KEY")),
    "OpenSSH": ("private-key", "/home/ci/.ssh/id_ed25519", key("OPENSSH PRIVATE KEY")),
    "PGP": ("private-key", "/opt/x.asc", key("PGP PRIVATE KEY BLOCK", headers="Version: GnuPG v2\n\n")),
    "PuTTY": ("private-key", "/opt/x.ppk", PUTTY),
    "key with Windows' line ends": ("private-key", "/opt/x.pem", PEM.replace("\n", "\r\n")),
    "key in JSON": ("private-key", "/opt/x.json", json.dumps({"key": PEM})),
    "key in YAML": (
        "private-key",
        "/opt/x.yml",
        "key: |\n" + PEM.replace("\n", "\n    ").replace("-----B", "    -----B"),
    ),
    "key in a program's text": ("private-key", "/opt/x.js", "'" + PEM.replace("\n", "\\n' +\n  '") + "'"),
    "key in kubeconfig": (
        "private-key",
        "/opt/x",
        f"client-key-data: {base64.b64encode(PEM.encode()).decode()}",
    ),
    "key in wrapped base64": ("private-key", "/opt/x", base64.encodebytes(PEM.encode())),
    "key in a layer": ("private-key", "/var/lib/docker/overlay2/0a/diff/root/x.pem", PEM),
    "AWS credentials": (
        "cloud-credentials",
        "/root/.aws/credentials",
        f"[default]\naws_access_key_id = {AWS_ID}\naws_secret_access_key = {AWS_SECRET}\n",
    ),
    "AWS environment": ("cloud-credentials", "/opt/.env", f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}\n"),
    "AWS in JSON": ("cloud-credentials", "/opt/x", json.dumps({"SecretAccessKey": AWS_SECRET})),
    "AWS in XML": ("cloud-credentials", "/opt/x", f"<SecretAccessKey>{AWS_SECRET}</SecretAccessKey>"),
    "AWS in CSV": (
        "cloud-credentials",
        "/opt/x.csv",
        f"Access key ID,Secret access key\n{AWS_ID},{AWS_SECRET}\n",
    ),
    "AWS without names": ("cloud-credentials", "/opt/passwd-s3fs", f"{AWS_ID}:{AWS_SECRET}"),
    "Terraform's AWS": (
        "cloud-credentials",
        "/opt/main.tf",
        f'access_key = "{AWS_ID}"\n  secret_key = "{AWS_SECRET}"',
    ),
    "temporary AWS": ("cloud-credentials", "/opt/x", f"{AWS_ID.replace('AKIA', 'ASIA')} {AWS_SECRET}"),
    "Google service account": ("cloud-credentials", "/opt/x.json", json.dumps(SERVICE_ACCOUNT, indent=2)),
    "Google user": (
        "cloud-credentials",
        "/root/.config/gcloud/application_default_credentials.json",
        json.dumps({"refresh_token": "1//0" + "a1B2" * 10, "type": "authorized_user"}),
    ),
    "Azure storage": (
        "cloud-credentials",
        "/opt/x",
        f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={ACCOUNT_KEY};",
    ),
    "Azure client": ("cloud-credentials", "/opt/.env", f"AZURE_CLIENT_SECRET={'aB3~x.Yz9-' * 4}"),
    "Azure login": (
        "cloud-credentials",
        "/root/.azure/msal_token_cache.json",
        json.dumps({"secret": "0.AXkA" + "b3C" * 20}),
    ),
    ".netrc": ("cloud-credentials", "/root/.netrc", "machine x login y password z"),
    ".git-credentials": ("cloud-credentials", "/home/ci/.git-credentials", "https://me:pass@example.com"),
    "git/credentials": (
        "cloud-credentials",
        "/home/ci/.config/git/credentials",
        "https://me:pass@example.com",
    ),
    ".npmrc": ("cloud-credentials", "/home/ci/.npmrc", "//registry.example.com/:_authToken=0a1b2c"),
    ".yarnrc.yml": ("cloud-credentials", "/home/ci/.yarnrc.yml", "npmAuthToken: 0a1b2c"),
    ".pypirc": ("cloud-credentials", "/home/ci/.pypirc", "[x]\npassword = y\n"),
    ".pgpass": ("cloud-credentials", "/home/ci/.pgpass", "# all\ndb.example.com:5432:*:me:pass\n"),
    ".my.cnf": ("cloud-credentials", "/home/ci/.my.cnf", "[client]\npassword=x\n"),
    ".vault-token": ("cloud-credentials", "/root/.vault-token", "hvs.x"),
    "Terraform token": (
        "cloud-credentials",
        "/root/.terraform.d/credentials.tfrc.json",
        '{"credentials": {"app.example.com": {"token": "x"}}}',
    ),
    "gh": ("cloud-credentials", "/root/.config/gh/hosts.yml", "example.com:\n    oauth_token: gho_x\n"),
    "Maven": ("cloud-credentials", "/root/.m2/settings.xml", "<server><password>x</password></server>"),
    "kubeconfig": ("cloud-credentials", "/home/ci/.kube/config", "users:\n- user:\n    token: x\n"),
    "runner": ("cloud-credentials", "/etc/gitlab-runner/config.toml", '[[runners]]\n  token = "glrt-x"\n'),
    "Docker": ("docker-auth", "/root/.docker/config.json", AUTHS),
    "Docker, indented": ("docker-auth", "/root/.docker/config.json", json.dumps(json.loads(AUTHS), indent=8)),
    "Docker identity token": (
        "docker-auth",
        "/root/.docker/config.json",
        json.dumps({"auths": {"r.example.com": {"identitytoken": "ey.0a1b2c3d"}}}),
    ),
    "kaniko": ("docker-auth", "/kaniko/.docker/config.json", AUTHS),
    "Podman": ("docker-auth", "/root/.config/containers/auth.json", AUTHS),
    "Docker's in a variable": ("docker-auth", "/opt/.env", f"DOCKER_AUTH_CONFIG={AUTHS}"),
    "Docker's in JSON": ("docker-auth", "/opt/x.json", json.dumps({"config": AUTHS})),
    "environment": (
        "environment-dump",
        "/opt/x",
        "HOME=/root\nSHLVL=1\nSSH_CONNECTION=192.0.2.1 50000 192.0.2.2 22\n",
    ),
    "exported environment": (
        "environment-dump",
        "/opt/x",
        'declare -x PACKER_BUILD_NAME="node"\ndeclare -x SUDO_COMMAND="/bin/bash"\n',
    ),
    "process' environment": ("environment-dump", "/opt/x", b"A=1\0SUDO_COMMAND=/bin/sh\0SUDO_USER=admin\0"),
    "environment in JSON": (
        "environment-dump",
        "/opt/x",
        json.dumps({"PACKER_BUILD_NAME": "node", "SUDO_USER": "admin"}),
    ),
}

HARMLESS: dict[str, tuple[str, str | bytes]] = {
    "certificate": ("/opt/x.pem", key("CERTIFICATE")),
    "certificate in base64": ("/opt/x", base64.b64encode(key("CERTIFICATE").encode())),
    "public key": ("/opt/x.pem", key("PUBLIC KEY")),
    "code that reads keys": (
        "/opt/x.py",
        'if text.startswith("-----BEGIN RSA PRIVATE KEY-----"):\n    pass\n',
    ),
    "key that is left out": (
        "/opt/x.md",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN...\n-----END PRIVATE KEY-----",
    ),
    "key of one letter": ("/opt/x.md", f"-----BEGIN PRIVATE KEY-----\n{'x' * 64}\n-----END PRIVATE KEY-----"),
    "public PuTTY key": ("/opt/x", PUTTY.partition("Private-Lines")[0]),
    "program with a key": ("/opt/x", b"\x7fELF\2\1\1" + PEM.encode()),
    "AWS example": (
        "/opt/x.rst",
        "aws_access_key_id=AKIAIOSFODNN7EXAMPLE\naws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    "AWS key id alone": ("/opt/x", f"{AWS_ID} {'ab' * 20}"),
    "AWS secret's name": ("/opt/x.py", "secret_access_key = get_the_secret_access_key_from_somewhere()\n"),
    "Google without key": (
        "/opt/x.py",
        '{"private_key_id": "…", "private_key": "-----BEGIN PRIVATE KEY-----"}',
    ),
    "Azure's emulator": (
        "/opt/x",
        "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    ),
    ".npmrc with a variable": ("/home/ci/.npmrc", "//registry.example.com/:_authToken=${NPM_TOKEN}"),
    "git without password": ("/home/ci/.git-credentials", "https://me@example.com"),
    "Maven with a variable": ("/root/.m2/settings.xml", "<password>${env.PASSWORD}</password>"),
    "runner that is not registered": ("/etc/gitlab-runner/config.toml", "concurrent = 1\n"),
    "Docker's helper": (
        "/root/.docker/config.json",
        '{"auths": {"registry.example.com": {}}, "credHelpers": {"x": "ecr-login"}}',
    ),
    "Docker's example": ("/opt/x.md", '{"auths": {"registry.example.com": {"auth": "c3R...zE2"}}}'),
    "script": (
        "/opt/x.sh",
        'echo "$SHLVL"\nSUDO_USER=${SUDO_USER:-root}\nunset SSH_CONNECTION PACKER_BUILD_NAME=\n',
    ),
    "one variable": ("/opt/x", "SHLVL=1\n"),
}


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_found(disk: Disk, name: str) -> None:
    kind, path, content = CANARIES[name]
    disk.put(path, content)
    disk.put("/opt/readme", "nothing to see here")
    assert (kind, path) in disk.leaks()


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_like_a_leak_is_none(disk: Disk, name: str) -> None:
    path, content = HARMLESS[name]
    disk.put(path, content)
    report = disk.report()
    assert report["findings"] == []
    assert report["files"] == 1


def test_a_clean_disk_passes(disk: Disk) -> None:
    for path in ("/etc/machine-id", "/var/log/syslog", "/root/.bash_history", "/root/.ssh/authorized_keys"):
        disk.put(path, "")
    disk.put("/etc/os-release", "ID=debian\n")
    assert disk.report({"registry": "hunter2hunter2"})["findings"] == []


def test_a_worker_may_register_itself_at_boot(disk: Disk) -> None:
    kind, path, content = CANARIES["runner"]
    disk.put(path, content)
    assert disk.leaks() == {(kind, path)}
    assert disk.leaks(booted_at=0) == set()


# What must not be older than the boot.

NOW = time.time()
PUBLIC = "ssh-ed25519 " + "".join(RANDOM.choices(BASE64, k=68)) + " me@example.com"

IDENTITIES: dict[str, tuple[str, str, str | bytes]] = {
    "host key": ("host-key", "/etc/ssh/ssh_host_ed25519_key", PEM),
    "host key in a layer": ("host-key", "/var/lib/docker/overlay2/0a/diff/etc/ssh/ssh_host_rsa_key", PEM),
    "machine id": ("machine-id", "/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    "D-Bus' machine id": ("machine-id", "/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"),
    "bash": ("shell-history", "/root/.bash_history", "ls\n"),
    "zsh": ("shell-history", "/home/ci/.zsh_history", ": 1:0;ls\n"),
    "Python": ("shell-history", "/home/ci/.python_history", "1 + 1\n"),
    "fish": ("shell-history", "/home/ci/.local/share/fish/fish_history", "- cmd: ls\n"),
    "less": ("shell-history", "/root/.lesshst", ".search\n"),
    "user data": ("cloud-init", "/var/lib/cloud/instances/i-1/user-data.txt", "#cloud-config\n"),
    "cloud-init's data": ("cloud-init", "/var/lib/cloud/data/instance-id", "i-1\n"),
    "log": ("log", "/var/log/dpkg.log", "installed x\n"),
    "packed log": ("log", "/var/log/syslog.2.gz", gzip.compress(b"hello\n")),
    "journal": ("log", "/var/log/journal/0a/system.journal", b"LPKSHHRH" + bytes(300)),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_what_came_with_the_ami_is_found(disk: Disk, name: str) -> None:
    kind, path, content = IDENTITIES[name]
    disk.put(path, content)
    assert disk.leaks() == {(kind, path)}


@pytest.mark.parametrize("name", IDENTITIES)
def test_what_the_boot_made_is_not(disk: Disk, name: str) -> None:
    _, path, content = IDENTITIES[name]
    disk.put(path, content)
    assert disk.leaks(booted_at=0) == set()


@pytest.mark.parametrize(("content_age", "booted"), [(100, 50), (-100, -50)])
def test_a_change_at_boot_that_spares_the_content_does_not_hide_it(
    disk: Disk, content_age: float, booted: float
) -> None:
    file = disk.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    now = time.time()  # not NOW: how long tests have run must not count
    os.utime(file, (now - content_age, now - content_age))
    assert disk.leaks(booted_at=now - booted) == {("machine-id", "/etc/machine-id")}


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize("content", ["", "\n", bytes(1000)])
def test_what_is_empty_is_not(disk: Disk, name: str, content: str | bytes) -> None:
    _, path, _ = IDENTITIES[name]
    disk.put(path.removesuffix(".gz"), content)
    assert disk.leaks() == set()


def test_a_machine_id_that_the_first_boot_will_make_is_fine(disk: Disk) -> None:
    disk.put("/etc/machine-id", "uninitialized\n")
    assert disk.leaks() == set()


@pytest.mark.parametrize(
    ("keys", "given", "booted_at", "found"),
    [
        pytest.param("", {"a"}, 0, False, id="empty"),
        pytest.param("# nobody\n", {"a"}, None, False, id="comment"),
        pytest.param("ssh-rsa {a} me\n", {"a"}, 0, False, id="this boot's"),
        pytest.param('restrict,command="x" ssh-rsa {a}\n', {"a"}, 0, False, id="with options"),
        pytest.param("ssh-rsa {a} me\n", {"a"}, None, True, id="written before"),
        pytest.param("ssh-rsa {b} old\nssh-rsa {a} me\n", {"a"}, 0, True, id="one more"),
        pytest.param("ecdsa-sha2-nistp256 {b} old\n", {"a"}, 0, True, id="another"),
        pytest.param("ssh-rsa {b}\n", set(), 0, True, id="none was given"),
        pytest.param("ssh-rsa {b}\n", None, 0, False, id="one, of which nothing is known"),
        pytest.param("ssh-rsa {a}\nssh-rsa {b}\n", None, 0, True, id="two, of which nothing is known"),
    ],
)
def test_only_this_boots_key_lets_in(
    disk: Disk, keys: str, given: set[str] | None, booted_at: float | None, found: bool
) -> None:
    known = {"a": "AAAA" + "a" * 40, "b": "AAAA" + "b" * 40}
    disk.put("/home/ci/.ssh/authorized_keys", keys.format(**known))
    changes = {} if booted_at is None else {"booted_at": booted_at}
    expected = None if given is None else frozenset(known[one].encode() for one in given)
    leaks = disk.leaks(keys=expected, **changes)
    assert leaks == ({("authorized-keys", "/home/ci/.ssh/authorized_keys")} if found else set())


def journal(head: float) -> bytes:
    return b"LPKSHHRH" + bytes(176) + struct.pack("<Q", int(head * 1e6)) + bytes(100)


def login(kind: int, at: float, size: int = 384) -> bytes:
    layout = "<hxxi332xi40x" if size == 384 else "<hxxi336xq48x"
    return struct.pack(layout, kind, 1, int(at))


APPENDED: dict[str, Callable[[float], bytes]] = {
    "ISO time": lambda at: time.strftime("%Y-%m-%dT%H:%M:%S+00:00 host x: y\n", time.gmtime(at)).encode(),
    "time of another zone": lambda at: time.strftime(
        "%Y-%m-%dT%H:%M:%S.123-02:30 x\n", time.gmtime(at - 9000)
    ).encode(),
    "UTC": lambda at: time.strftime("%Y-%m-%d %H:%M:%S,123Z - util.py: x\n", time.gmtime(at)).encode(),
    "apt": lambda at: time.strftime("\nStart-Date: %Y-%m-%d  %H:%M:%S\n", time.localtime(at)).encode(),
    "syslog": lambda at: time.strftime("%b %e %H:%M:%S host sshd[1]: x\n", time.localtime(at)).encode(),
    "journal": journal,
    "wtmp": lambda at: login(2, at - 9999) + login(7, at) + login(7, at + 9999),
    "wtmp on ARM": lambda at: login(2, at - 9999, 400) + login(7, at, 400),
    "wtmp on ARM, as long as on x86-64": lambda at: login(7, at, 400) * 24,
}


@pytest.mark.parametrize("name", APPENDED)
@pytest.mark.parametrize(("seconds", "found"), [(-100_000, True), (-60, True), (0, False), (60, False)])
def test_a_log_that_was_only_added_to_is_told_by_its_first_entry(
    disk: Disk, name: str, seconds: float, found: bool
) -> None:
    path = f"/var/log/{'wtmp' if name.startswith('wtmp') else 'some.log'}"
    disk.put(path, APPENDED[name](NOW + seconds))
    assert disk.leaks(booted_at=NOW) == ({("log", path)} if found else set())


def test_the_shutdown_of_the_build_is_no_login(disk: Disk) -> None:
    disk.put("/var/log/wtmp", login(1, NOW - 9999) + login(8, NOW - 9999))
    assert disk.leaks() == set()


def test_a_syslog_of_last_year_is_older_than_a_boot_in_january(disk: Disk) -> None:
    disk.put("/var/log/syslog", "Dec 31 23:00:00 host x: y\n")
    january = time.mktime((2026, 1, 2, 0, 0, 0, 0, 0, -1))
    assert disk.leaks(booted_at=january) == {("log", "/var/log/syslog")}


# What was shipped.


def package(disk: Disk, path: str, content: str, top: str = "") -> None:
    disk.put(f"{top}{path}", content)
    md5 = subprocess.run(["md5sum"], input=content.encode(), capture_output=True, check=True).stdout.decode()[
        :32
    ]
    info = f"{top}/var/lib/dpkg/info/example.md5sums"
    disk.put(info, f"{'0' * 32}  usr/share/other\n{md5}  {path.lstrip('/').removeprefix('usr/')}\n")


@pytest.mark.parametrize(
    "top", ["", "/var/lib/docker/overlay2/0a/diff", "/var/lib/containerd/x/snapshots/12/fs"]
)
@pytest.mark.parametrize("path", ["/usr/lib/test/key.pem", "/opt/key.pem"])
def test_a_file_as_its_package_has_it_is_no_leak(disk: Disk, top: str, path: str) -> None:
    package(disk, path, PEM, top)
    assert disk.report()["findings"] == []


@pytest.mark.parametrize(
    ("path", "is_published"),
    [
        ("/usr/local/aws-cli/v2/2.19.0/dist/awscli/examples/iot/create-provisioning-claim.rst", True),
        ("/var/lib/docker/overlay2/0a/diff/usr/local/lib/python3.12/test/certdata/keycert.pem", True),
        ("/opt/examples/awscli/key.pem", False),
        ("/opt/lib/python3.12/site-packages/example/test/key.pem", False),
    ],
)
def test_what_comes_in_archives_for_everybody_is_no_leak(disk: Disk, path: str, is_published: bool) -> None:
    disk.put(path, PEM)
    assert bool(disk.report()["findings"]) is not is_published
    assert ("secret-value", path) in disk.leaks(PEM)


def test_a_packages_file_that_was_changed_is_one(disk: Disk) -> None:
    package(disk, "/opt/key.pem", PEM)
    disk.put("/opt/key.pem", PEM + " ")
    assert disk.report()["findings"] == [{"kind": "private-key", "file": "/opt/key.pem"}]


def test_a_secret_in_a_packages_file_is_one(disk: Disk) -> None:
    package(disk, "/opt/key.pem", PEM)
    findings = disk.report({"it": PEM})["findings"]
    assert findings == [{"kind": "secret-value", "file": "/opt/key.pem", "secret": "it"}]


def test_the_host_does_not_answer_for_a_layers_packages(disk: Disk) -> None:
    package(disk, "/opt/key.pem", PEM)
    disk.put("/var/lib/docker/overlay2/0a/diff/opt/key.pem", PEM)
    (finding,) = disk.report()["findings"]
    assert finding["file"] == "/var/lib/docker/overlay2/0a/diff/opt/key.pem"


@pytest.mark.parametrize(("listed", "found"), [("/opt/key.pem", False), ("/opt/other.pem", True)])
def test_rpm_is_asked_whose_a_file_is(disk: Disk, tmp_path: Path, listed: str, found: bool) -> None:
    disk.put("/opt/key.pem", PEM)
    sha256 = subprocess.run(
        ["sha256sum"], input=PEM.encode(), capture_output=True, check=True
    ).stdout.decode()
    rpm = disk.put("/usr/bin/rpm", f"#!/bin/sh\nprintf '%s\\t%s\\n' /opt/x 00 {listed} {sha256.split()[0]}\n")
    rpm.chmod(0o755)
    assert bool(disk.report(rpm=str(rpm))["findings"]) is found
