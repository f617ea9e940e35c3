"""The machine under the hooks: programs that run, fail, hang or are missing; files that appear whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from host import NOT_FOUND, TOO_LONG, replace_file, run_program

if TYPE_CHECKING:
    from pathlib import Path


def test_program_gets_no_other_environment_than_it_is_given() -> None:
    ended = run_program(["/bin/sh", "-c", 'echo "${A-} ${HOME-unset}"; echo b >&2; exit 3'], {"A": "1"})
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "1 unset\n", "b\n")


def test_program_has_the_hooks_own_environment_unless_it_is_given_one() -> None:
    assert run_program(["sh", "-c", 'printf %s "$PATH"'], None).stdout == os.environ["PATH"]


def test_missing_program_is_a_failed_one() -> None:
    ended = run_program(["no-such-program"], None)
    assert (ended.returncode, ended.stderr) == (NOT_FOUND, "no-such-program is not installed")


def test_program_that_does_not_end_is_a_failed_one_that_said_nothing() -> None:
    ended = run_program(["sh", "-c", "echo half; exec sleep 60"], None, seconds=0.1)
    assert (ended.returncode, ended.stdout) == (TOO_LONG, "")
    assert ended.stderr == "sh did not end within 0.1 s"


def test_output_that_is_no_text_is_not_made_into_some_other() -> None:
    ended = run_program(["printf", r"\303\274\377"], None)
    assert ended.stdout.encode(errors="surrogateescape") == "ü".encode() + b"\xff"


def test_file_is_replaced_for_everybody_to_read(tmp_path: Path) -> None:
    file = tmp_path / "a/b/file"
    replace_file(file, "old")
    before = os.umask(0o077)
    try:
        with file.open() as reader:
            replace_file(file, "new")
            assert reader.read() == "old"
    finally:
        os.umask(before)
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o7777 == 0o644
    assert [entry.name for entry in file.parent.iterdir()] == ["file"]
