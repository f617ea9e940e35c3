"""Programs of the factory's own that judge or approve: what they get, and how their failure is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from amifactory.operations.health import TOLD_CHARACTERS, run_program

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/usr/bin:/bin"


def run(folder: Path, text: str, *, facts: object = None, seconds: float = 20.0) -> str | None:
    """Runs a shell program; returns how it failed."""
    return run_program(
        ["/bin/sh", "-c", text],
        folder=folder,
        environment={"PATH": PATH, "AWS_SECRET_ACCESS_KEY": "secret", "LANG": "C"},
        facts=facts,
        seconds=seconds,
    )


def test_it_gets_facts_on_its_standard_input_and_runs_in_the_factory(tmp_path: Path) -> None:
    assert run(tmp_path, "cat > facts", facts={"fleet": "node", "amis": ["ami-1"]}) is None
    assert json.loads((tmp_path / "facts").read_text()) == {"fleet": "node", "amis": ["ami-1"]}


def test_it_gets_none_of_our_credentials(tmp_path: Path) -> None:
    assert run(tmp_path, "env > environment") is None
    lines = (tmp_path / "environment").read_text().splitlines()
    assert f"PATH={PATH}" in lines
    assert not any(line.startswith("AWS_") for line in lines)


def test_one_that_does_not_read_what_it_is_told_is_as_good(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 0", facts="x" * 1_000_000) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo said; echo because >&2; exit 3", "failed (3): because"),
        ("echo said; exit 1", "failed (1): said"),
        ("exit 2", "failed (2)"),
        ("kill -9 $$", "failed (-9)"),
    ],
)
def test_how_it_failed(tmp_path: Path, text: str, words: str) -> None:
    assert run(tmp_path, text) == words


def test_the_end_of_what_it_says_is_told(tmp_path: Path) -> None:
    said = run(tmp_path, "seq 1000; exit 1")
    assert said is not None
    assert said.endswith("999\n1000")
    assert len(said) <= TOLD_CHARACTERS + len("failed (1): ")


def test_one_that_does_not_end_is_ended(tmp_path: Path) -> None:
    assert run(tmp_path, "exec sleep 60", seconds=0.1) == "did not end within 0 s"


def test_one_that_cannot_be_run(tmp_path: Path) -> None:
    failure = run_program(["./absent"], folder=tmp_path, environment={}, facts=None, seconds=1)
    assert failure == "could not be run: No such file or directory"
