"""The source AMI's disk: its name follows from its recipe, and a cached one needs no tool."""

from __future__ import annotations

import platform
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import amifactory
from amifactory.sandbox.apt_sources import MIRROR_VARIABLE, Archive, Mirrors, mirrors_of_this_machine
from amifactory.sandbox.source_ami import default_cache_dir, prepare_source_ami, recipe_key

DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
GIVEN = {MIRROR_VARIABLE: "http://mirror.example.com/debian"}
ROOT = Path(amifactory.__file__).parents[1]


@pytest.fixture
def architecture() -> str:
    return DEBIAN[platform.machine()]


def test_a_cached_disk_is_used_without_a_word(tmp_path: Path, architecture: str) -> None:
    key = recipe_key(architecture, mirrors_of_this_machine(GIVEN))
    (tmp_path / f"debian-12-{architecture}-{key[:12]}.tar").write_bytes(b"")
    said: list[str] = []
    source = prepare_source_ami(tmp_path, said.append, environment=GIVEN)
    assert not said
    assert source.ami_id == f"ami-{key[:17]}"
    assert re.fullmatch(rf"debian-12-{architecture}-\d{{8}}-sandbox", source.name)


def test_architectures_have_different_disks() -> None:
    mirrors = Mirrors(main="http://mirror.example.com/debian")
    assert recipe_key("amd64", mirrors) != recipe_key("arm64", mirrors)
    assert recipe_key("amd64", mirrors) == recipe_key("amd64", mirrors)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"main": "http://other.example.com/debian"}, False),
        ({"others": (Archive(uri="http://mirror.example.com/security", suite="bookworm-security"),)}, False),
        ({"proxy": "http://proxy.example.com:3128"}, False),
        ({"proxy": "http://127.0.0.1:3128"}, True),
    ],
)
def test_mirrors_and_proxy_that_are_on_the_disk_decide_which_it_is(change: Any, same: bool) -> None:
    mirrors = Mirrors(main="http://mirror.example.com/debian")
    assert (recipe_key("amd64", mirrors) == recipe_key("amd64", replace(mirrors, **change))) is same


INTERRUPTED = """
import sys
from pathlib import Path
from amifactory.sandbox.source_ami import run_to_its_end
run_to_its_end(["bash", "-c", sys.argv[1]], Path(sys.argv[2]), {})
"""


def test_interrupted_it_waits_until_the_maker_has_cleaned_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    clean_up = "trap '/bin/sleep 0.2; echo cleaned; exit 143' TERM"
    script = f"{clean_up}; echo >{tmp_path}/ready; while :; do /bin/sleep 0.05; done"
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, script, str(log)], cwd=ROOT, stderr=subprocess.DEVNULL
    ) as maker:
        while not (tmp_path / "ready").exists():
            assert maker.poll() is None
            time.sleep(0.01)
        maker.send_signal(signal.SIGINT)
        assert maker.wait(timeout=20) == -signal.SIGINT
    assert log.read_text() == "cleaned\n"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/home/me"}, "/cache/amifactory"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/amifactory"),
        ({"HOME": "/home/me"}, "/home/me/.cache/amifactory"),
    ],
)
def test_the_cache_is_where_the_environment_says(environment: dict[str, str], expected: str) -> None:
    assert default_cache_dir(environment) == Path(expected)


def imported_by(module: str, *flags: str) -> set[str]:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, *flags, "-c", script], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_it_can_be_made_before_anything_is_installed() -> None:
    assert "amifactory.sandbox.apt_sources" in imported_by("amifactory.sandbox.source_ami", "-I", "-S")


def test_finding_a_running_sandbox_loads_neither_docker_nor_moto() -> None:
    heavy = {"docker", "moto", "boto3", "botocore", "pydantic"}
    assert not heavy & imported_by("amifactory.sandbox.lifecycle")
