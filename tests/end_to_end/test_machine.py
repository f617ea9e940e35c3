"""A machine that lacks something: which program, and the command that installs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Cli
    from tests.end_to_end.conftest import Factory


def test_no_packer(factory: Factory, tools: Callable[..., str]) -> None:
    factory.add("unbuilt")
    ended = factory.run("build", "unbuilt", PATH=tools("ssh")).expect(5)
    assert 'Packer is not installed: no program "packer" on PATH' in ended.stderr
    assert "apt-get install packer" in ended.stderr
    factory.run("plan", "unbuilt", PATH=tools("ssh")).expect(0)


def test_no_packer_is_no_matter_when_nothing_is_stale(factory: Factory, tools: Callable[..., str]) -> None:
    factory.run("build", "base", PATH=tools("ssh")).expect(0)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("Packer v1.5.6", "is Packer 1.5.6, which is too old"),
        ("Packer v2.0.0", "is Packer 2.0.0, which is too new"),
        ("cracklib 2.9", "is not HashiCorp's Packer"),
    ],
)
def test_a_packer_that_will_not_do(
    factory: Factory, tools: Callable[..., str], answer: str, problem: str
) -> None:
    factory.add("unbuilt")
    ended = factory.run("build", "unbuilt", PATH=tools("ssh", packer=f"echo '{answer}'")).expect(5)
    assert problem in ended.stderr
    assert "apt-get install packer" in ended.stderr


def test_no_ssh(factory: Factory, tools: Callable[..., str], base: str) -> None:
    ended = factory.run("verify", "base", PATH=tools("packer")).expect(5)
    assert "ssh is not installed" in ended.stderr
    assert "apt-get install openssh-client" in ended.stderr
    assert base in ended.stdout


def test_no_docker_for_a_sandbox(files: Factory, make_cli: type[Cli], tmp_path: Path) -> None:
    cli = make_cli(root=files.root)
    ended = cli.run("plan", DOCKER_HOST=f"unix://{tmp_path}/none.sock").expect(5)
    assert "the sandbox needs Docker, which does not answer" in ended.stderr
    assert "systemctl start docker" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_docker_to_resolve_digests_with(factory: Factory, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/none.sock"
    factory.run("plan", DOCKER_HOST=nowhere).expect(0)
    factory.add("holder", settings='prepull = ["example/holder:1"]')
    ended = factory.run("plan", DOCKER_HOST=nowhere).expect(5)
    assert "Docker does not answer" in ended.stderr
    assert "DOCKER_HOST" in ended.stderr


@pytest.mark.parametrize("command", ["plan", "build", "images", "verify"])
def test_no_credentials(files: Factory, tmp_path: Path, command: str) -> None:
    ended = files.run(command, HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true").expect(6)
    assert "no AWS credentials were found" in ended.stderr
    assert "aws sso login" in ended.stderr
    assert "--sandbox" in ended.stderr
    assert ended.stdout == ""


def test_no_such_profile(files: Factory, tmp_path: Path) -> None:
    ended = files.run("plan", HOME=str(tmp_path), AWS_PROFILE="nobody").expect(6)
    assert "nobody" in ended.stderr
    assert "aws configure list-profiles" in ended.stderr


def test_doctor_says_what_is_missing_and_how_to_mend_it(files: Factory, tools: Callable[..., str]) -> None:
    ended = files.run("doctor", PATH=tools("ssh"), AWS_EC2_METADATA_DISABLED="true", HOME="/nowhere").expect(
        5
    )
    assert "no  packer: Packer is not installed" in ended.stdout
    assert "apt-get install packer" in ended.stdout
    assert "no  credentials: no AWS credentials were found" in ended.stdout
