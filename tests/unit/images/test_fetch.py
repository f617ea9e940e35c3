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
SHA512 = hashlib.sha512(TOOL).hexdigest()


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
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "OFFLINE": "false", **environment}
    return subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True, check=False)


def fetch(mirror: Mirror, destination: Path, checksums: str) -> subprocess.CompletedProcess[str]:
    url = "https://tools.example.com/v1/tool.tar.gz"
    return shell(f"fetch {url} {destination}", TOOL_MIRROR=f"{mirror.url}/", CHECKSUMS=checksums)


@pytest.mark.parametrize("checksum", [SHA256, SHA256.upper(), SHA512])
def test_file_with_its_pinned_checksum_is_taken_from_the_mirror(
    mirror: Mirror, tmp_path: Path, checksum: str
) -> None:
    done = fetch(mirror, tmp_path / "tool", f"other.zip={'0' * 64} tool.tar.gz={checksum}")
    assert (done.stderr, done.returncode) == ("", 0)
    assert (tmp_path / "tool").read_bytes() == TOOL


def test_file_with_another_checksum_is_refused_and_removed(mirror: Mirror, tmp_path: Path) -> None:
    done = fetch(mirror, tmp_path / "tool", f"tool.tar.gz={'0' * 64}")
    assert done.returncode != 0
    assert "tool.tar.gz is not what it should be" in done.stderr
    assert not (tmp_path / "tool").exists()


def test_file_without_any_checksum_is_not_even_downloaded(mirror: Mirror, tmp_path: Path) -> None:
    done = fetch(mirror, tmp_path / "tool", f"other.zip={SHA256}")
    assert done.returncode != 0
    assert "no checksum for tool.tar.gz" in done.stderr
    assert not (tmp_path / "tool").exists()


def test_checksum_of_unknown_length_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    done = fetch(mirror, tmp_path / "tool", "tool.tar.gz=abc")
    assert done.returncode != 0
    assert "neither a SHA-256 nor a SHA-512" in done.stderr


def test_missing_file_fails(mirror: Mirror, tmp_path: Path) -> None:
    (mirror.folder / "tools.example.com/v1/tool.tar.gz").unlink()
    assert fetch(mirror, tmp_path / "tool", f"tool.tar.gz={SHA256}").returncode != 0


def test_without_a_mirror_the_vendor_is_asked() -> None:
    url = "https://tools.example.com/v1/tool.tar.gz"
    assert shell(f"mirrored {url}").stdout.strip() == url
    assert shell(f"mirrored {url}", TOOL_MIRROR="http://m/t").stdout.strip() == (
        "http://m/t/tools.example.com/v1/tool.tar.gz"
    )


@pytest.mark.parametrize(
    ("published", "found"),
    [
        (f"{SHA256}  tool.tar.gz\n", SHA256),
        (f"{SHA256} *binaries/tool.tar.gz\n{'1' * 64} *binaries/other.tar.gz\n", SHA256),
        (f"{'1' * 64}  not-tool.tar.gz\n{SHA256}  tool.tar.gz\n", SHA256),
        (f"{SHA256}\n", SHA256),
        (SHA512, SHA512),
        (f"{'1' * 64}  other.tar.gz\n", ""),
        (f"{'1' * 64}\n{'2' * 64}\n", ""),
        ("", ""),
    ],
    ids=["list", "with-folder", "second-line", "bare", "bare-512", "other-file", "two-bare", "empty"],
)
def test_vendors_publish_checksums_in_several_forms(mirror: Mirror, published: str, found: str) -> None:
    (mirror.folder / "sums").write_text(published)
    done = shell(f"vendor_checksum tool.tar.gz {mirror.url}/sums")
    assert (done.stdout.strip(), done.returncode) == (found, 0)


def test_tool_without_a_pinned_version_names_what_to_add() -> None:
    assert shell("pinned_version jdk-21", TOOL_JDK_21="21.0.5+11").stdout == "21.0.5+11\n"
    missing = shell("version=$(pinned_version jdk-21); echo not reached")
    assert missing.stdout == ""
    assert "pins no version of jdk-21" in missing.stderr
