"""Which files are looked at, whose secrets may be where, and the program as it runs on an instance."""

from __future__ import annotations

import gzip
import json
import os
import socket
import tempfile
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from amifactory.probes.leaks.disk import CHUNK, mount_points, walk
from amifactory.probes.leaks.instance import booted_instance, given_keys
from amifactory.probes.leaks.scan import Scan
from amifactory.probes.leaks.values import collect

if TYPE_CHECKING:
    from tests.unit.probes.conftest import Disk

SECRET, OTHER = "Tr0ub4dor-3", "c0rrect-h0rse"
KUBECONFIG = f"apiVersion: v1\nusers:\n- user:\n    token: {SECRET}{SECRET}\n"


def names(disk: Disk) -> list[str]:
    return sorted(file.path for file in walk(disk.instance()))


# Which files.


def test_every_regular_file_is_walked_once(disk: Disk) -> None:
    first = disk.put("/a/b/one", "x")
    disk.put("/a/.hidden", "")
    (disk.root / "two").hardlink_to(first)
    (disk.root / "link").symlink_to("a")
    (disk.root / "dangling").symlink_to("nowhere")
    os.mkfifo(disk.root / "pipe")
    found = names(disk)
    assert found in (["/a/.hidden", "/a/b/one"], ["/a/.hidden", "/two"])


def test_what_is_no_file_is_not_opened(disk: Disk) -> None:
    os.mkfifo(disk.root / "pipe")
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"{short}/socket")
        assert list(walk(disk.instance(root=Path(short)))) == []
    assert disk.leaks(SECRET) == set()


@pytest.mark.parametrize("becomes", ["nothing", "a pipe", "a link", "a folder's file without its folder"])
def test_a_file_may_change_before_it_is_read(disk: Disk, becomes: str) -> None:
    file = disk.put("/a/file", SECRET)
    instance = disk.instance()
    files = list(walk(instance))
    file.unlink()
    if becomes == "a pipe":
        os.mkfifo(file)
    elif becomes == "a link":
        file.symlink_to(disk.put("/elsewhere", SECRET))
    elif becomes.startswith("a folder"):
        file.parent.rmdir()
        file.parent.write_text("")
    secrets = collect([{"name": "it", "value": SECRET}], instance)
    assert Scan(instance, secrets).run(files).findings == set()


def test_a_sparse_file_is_read_where_there_is_something(disk: Disk) -> None:
    huge = 1 << 42
    with disk.put("/var/swap", "").open("r+b") as file:
        file.truncate(huge)
        for position in (CHUNK - 5, huge // 2):
            file.seek(position)
            file.write(SECRET.encode() + bytes(4096) + OTHER.encode())
    report = disk.report({"it": SECRET, "other": OTHER})
    assert {finding["secret"] for finding in report["findings"]} == {"it", "other"}
    assert report["bytes"] < 1 << 20
    assert report["seconds"] < 5


def test_a_file_with_nothing_but_a_hole_is_empty(disk: Disk) -> None:
    with disk.put("/var/log/lastlog", "").open("r+b") as file:
        file.truncate(1 << 40)
    assert disk.report()["findings"] == []


def test_packed_logs_are_unpacked(disk: Disk) -> None:
    disk.put("/var/log/syslog.1.gz", gzip.compress(b"\1" * (CHUNK - 3) + SECRET.encode()))
    assert ("secret-value", "/var/log/syslog.1.gz") in disk.leaks(SECRET)


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"x" * 999)[:-9], gzip.compress(b"x")[:10] + b"y" * 9],
    ids=["not packed", "cut short", "broken"],  # packed bytes hold the time
)
def test_what_cannot_be_read_is_counted(disk: Disk, content: bytes) -> None:
    disk.put("/var/log/broken.gz", content)
    disk.put("/etc/fine", "x")
    report = disk.report()
    assert (report["files"], report["unreadable"]) == (2, 1)


def test_files_and_bytes_are_counted(disk: Disk) -> None:
    disk.put("/a", b"x" * 100)
    disk.put("/b/c", b"y" * (3 * CHUNK))
    report = disk.report()
    assert (report["files"], report["bytes"], report["unreadable"]) == (2, 3 * CHUNK + 100, 0)


