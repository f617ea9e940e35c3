"""The commands of promotion before they reach AWS: help, options, what cannot go together."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from amifactory.cli.main import cli
from amifactory.errors import UsageError


@pytest.mark.parametrize(
    "command",
    [
        "promote",
        "rollback",
        "unlock",
        "status",
        "releases",
        "releases show",
        "releases diff",
        "fleets",
        "fleets convert",
    ],
)
def test_help_has_an_example_of_the_command_itself(command: str) -> None:
    shown = CliRunner().invoke(cli, [*command.split(), "--help"])
    assert shown.exit_code == 0
    assert f"  amifactory {command}" in shown.output


def test_two_sources_cannot_both_be_given() -> None:
    words = ["promote", "--channel", "production", "--from", "staging", "--release", "4"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == "--from and --release cannot both be given"


@pytest.mark.parametrize("parallel", ["0", "33"])
def test_so_many_fleets_at_once_are_too_few_or_too_many(parallel: str) -> None:
    done = CliRunner().invoke(cli, ["promote", "--channel", "staging", "--parallel", parallel])
    assert done.exit_code == 2
    assert "1<=x<=32" in done.output


def test_a_channel_has_to_be_named() -> None:
    for command in ("promote", "rollback"):
        done = CliRunner().invoke(cli, [command])
        assert done.exit_code == 2
        assert "Missing option '--channel'" in done.output
