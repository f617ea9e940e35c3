"""The source AMI's disk: its name follows from its recipe, and a cached one needs no tool."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

import amifactory
from amifactory.sandbox.source_ami import default_cache_dir, prepare_source_ami, recipe_key

DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
ROOT = Path(amifactory.__file__).parents[1]


@pytest.fixture
def architecture() -> str:
    return DEBIAN[platform.machine()]


def test_a_cached_disk_is_used_without_a_word(tmp_path: Path, architecture: str) -> None:
    key = recipe_key(architecture)
    (tmp_path / f"debian-12-{architecture}-{key[:12]}.tar").write_bytes(b"")
    said: list[str] = []
    source = prepare_source_ami(tmp_path, said.append, environment={"PATH": ""})
    assert not said
    assert source.ami_id == f"ami-{key[:17]}"
    assert re.fullmatch(rf"debian-12-{architecture}-\d{{8}}-sandbox", source.name)


def test_architectures_have_different_disks() -> None:
    assert recipe_key("amd64") != recipe_key("arm64")
    assert recipe_key("amd64") == recipe_key("amd64")


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
