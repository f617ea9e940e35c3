"""Downloads are what they should be, or fail: the shell library that provision scripts fetch with."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LIB = Path(__file__).parents[3] / "images/_shared/provision/lib"
TOOL = b"#!/bin/sh\necho tool\n"
SHA256 = hashlib.sha256(TOOL).hexdigest()


class Mirror(NamedTuple):
    """A folder that a web server on the loopback interface serves."""

    folder: Path
    url: str


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without saying so."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror"
    (folder / "tools.example.com/v1").mkdir(parents=True)
    (folder / "tools.example.com/v1/tool.tar.gz").write_bytes(TOOL)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Mirror(folder, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = f'set -euo pipefail; source "{LIB}/system.sh"; source "{LIB}/fetch.sh"; {command}'
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "OFFLINE": "false", "IMAGE": "node", **environment}
    return subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True, check=False)


def fetch(mirror: Mirror, destination: Path, checksums: str) -> subprocess.CompletedProcess[str]:
    url = "https://tools.example.com/v1/tool.tar.gz"
    return shell(f"fetch {url} {destination}", TOOL_MIRROR=f"{mirror.url}/", CHECKSUMS=checksums)


def test_file_with_its_pinned_checksum_is_taken_from_the_mirror(mirror: Mirror, tmp_path: Path) -> None:
    done = fetch(mirror, tmp_path / "tool-1", f"other.zip={'0' * 64} tool-1={SHA256}")
    assert (done.stderr, done.returncode) == ("", 0)
    assert (tmp_path / "tool-1").read_bytes() == TOOL


@pytest.mark.parametrize("checksum", ["0" * 64, "abc"])
def test_file_with_another_checksum_is_refused_and_removed(
    mirror: Mirror, tmp_path: Path, checksum: str
) -> None:
    done = fetch(mirror, tmp_path / "tool-1", f"tool-1={checksum}")
    assert done.returncode != 0
    assert "tool-1 is not what it should be" in done.stderr
    assert not (tmp_path / "tool-1").exists()


@pytest.mark.parametrize("name", ["other.zip", "tool.tar.gz"], ids=["another-file", "name-in-the-url"])
def test_file_without_a_checksum_is_not_even_downloaded(mirror: Mirror, tmp_path: Path, name: str) -> None:
    """A vendor may call the files of all versions and architectures the same: the name saved as counts."""
    done = fetch(mirror, tmp_path / "tool-1", f"{name}={SHA256}")
    assert done.returncode != 0
    assert done.stderr == "fetch: no checksum for tool-1: add it to checksums in images/node/image.hcl\n"
    assert not (tmp_path / "tool-1").exists()


def test_vendor_is_not_asked_for_a_checksum(mirror: Mirror, tmp_path: Path) -> None:
    (mirror.folder / "tools.example.com/v1/tool.tar.gz.sha256").write_text(SHA256)
    assert fetch(mirror, tmp_path / "tool.tar.gz", "").returncode != 0


def test_missing_file_fails(mirror: Mirror, tmp_path: Path) -> None:
    (mirror.folder / "tools.example.com/v1/tool.tar.gz").unlink()
    assert fetch(mirror, tmp_path / "tool", f"tool={SHA256}").returncode != 0


def test_without_a_mirror_the_vendor_is_asked() -> None:
    url = "https://tools.example.com/v1/tool.tar.gz"
    assert shell(f"mirrored {url}").stdout.strip() == url
    assert shell(f"mirrored {url}", TOOL_MIRROR="http://m/t").stdout.strip() == (
        "http://m/t/tools.example.com/v1/tool.tar.gz"
    )


def test_tool_without_a_pinned_version_names_what_to_add() -> None:
    missing = shell("version=$(pinned_version jdk-21); echo not reached")
    assert missing.stdout == ""
    assert "pins no version of jdk-21" in missing.stderr


def test_pinned_version_that_is_installed_is_noted_for_the_inventory(tmp_path: Path) -> None:
    for version in ("21.0.4+7", "21.0.5+11"):
        done = shell("pinned_version jdk-21", TOOL_JDK_21=version, DESTDIR=str(tmp_path))
        assert done.stdout == f"{version}\n"
    shell("pinned_version jdk-2", TOOL_JDK_2="2", DESTDIR=str(tmp_path))
    assert (tmp_path / "etc/amifactory/tools").read_text() == "jdk-21: 21.0.5+11\njdk-2: 2\n"


def test_what_is_left_out_is_said_and_noted(tmp_path: Path) -> None:
    done = shell('left_out helm "the distribution has no package"', DESTDIR=str(tmp_path))
    assert done.stdout == "amifactory:left-out:helm: the distribution has no package\n"
    noted = (tmp_path / "etc/amifactory/left-out").read_text()
    assert noted == "helm: the distribution has no package\n"