def test_other_file_systems_are_left_out_unless_they_are_on_a_disk() -> None:
    shared = Path("/dev/shm")
    if shared.stat().st_dev == shared.parent.stat().st_dev:
        pytest.fail("/dev/shm is no file system of its own here")
    with tempfile.NamedTemporaryFile(dir=shared) as file:
        path = file.name.removeprefix("/dev")
        instance = booted_instance(Path("/dev"), None)._replace(mounts="")
        assert path not in {one.path for one in walk(instance)}
        on_disk = instance._replace(mounts=f"1 2 8:1 / {shared} rw - ext4 /dev/sda1 rw\n")
        assert path in {one.path for one in walk(on_disk)}


MOUNTS = r"""
22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw
24 22 0:22 / /sys rw - sysfs sysfs rw
25 22 0:5 / /dev rw - devtmpfs devtmpfs rw
26 22 0:24 / /run rw - tmpfs tmpfs rw
27 22 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
28 22 259:3 / /var/lib/docker rw master:1 - xfs /dev/nvme1n1 rw
29 28 0:40 / /var/lib/docker/overlay2/0a/merged rw - overlay overlay rw,lowerdir=x
30 22 0:41 / /srv/data rw - btrfs /dev/nvme2n1 rw
31 22 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
32 22 0:50 / /mnt/share rw - nfs4 server:/share rw
33 22 259:4 / /srv/with\040space rw - ext4 /dev/nvme3n1 rw
34 26 0:4 net:[4026532] /run/docker/netns/x rw - nsfs nsfs rw
""".strip()


def test_disks_are_told_from_pseudo_file_systems(disk: Disk) -> None:
    instance = disk.instance(root=Path("/"), mounts=MOUNTS)
    assert set(mount_points(instance)) == {"/", "/var/lib/docker", "/srv/data", "/srv/with space"}


def test_a_container_whose_root_is_an_overlay_is_looked_at(disk: Disk) -> None:
    mounts = "115 63 0:51 / / rw - overlay overlay rw,lowerdir=x\n"
    assert mount_points(disk.instance(root=Path("/"), mounts=mounts)) == ["/"]


def test_the_volatile_journal_is_looked_at(disk: Disk) -> None:
    disk.put("/run/log/journal/0a/system.journal", f"MESSAGE=token {SECRET}")
    assert disk.leaks(SECRET) == {("secret-value", "/run/log/journal/0a/system.journal")}


# Whose secret.


def declare(disk: Disk, *secrets: dict[str, Any]) -> None:
    disk.put("/etc/amifactory/secrets.json", json.dumps(secrets))


KUBE = {"name": "kubeconfig", "path": "/home/ci/.kube/config", "when": "boot", "format": "kubeconfig"}
BAKED = {"name": "license", "path": "/opt/license", "when": "build", "format": "text"}


def test_a_fetched_secret_may_be_in_its_own_file(disk: Disk) -> None:
    declare(disk, KUBE)
    disk.put(KUBE["path"], KUBECONFIG)
    assert disk.leaks(booted_at=0) == set()


def test_a_fetched_secret_may_be_nowhere_else(disk: Disk) -> None:
    declare(disk, KUBE)
    disk.put(KUBE["path"], KUBECONFIG)
    disk.put("/home/ci/.kube/.config.tmp", KUBECONFIG)
    disk.put("/var/log/fetch.log", f"got {SECRET}{SECRET}")
    assert disk.leaks(booted_at=0) == {
        ("secret-value", "/home/ci/.kube/.config.tmp"),
        ("secret-value", "/var/log/fetch.log"),
    }


def test_a_boots_secret_may_not_be_in_the_ami(disk: Disk) -> None:
    declare(disk, KUBE)
    disk.put(KUBE["path"], KUBECONFIG)
    assert ("secret-value", KUBE["path"]) in disk.leaks()


def test_a_builds_secret_may(disk: Disk) -> None:
    declare(disk, BAKED)
    disk.put(BAKED["path"], f"{SECRET}\n")
    disk.put("/opt/copy", SECRET)
    assert disk.leaks(SECRET) == {("secret-value", "/opt/copy")}


def test_another_secret_may_not_be_in_its_file(disk: Disk) -> None:
    declare(disk, BAKED)
    disk.put(BAKED["path"], f"{SECRET} {OTHER}")
    assert disk.report({"registry": OTHER})["findings"] == [
        {"kind": "secret-value", "file": BAKED["path"], "secret": "registry"}
    ]


