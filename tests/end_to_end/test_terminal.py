"""What goes where: results on stdout, the rest on stderr; colours and redrawing on a terminal only."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Factory

ESCAPE = "\x1b"
STYLED = re.compile(rf"{ESCAPE}\[[\d;]*m")
COMMANDS = (["plan"], ["build"], ["images"], ["validate"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_pipe_gets_results_and_no_escape_codes(factory: Factory, command: list[str]) -> None:
    ended = factory.run(*command, TERM="xterm-256color").expect(0)
    assert ended.stdout
    assert ESCAPE not in ended.stdout + ended.stderr
    assert ended.stderr == ""


def test_progress_goes_to_stderr(factory: Factory) -> None:
    ended = factory.run("verify", "base", TERM="xterm-256color").expect(0)
    assert ended.stdout.splitlines()[0].split() == [
        "IMAGE",
        "ARCH",
        "RESULT",
        "AMI",
        "TIME",
        "READY",
        "REPORT",
    ]
    assert len(ended.stdout.splitlines()) == 2
    assert "base/x86_64: running the spec" in ended.stderr
    assert ESCAPE not in ended.stdout + ended.stderr


def test_json_is_one_document_and_progress_stays_on_stderr(factory: Factory) -> None:
    ended = factory.run("verify", "base", "--json").expect(0)
    assert json.loads(ended.stdout)["ok"] is True
    assert "base/x86_64: running the spec" in ended.stderr


def test_a_terminal_gets_colours(factory: Factory) -> None:
    assert f"{ESCAPE}[32mverified{ESCAPE}[0m" in factory.cli.run_on_terminal("images")


def test_no_color_is_respected(factory: Factory) -> None:
    for command in COMMANDS:
        assert not STYLED.search(factory.cli.run_on_terminal(*command, NO_COLOR="1")), command
    assert "Error: " in factory.cli.run_on_terminal("build", "nothing", NO_COLOR="1")


def test_a_terminal_shows_a_line_for_each_image(factory: Factory) -> None:
    screen = factory.cli.run_on_terminal("verify", "base")
    assert f"{ESCAPE}[" in screen
    assert "running the spec" in screen
    plain = factory.cli.run_on_terminal("verify", "base", NO_COLOR="1")
    assert not re.search(rf"{ESCAPE}\[(\d+;)*3[0-7]m", plain)


def test_a_dumb_terminal_gets_lines(factory: Factory) -> None:
    screen = factory.cli.run_on_terminal("verify", "base", TERM="dumb", NO_COLOR="1")
    assert ESCAPE not in screen
    assert "base/x86_64: running the spec\r\n" in screen
