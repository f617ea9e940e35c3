"""Stand-ins: which references get one, and under which name Docker will ask for it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.stand_ins import HubName, busybox_layer, hub_name

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("alpine", "library/alpine", "latest"),
        ("node:22-bookworm-slim", "library/node", "22-bookworm-slim"),
        ("gitlab/gitlab-runner-helper:x86_64-v17", "gitlab/gitlab-runner-helper", "x86_64-v17"),
        ("docker.io/library/node:22", "library/node", "22"),
        ("docker.io/node:22", "library/node", "22"),
        ("index.docker.io/gitlab/runner", "gitlab/runner", "latest"),
        ("a/b/c:1", "a/b/c", "1"),
    ],
)
def test_images_of_docker_hub_have_a_stand_in(reference: str, repository: str, tag: str) -> None:
    assert hub_name(reference) == HubName(repository=repository, tag=tag)


@pytest.mark.parametrize(
    "reference",
    [
        "registry.example.com/team/app:1",
        "localhost/app",
        "localhost:5000/app:1",
        "node@sha256:" + "0" * 64,
        "node:22@sha256:" + "0" * 64,
    ],
)
def test_images_elsewhere_or_by_digest_have_none(reference: str) -> None:
    assert hub_name(reference) is None


def disk_with(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(name), 1_700_000_000
            tar.addfile(entry, io.BytesIO(name.encode()))
    return path


@pytest.mark.parametrize("place", ["./bin/busybox", "./usr/bin/busybox"])
def test_a_layer_is_the_same_each_time_and_has_its_digests(tmp_path: Path, place: str) -> None:
    disk = disk_with(tmp_path / "disk.tar", ["./etc/hosts", place])
    layer = busybox_layer(disk)
    assert layer == busybox_layer(disk)
    assert layer.digest == f"sha256:{hashlib.sha256(layer.blob).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(layer.blob)).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(layer.blob)) as tar:
        assert tar.getmember("bin/sh").linkname == "busybox"
        program = tar.extractfile("bin/busybox")
        assert program is not None
        assert program.read() == place.encode()


def test_a_disk_without_busybox_is_an_error_that_names_it(tmp_path: Path) -> None:
    disk = disk_with(tmp_path / "disk.tar", ["./etc/hosts"])
    with pytest.raises(DriverError, match=r"disk\.tar holds no busybox"):
        busybox_layer(disk)
