"""The spec digest changes with the specs and with nothing else; a verification's with its limits too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from amifactory.domain.cold_start import Budget
from amifactory.spec.digest import spec_digest, verification_digest

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


def test_without_limits_only_the_specs_matter(tmp_path: Path) -> None:
    folders = specs(tmp_path, base="a")
    assert verification_digest(folders, budget=Budget(), allow_leaks=()) == spec_digest(folders)


LIMITED = Budget(ready_within=60.0, first_run_within=20.0, regression=0.2)


@pytest.mark.parametrize(
    ("budget", "allow_leaks"),
    [
        (Budget(ready_within=61.0, first_run_within=20.0, regression=0.2), ("log:*",)),
        (Budget(ready_within=60.0, first_run_within=21.0, regression=0.2), ("log:*",)),
        (Budget(ready_within=60.0, first_run_within=20.0, regression=0.3), ("log:*",)),
        (Budget(ready_within=20.0, first_run_within=60.0, regression=0.2), ("log:*",)),
        (LIMITED, ("log:/var/*",)),
        (LIMITED, ()),
        (Budget(), ("log:*",)),
        (Budget(), ()),
    ],
)
def test_each_limit_matters(tmp_path: Path, budget: Budget, allow_leaks: tuple[str, ...]) -> None:
    folders = specs(tmp_path, base="a")
    before = verification_digest(folders, budget=LIMITED, allow_leaks=("log:*",))
    after = verification_digest(folders, budget=budget, allow_leaks=allow_leaks)
    assert before != after
    assert before.partition("+")[0] == after.partition("+")[0] == spec_digest(folders)


def test_the_order_of_allowed_leaks_does_not_matter(tmp_path: Path) -> None:
    folders = specs(tmp_path, base="a")
    orders = (("log:*", "private-key:*"), ("private-key:*", "log:*", "log:*"))
    found = {verification_digest(folders, budget=LIMITED, allow_leaks=order) for order in orders}
    assert len(found) == 1
    assert len(found.pop()) == 16 + 1 + 8
