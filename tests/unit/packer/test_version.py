from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from amifactory.errors import AmifactoryError, ExitCode, MissingToolError
from amifactory.packer.environment import packer_environment
from amifactory.packer.plugins import install_plugins
from amifactory.packer.version import Packer, PackerVersion, find_packer, parse_version

if TYPE_CHECKING:
    from pathlib import Path

FAKE = """#!/bin/sh
echo "$@" >> '{calls}'
case $1 in
version) echo 'Packer v{version}' ;;
init) {init} ;;
esac
"""


def make_packer(folder: Path, version: str, *, init: str = "true") -> dict[str, str]:
    """Puts a program that answers as Packer does into a folder, and returns an environment that finds it."""
    program = folder / "packer"
    program.write_text(FAKE.format(calls=folder / "calls", version=version, init=init))
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("printed", "version", "needs_plugins"),
    [
        ("Packer v1.6.6", "1.6.6", False),
        ("Packer v1.7.0\n", "1.7.0", True),
        ("Packer v1.11.2\n\nYour version of Packer is out of date!\n", "1.11.2", True),
        ("Packer v1.6.7-dev (abcdef)", "1.6.7", False),
    ],
)
def test_versions_as_packer_prints_them(
    tmp_path: Path, printed: str, version: str, *, needs_plugins: bool
) -> None:
    found = parse_version(printed, tmp_path)
    assert (str(found), found.needs_plugins) == (version, needs_plugins)


def test_finds_packer_and_asks_it_once(tmp_path: Path) -> None:
    packer = find_packer(make_packer(tmp_path, "1.11.2"))
    assert packer == Packer(binary=tmp_path / "packer", version=PackerVersion(major=1, minor=11, patch=2))
    assert calls(tmp_path) == ["version"]


@pytest.mark.parametrize(
    ("version", "problem"), [("1.5.6", "too old"), ("2.0.0", "too new"), ("of cracklib", "not HashiCorp's")]
)
def test_a_packer_that_does_not_fit_is_refused(tmp_path: Path, version: str, problem: str) -> None:
    environment = make_packer(tmp_path, version)
    with pytest.raises(MissingToolError, match=problem) as caught:
        find_packer(environment)
    assert str(tmp_path / "packer") in caught.value.message
    assert caught.value.exit_code == ExitCode.MISSING_TOOL


def test_no_packer_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="not installed") as caught:
        find_packer({"PATH": str(tmp_path)})
    assert "apt-get install packer" in str(caught.value.hint)


def test_a_file_that_is_no_program_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "packer"
    program.write_text("no shebang")
    program.chmod(0o755)
    with pytest.raises(MissingToolError, match="cannot be run"):
        find_packer({"PATH": str(tmp_path)})


@pytest.fixture
def plugins_file(tmp_path: Path) -> Path:
    file = tmp_path / "plugins.pkr.hcl"
    file.write_text('packer { required_plugins { amazon = { source = "github.com/hashicorp/amazon" } } }')
    return file


def test_plugins_are_installed_once(tmp_path: Path, plugins_file: Path) -> None:
    environment = make_packer(tmp_path, "1.11.2")
    packer = find_packer(environment)
    ran = [
        install_plugins(packer, plugins_file, cache=tmp_path / "cache", environment=environment) for _ in "12"
    ]
    assert ran == [True, False]
    plugins_file.write_text("packer { }")
    assert install_plugins(packer, plugins_file, cache=tmp_path / "cache", environment=environment)
    elsewhere = {**environment, "PACKER_PLUGIN_PATH": str(tmp_path)}
    assert install_plugins(packer, plugins_file, cache=tmp_path / "cache", environment=elsewhere)
    assert calls(tmp_path) == ["version", *[f"init {plugins_file}"] * 3]


def test_builds_in_parallel_install_plugins_once(tmp_path: Path, plugins_file: Path) -> None:
    environment = make_packer(tmp_path, "1.11.2", init="sleep 0.2")
    packer = find_packer(environment)
    threads = [
        threading.Thread(
            target=install_plugins,
            args=(packer, plugins_file),
            kwargs={"cache": tmp_path / "cache", "environment": environment},
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls(tmp_path) == ["version", f"init {plugins_file}"]


def test_packer_1_6_has_no_plugins_to_install(tmp_path: Path, plugins_file: Path) -> None:
    environment = make_packer(tmp_path, "1.6.6")
    packer = find_packer(environment)
    assert not install_plugins(packer, plugins_file, cache=tmp_path / "cache", environment=environment)
    assert calls(tmp_path) == ["version"]


def test_a_failed_installation_is_told_and_tried_again(tmp_path: Path, plugins_file: Path) -> None:
    environment = make_packer(tmp_path, "1.11.2", init="echo no route to host >&2; exit 1")
    packer = find_packer(environment)
    for _ in "12":
        with pytest.raises(AmifactoryError, match="no route to host"):
            install_plugins(packer, plugins_file, cache=tmp_path / "cache", environment=environment)
    assert calls(tmp_path)[1:] == [f"init {plugins_file}"] * 2


def test_the_environment_holds_named_variables_only() -> None:
    environ = {
        "PATH": "/usr/bin",
        "HOME": "/home/user",
        "AWS_PROFILE": "ci",
        "PACKER_LOG": "1",
        "PKR_VAR_region": "elsewhere",
        "GITLAB_TOKEN": "secret",
    }
    assert packer_environment(environ) == {
        "PATH": "/usr/bin",
        "HOME": "/home/user",
        "AWS_PROFILE": "ci",
        "CHECKPOINT_DISABLE": "1",
        "PACKER_NO_COLOR": "1",
    }


def test_given_credentials_do_not_mix_with_the_environment() -> None:
    environ = {"AWS_PROFILE": "ci", "AWS_SESSION_TOKEN": "of another"}
    environment = packer_environment(environ, aws={"AWS_ACCESS_KEY_ID": "sandbox"})
    assert {name for name in environment if name.startswith("AWS_")} == {"AWS_ACCESS_KEY_ID"}
