"""The part of the measuring probe that touches a machine, on this one."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from amifactory.probes.measure.instance import Ended, Instance

if TYPE_CHECKING:
    from pathlib import Path

HERE = Instance()


def test_a_program_runs_with_nothing_on_its_stdin() -> None:
    assert HERE.run(["cat"], seconds=10) == Ended(0, "", "")


def test_what_a_program_says_and_how_it_ends() -> None:
    assert HERE.run(["sh", "-c", "echo out; echo no >&2; exit 3"], seconds=10) == Ended(3, "out\n", "no\n")


def test_a_program_that_is_missing_or_none_ends_as_a_shell_would_say(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    assert HERE.run(["/nowhere/x"], seconds=10) == Ended(127, "", "/nowhere/x: No such file or directory")
    assert HERE.run([f"{tmp_path}/text"], seconds=10) == Ended(126, "", f"{tmp_path}/text: Permission denied")


def test_a_program_that_takes_too_long_is_killed() -> None:
    ended = HERE.run(["sleep", "60"], seconds=0.05)
    assert ended.status is None
    assert ended.why == "it took too long"


def test_a_file_that_is_added_to_stays_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n")
    before = file.stat().st_ino
    HERE.append(str(file), "192.0.2.1 a\n")
    assert HERE.read(str(file)) == "127.0.0.1 localhost\n192.0.2.1 a\n"
    assert file.stat().st_ino == before


def test_a_connection_shows_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert HERE.connects("127.0.0.1", port)
    assert not HERE.connects("127.0.0.1", port)


def test_a_name_that_nobody_has_is_not_connected_to() -> None:
    assert not HERE.connects("name.invalid", 443)


def test_time_passes_on_all_clocks() -> None:
    before = HERE.clocks()
    HERE.pause(0.02)
    after = HERE.clocks()
    assert all(later - earlier >= 0.02 for earlier, later in zip(before, after, strict=True))
    assert after.boottime >= after.monotonic


def test_a_file_system_has_bytes_in_use() -> None:
    assert HERE.used_bytes("/") > 0
