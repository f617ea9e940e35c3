"""The command line itself: help, mistakes, completion. Nothing here reaches AWS or Docker."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from amifactory.cli.main import COMMANDS, Commands, cli

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    *("boto3", "botocore", "cyclonedx", "docker", "hcl2", "jinja2", "lark", "moto", "pydantic"),
    *("pytest", "rich"),
)


def all_commands() -> list[list[str]]:
    names = [[name] for name in COMMANDS]
    return names + [["sandbox", name] for name in ("up", "status", "shell", "logs", "down")]


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert "  amifactory " in result.output or "amifactory completion" in result.output


def test_the_list_of_commands_agrees_with_the_commands() -> None:
    assert isinstance(cli, Commands)
    for name in COMMANDS:
        command = cli.get_command(cli.make_context("amifactory", ["plan"], resilient_parsing=True), name)
        assert command is not None
        assert command.name == name


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from amifactory.cli.main import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_mistyped_command_is_answered_with_the_nearest() -> None:
    result = CliRunner().invoke(cli, ["biuld"])
    assert result.exit_code == 2
    assert 'no such command "biuld". Did you mean "build"?' in result.output


def test_completion_prints_a_script_for_each_shell() -> None:
    for shell in ("bash", "zsh", "fish"):
        result = CliRunner().invoke(cli, ["completion", shell])
        assert result.exit_code == 0
        assert "_AMIFACTORY_COMPLETE" in result.output


def test_init_makes_a_factory_that_validates(tmp_path: Path) -> None:
    folder = tmp_path / "My CI"
    made = CliRunner().invoke(cli, ["init", str(folder), "--region", "us-east-1"])
    assert made.exit_code == 0, made.output
    assert 'factory "my-ci"' in (folder / "factory.hcl").read_text()
    assert '"us-east-1"' in (folder / "factory.hcl").read_text()
    checked = CliRunner().invoke(cli, ["-C", str(folder), "validate", "--json"])
    assert json.loads(checked.stdout) == {"ok": True, "problems": [], "warnings": []}
    assert checked.exit_code == 0


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "factory.hcl").write_text("mine")
    result = CliRunner().invoke(cli, ["init", str(tmp_path)])
    assert result.exit_code != 0
    assert (tmp_path / "factory.hcl").read_text() == "mine"
    assert not (tmp_path / "images").exists()


def test_an_option_that_stands_before_the_command_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from amifactory.cli.main import main; main()", "plan", "--sandbox"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "It stands before the command: amifactory --sandbox COMMAND" in done.stderr


def test_image_names_are_completed(tmp_path: Path) -> None:
    for name in ("node", "nodejs", "java", "_shared"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "image.hcl").touch()
    (tmp_path / "factory.hcl").touch()
    asked = CliRunner().invoke(
        cli,
        env={
            "_AMIFACTORY_COMPLETE": "bash_complete",
            "COMP_WORDS": f"amifactory -C {tmp_path} build no",
            "COMP_CWORD": "4",
        },
        prog_name="amifactory",
    )
    assert asked.output.split() == ["plain,node", "plain,nodejs"]
