"""The images that come with amifactory keep to the house rules for shell, templates and specs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[3] / "images"
ALL_IMAGES = sorted(file.parent for file in IMAGES.glob("*/image.hcl"))
SCRIPTS = sorted(IMAGES.glob("*/provision/*.sh"))
LIBRARIES = sorted(IMAGES.glob("*/provision/lib/*.sh"))
PROFILES = sorted(IMAGES.glob("*/rootfs/**/*.sh"))


def relative(path: Path) -> str:
    return str(path.relative_to(IMAGES))


def named(match: str, folder: Path, pattern: str) -> set[str]:
    return {found for file in folder.glob(pattern) for found in re.findall(match, file.read_text())}


def entries(folder: Path, name: str) -> dict[str, str]:
    """The keys and values of a map in image.hcl."""
    block = re.search(
        rf"^{name} = \{{(.*?)^\}}", (folder / "image.hcl").read_text(), re.DOTALL | re.MULTILINE
    )
    return dict(re.findall(r'^\s+"?([^"\s]+)"?\s+= "([^"]+)"', block[1], re.MULTILINE)) if block else {}


def is_tool(named: str, tool: str) -> bool:
    """Whether a script's word for a tool, "jdk-" of "jdk-$major" too, means it."""
    return tool.startswith(named) if named.endswith("-") else tool == named


@pytest.mark.parametrize("script", SCRIPTS, ids=relative)
def test_script_is_an_executable_in_strict_mode(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert script.stat().st_mode & 0o111 == 0o111
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# "), "the second line says what the script does"
    assert "set -euo pipefail" in lines


@pytest.mark.parametrize("script", LIBRARIES, ids=relative)
def test_library_is_sourced_not_run(script: Path) -> None:
    assert script.stat().st_mode & 0o111 == 0
    assert script.read_text().startswith("# shellcheck shell=bash\n"), "it has no #! line that says so"


@pytest.mark.parametrize("folder", ALL_IMAGES, ids=relative)
def test_build_block_runs_every_script_of_the_image(folder: Path) -> None:
    ordered = named(r'"(provision/[^"]+)"', folder, "build.pkr.hcl")
    assert ordered == {f"provision/{script.name}" for script in folder.glob("provision/*.sh")}


@pytest.mark.parametrize("folder", ALL_IMAGES, ids=relative)
def test_build_starts_prepared_and_ends_clean(folder: Path) -> None:
    ordered = re.findall(r'"((?:shared/)?provision/[^"]+)"', (folder / "build.pkr.hcl").read_text())
    assert ordered[0] == "shared/provision/prepare.sh"
    assert ordered[-1] == "shared/provision/clean-up.sh"


@pytest.mark.parametrize("folder", ALL_IMAGES, ids=relative)
def test_image_has_a_spec(folder: Path) -> None:
    assert list(folder.glob("spec/test_*.py"))


@pytest.mark.parametrize("folder", ALL_IMAGES, ids=relative)
def test_spec_skips_exactly_what_scripts_may_leave_out(folder: Path) -> None:
    left_out = named(r'left_out "?([a-z][\w-]*)', folder, "provision/*.sh")
    skipped = named(r'needs_tool\("([^"]+)"\)', folder, "spec/*.py")
    assert {tool for tool in left_out if not any(is_tool(tool, other) for other in skipped)} == set()
    assert {tool for tool in skipped if not any(is_tool(other, tool) for other in left_out)} == set()


@pytest.mark.parametrize("folder", ALL_IMAGES, ids=relative)
def test_every_pinned_tool_is_installed_by_a_script(folder: Path) -> None:
    """A version in image.hcl that no script reads pins nothing."""
    pinned = set(entries(folder, "tools"))
    read = named(r'pinned_version "?([\w-]+)', folder, "provision/*.sh")
    assert {tool for tool in pinned if not any(is_tool(other, tool) for other in read)} == set()


@pytest.mark.parametrize("folder", ALL_IMAGES, ids=relative)
def test_every_pinned_tool_has_a_checksum_of_its_version(folder: Path) -> None:
    """A new version needs a new checksum; those of corepack are part of the version."""
    tools = entries(folder, "tools")
    files = entries(folder, "checksums")
    assert tools
    for tool, version in tools.items():
        pinned = "+sha512." in version or any(version.replace("+", "_") in file for file in files)
        assert pinned, tool


@pytest.mark.parametrize("folder", ALL_IMAGES, ids=relative)
def test_a_checksum_for_one_architecture_is_there_for_the_other(folder: Path) -> None:
    """Files that name no architecture are for both."""
    files = set(entries(folder, "checksums"))
    for one, other in (("amd64", "arm64"), ("x86_64", "aarch64"), ("_x64_", "_aarch64_"), ("-x64", "-arm64")):
        assert {file.replace(one, other) for file in files if one in file} <= files
