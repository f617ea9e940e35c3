"""A secret's file appears whole, with its owner and mode, and only where root meant it to be."""

from __future__ import annotations

import os
import pwd
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from secret_error import SecretError
from secret_file import Owner, find_owner, put_in_place

if TYPE_CHECKING:
    from pathlib import Path

ME = Owner(os.geteuid(), os.getegid())
SOMEBODY = Owner(1, 1)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def mode_and_owner(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


@needs_root
def test_file_and_missing_folders_get_the_owner(tmp_path: Path) -> None:
    file = tmp_path / "a/b/file"
    put_in_place(str(file), b"value", owner=SOMEBODY, mode=0o640)
    assert mode_and_owner(file) == (0o640, 1, 1)
    assert mode_and_owner(tmp_path / "a/b") == mode_and_owner(tmp_path / "a") == (0o755, 1, 1)


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o710)
    put_in_place(str(tmp_path / "a/file"), b"value", owner=ME, mode=0o600)
    assert mode_and_owner(tmp_path / "a") == (0o710, *mode_and_owner(tmp_path)[1:])


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_mode_does_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        put_in_place(str(tmp_path / "a/file"), b"value", owner=ME, mode=0o644)
    finally:
        os.umask(before)
    assert mode_and_owner(tmp_path / "a/file")[0] == 0o644
    assert mode_and_owner(tmp_path / "a")[0] == 0o755


def test_readers_see_old_or_new_and_nothing_between(tmp_path: Path) -> None:
    file, contents = tmp_path / "file", (b"a" * 300_000, b"b" * 500_000)
    put_in_place(str(file), contents[0], owner=ME, mode=0o600)
    seen: list[bytes] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            seen.append(file.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(20):
        put_in_place(str(file), contents[turn % 2], owner=ME, mode=0o600)
    over.set()
    reader.join()
    assert seen
    assert all(content in contents for content in seen)
    assert {entry.name for entry in tmp_path.iterdir()} == {"file"}


def test_secrets_that_come_at_once_share_the_folders_they_need(tmp_path: Path) -> None:
    for turn in range(20):
        folder = tmp_path / f"{turn}/a/b/c"
        places = [str(folder / name) for name in "abcd"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda place: put_in_place(place, b"value", owner=ME, mode=0o600), places))
        assert {file.name for file in folder.iterdir()} == set("abcd")


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / ".file.amifactory-new"
    left.write_text("half a val")
    left.chmod(0o444)
    put_in_place(str(tmp_path / "file"), b"value", owner=ME, mode=0o600)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("file", "value")]


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(SecretError, match=r"cannot write .*/file: Is a directory") as raised:
        put_in_place(str(tmp_path / "file"), b"value", owner=ME, mode=0o600)
    assert raised.value.of == "image"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_file_in_the_way_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(SecretError, match="Not a directory"):
        put_in_place(str(tmp_path / "a/file"), b"value", owner=ME, mode=0o600)


def test_link_at_the_files_place_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "file").symlink_to("target")
    put_in_place(str(tmp_path / "file"), b"value", owner=ME, mode=0o600)
    assert (tmp_path / "target").read_text() == "precious"
    assert not (tmp_path / "file").is_symlink()


@needs_root
@pytest.mark.parametrize("target", ["b", "../{name}/b", "{folder}/b"])
def test_links_that_root_laid_are_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").symlink_to(target.format(name=tmp_path.name, folder=tmp_path))
    put_in_place(str(tmp_path / "a/c/file"), b"value", owner=ME, mode=0o600)
    assert (tmp_path / "b/c/file").read_text() == "value"


@needs_root
@pytest.mark.parametrize(("link_owner", "folder_owner"), [(1, 0), (0, 1), (1, 1)])
def test_links_that_another_could_lay_are_not(tmp_path: Path, link_owner: int, folder_owner: int) -> None:
    home, target = tmp_path / "home", tmp_path / "target"
    home.mkdir()
    target.mkdir()
    (home / ".kube").symlink_to(target)
    os.lchown(home / ".kube", link_owner, link_owner)
    os.chown(home, folder_owner, folder_owner)
    with pytest.raises(SecretError, match="symbolic link that root did not lay"):
        put_in_place(str(home / ".kube/config"), b"value", owner=SOMEBODY, mode=0o600)
    assert list(target.iterdir()) == []


@needs_root
def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(SecretError, match="Too many levels of symbolic links"):
        put_in_place(str(tmp_path / "a/file"), b"value", owner=ME, mode=0o600)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        put_in_place(str(tmp_path / "a/b/file"), b"value", owner=ME, mode=0o600)
    (tmp_path / "a/b/folder").mkdir()
    with pytest.raises(SecretError):
        put_in_place(str(tmp_path / "a/b/folder"), b"value", owner=ME, mode=0o600)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_owner_is_a_user_with_its_own_group_or_another() -> None:
    daemon = pwd.getpwnam("daemon")
    assert find_owner("daemon") == Owner(daemon.pw_uid, daemon.pw_gid)
    assert find_owner("daemon:root") == Owner(daemon.pw_uid, 0)