def test_a_second_name_of_its_file_is_no_way_around(disk: Disk) -> None:
    declare(disk, BAKED)
    (disk.root / "opt").mkdir()
    (disk.root / "opt/copy").hardlink_to(disk.put(BAKED["path"], SECRET))
    ((kind, _),) = disk.leaks()
    assert kind == "secret-value"


def test_its_path_may_lead_through_a_link(disk: Disk) -> None:
    declare(disk, {**BAKED, "path": "/srv/license"})
    disk.put("/opt/license", SECRET)
    (disk.root / "srv").symlink_to("opt")
    assert disk.leaks(SECRET) == set()


def test_a_secret_that_is_not_there_is_said(disk: Disk) -> None:
    declare(disk, KUBE)
    assert disk.report()["unread"] == ["kubeconfig: /home/ci/.kube/config cannot be read"]


# What is allowed.


@pytest.mark.parametrize(
    ("rule", "is_allowed"),
    [
        ("private-key:/opt/x/*.pem", True),
        ("*:/opt/*", True),
        ("private-key:*", True),
        ("private-key:/opt/x", False),
        ("secret-value:/opt/x/test.pem", False),
        ("/opt/x/test.pem", False),
        ("private-key", False),
        ("", False),
    ],
)
def test_the_allow_list_is_by_kind_and_path(disk: Disk, rule: str, is_allowed: bool) -> None:
    key = "".join(f"{number:02}aBcDeFgHiJkLmNoPqRsTuVwXyZ+/{number:04}\n" for number in range(9))
    disk.put("/opt/x/test.pem", f"-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n")
    finding = {"kind": "private-key", "file": "/opt/x/test.pem"}
    report = disk.report(allow=["docker-auth:/x", rule])
    assert (report["allowed"], report["findings"]) == (([finding], []) if is_allowed else ([], [finding]))


# The instance.


def test_several_workers_find_what_one_does(disk: Disk) -> None:
    for number in range(40):
        disk.put(f"/opt/{number}", b"\1" * CHUNK)
    disk.put("/opt/leak", SECRET)
    disk.put("/opt/allowed", SECRET)
    report = disk.report({"it": SECRET}, allow=["*:/opt/allowed"], workers=3)
    assert report == {
        "files": 42,
        "bytes": 40 * CHUNK + 2 * len(SECRET),
        "seconds": report["seconds"],
        "findings": [{"kind": "secret-value", "file": "/opt/leak", "secret": "it"}],
        "allowed": [{"kind": "secret-value", "file": "/opt/allowed", "secret": "it"}],
        "unreadable": 0,
        "not_searched": [],
        "unread": [],
    }


class Metadata(BaseHTTPRequestHandler):
    """Answers like IMDSv2 of an instance with two keys, one without, and one that has it switched off."""

    answers: ClassVar[dict[str, str]] = {}
    status = 404

    def do_PUT(self) -> None:
        ttl = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self.answer("the-token" if self.path == "/latest/api/token" and ttl else None)

    def do_GET(self) -> None:
        known = self.headers["X-aws-ec2-metadata-token"] == "the-token"
        self.answer(
            self.answers.get(self.path.removeprefix("/latest/meta-data/public-keys/")) if known else None
        )

    def answer(self, text: str | None) -> None:
        self.send_response(self.status if text is None or self.status == 403 else 200)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


KEY = "AAAA" + "b" * 40
ONE = {"": "0=mine", "0/openssh-key": f"ssh-ed25519 {KEY} mine\n"}
TWO = {**ONE, "": "0=mine\n1=other", "1/openssh-key": f"ssh-rsa {KEY[::-1]}"}


@pytest.mark.parametrize(
    ("answers", "status", "keys"),
    [
        (ONE, 404, {KEY}),
        (TWO, 404, {KEY, KEY[::-1]}),
        ({}, 404, set()),
        (ONE, 403, None),
    ],
)
def test_the_metadata_service_names_the_keys(
    answers: dict[str, str], status: int, keys: set[str] | None
) -> None:
    handler = type("Handler", (Metadata,), {"answers": answers, "status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        found = given_keys(f"127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert found == (None if keys is None else {key.encode() for key in keys})


def test_where_no_metadata_service_answers_no_key_is_known() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert given_keys(f"127.0.0.1:{unused.getsockname()[1]}") is None


def test_the_instance_booted_before_now_and_after_1970() -> None:
    assert 1e9 < booted_instance(Path("/"), None).booted_at < time.time()
