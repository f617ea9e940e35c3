"""The spec digest changes with the specs and with nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.spec.digest import spec_digest

if TYPE_CHECKING:
    from pathlib import Path


def specs(root: Path, **images: str) -> list[Path]:
    folders = []
    for name, text in images.items():
        folder = root / name / "spec"
        folder.mkdir(parents=True)
        (folder / "test_it.py").write_text(text)
        folders.append(folder)
    return folders


def test_place_and_order_do_not_matter(tmp_path: Path) -> None:
    here = specs(tmp_path / "here", base="a", node="b")
    there = specs(tmp_path / "there", base="a", node="b")
    assert spec_digest(here) == spec_digest(reversed(there))
    assert len(spec_digest(here)) == 16


def test_content_names_and_folders_matter(tmp_path: Path) -> None:
    folders = specs(tmp_path, base="a", node="b")
    before = spec_digest(folders)
    assert spec_digest(specs(tmp_path / "other", base="b", node="a")) != before
    assert spec_digest(folders[:1]) != before
    (folders[1] / "conftest.py").write_text("")
    assert spec_digest(folders) != before


def test_python_caches_do_not_matter(tmp_path: Path) -> None:
    folders = specs(tmp_path, base="a")
    before = spec_digest(folders)
    (folders[0] / "__pycache__").mkdir()
    (folders[0] / "__pycache__/test_it.pyc").write_bytes(b"x")
    assert spec_digest(folders) == before


def test_each_folder_is_read_once_in_a_run(tmp_path: Path) -> None:
    folders = specs(tmp_path, base="a", node="b")
    known: dict[Path, str] = {}
    before = spec_digest(folders, known=known)
    (folders[0] / "test_it.py").write_text("changed")
    assert spec_digest(folders, known=known) == before
    assert spec_digest(folders) != before
