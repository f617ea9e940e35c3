from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from amifactory.errors import AmifactoryError, UsageError
from amifactory.packer.context import LEFTOVERS, ContextFile, assemble, context_files, hash_files
from amifactory.packer.version import PackerVersion

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = PackerVersion(major=1, minor=6, patch=6), PackerVersion(major=1, minor=11, patch=2)


def write(root: Path, path: str, text: str = "", *, executable: bool = False) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o700 if executable else 0o600)
    return file


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    root = tmp_path / "factory"
    write(root, "images/node/image.hcl")
    write(root, "images/node/build.pkr.hcl", "build {}")
    write(root, "images/node/provision/install-node.sh", "#!/bin/sh", executable=True)
    write(root, "images/node/rootfs/home/user/.npmrc", "audit=false")
    write(root, "images/node/spec/test_node.py")
    write(root, "images/_shared/source.pkr.hcl", "source")
    write(root, "images/_shared/plugins.pkr.hcl", "packer {}")
    write(root, "images/_shared/clean-up.sh", "clean", executable=True)
    write(root, "images/_shared/lib/own.pkr.hcl", "not at the top")
    write(root, "images/_shared/spec/test_hygiene.py")
    write(root, "hooks/instance/bin/fetch-secrets", "fetch", executable=True)
    return root


def files_of(root: Path, image: str = "node") -> tuple[ContextFile, ...]:
    return context_files(root / "images" / image, root / "images/_shared", root / "hooks/instance")


def test_layout(factory: Path) -> None:
    files = files_of(factory)
    assert [(str(file.path), file.executable) for file in files] == [
        ("build.pkr.hcl", False),
        ("hooks/bin/fetch-secrets", True),
        ("plugins.pkr.hcl", False),
        ("provision/install-node.sh", True),
        ("rootfs/home/user/.npmrc", False),
        ("shared/clean-up.sh", True),
        ("shared/lib/own.pkr.hcl", False),
        ("source.pkr.hcl", False),
    ]
    assert files[-1].source == factory / "images/_shared/source.pkr.hcl"


def test_an_image_needs_neither_shared_nor_hooks(tmp_path: Path) -> None:
    write(tmp_path, "images/node/build.pkr.hcl")
    assert [str(file.path) for file in files_of(tmp_path)] == ["build.pkr.hcl"]


@pytest.mark.parametrize("pattern", LEFTOVERS)
def test_leftovers_are_ignored_at_every_depth(factory: Path, pattern: str) -> None:
    before = files_of(factory)
    name = pattern.replace("*", "x").replace("[a-p]", "p")
    write(factory, f"images/node/{name}")
    write(factory, f"images/node/provision/{name}/inside")
    write(factory, f"images/_shared/{name}")
    assert files_of(factory) == before


@pytest.mark.parametrize(
    ("image_file", "shared_file", "claimed"),
    [
        ("source.pkr.hcl", "source.pkr.hcl", "source.pkr.hcl"),
        ("shared/clean-up.sh", "clean-up.sh", "shared/clean-up.sh"),
        ("shared", "clean-up.sh", "shared"),
        ("shared/a/b", "a", "shared/a"),
    ],
)
def test_two_files_for_one_path_are_refused_by_name(
    factory: Path, image_file: str, shared_file: str, claimed: str
) -> None:
    first = write(factory, f"images/node/{image_file}")
    second = write(factory, f"images/_shared/{shared_file}")
    with pytest.raises(UsageError) as caught:
        files_of(factory)
    assert str(first) in caught.value.message
    assert str(second) in caught.value.message
    assert f'"{claimed}"' in caught.value.message


@pytest.mark.parametrize("name", ["recipe.auto.pkrvars.json", "build.auto.pkrvars.json"])
def test_names_of_generated_files_are_reserved(factory: Path, name: str) -> None:
    write(factory, f"images/node/{name}")
    with pytest.raises(UsageError, match="reserved"):
        files_of(factory)


@pytest.mark.parametrize("target", ["install-node.sh", "/etc", "nowhere"])
def test_symbolic_links_are_refused(factory: Path, target: str) -> None:
    link = factory / "images/node/provision/link"
    link.symlink_to(target)
    with pytest.raises(UsageError, match="symbolic link") as caught:
        files_of(factory)
    assert str(link) in caught.value.message


def test_what_is_not_a_file_is_refused(factory: Path) -> None:
    os.mkfifo(factory / "images/node/pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        files_of(factory)


def test_hashes_tell_content_and_mode_but_not_the_plugin_block(factory: Path) -> None:
    hashes = hash_files(files_of(factory), cache={})
    assert hashes["source.pkr.hcl"] == hashlib.sha256(b"source").hexdigest()
    assert hashes["shared/clean-up.sh"] == "x:" + hashlib.sha256(b"clean").hexdigest()
    assert "plugins.pkr.hcl" not in hashes
    assert set(hashes) == {str(file.path) for file in files_of(factory)} - {"plugins.pkr.hcl"}


def test_each_file_is_read_once_for_all_images(factory: Path) -> None:
    cache: dict[Path, str] = {}
    first = hash_files(files_of(factory), cache=cache)
    for file in files_of(factory):
        file.source.write_text("changed")
    assert hash_files(files_of(factory), cache=cache) == first
    assert hash_files(files_of(factory), cache={}) != first


def test_a_thousand_images_are_read_in_two_seconds(factory: Path) -> None:
    for number in range(40):
        write(factory, f"images/_shared/files/{number}", "x" * 1000)
    images = [factory / f"images/image-{number}" for number in range(1000)]
    for image in images:
        write(image, "build.pkr.hcl", image.name)
    folders: dict[Path, tuple[ContextFile, ...]] = {}
    cache: dict[Path, str] = {}
    started = time.perf_counter()
    for image in images:
        hash_files(
            context_files(image, factory / "images/_shared", factory / "hooks/instance", folders=folders),
            cache=cache,
        )
    assert time.perf_counter() - started < 2.0


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(file.relative_to(folder)): (file.read_text(), file.stat().st_mode & 0o777)
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_assembling_writes_a_packer_directory_and_replaces_an_earlier_one(
    factory: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "run/context"
    write(destination, "stale.pkr.hcl", "of an earlier attempt")
    files = files_of(factory)
    assemble(files, destination, {"tools": {"node": "22"}}, {"region": "eu-central-1"}, OLD)
    first = tree(destination)
    assert "stale.pkr.hcl" not in first
    assert "plugins.pkr.hcl" not in first
    assert first["provision/install-node.sh"] == ("#!/bin/sh", 0o755)
    assert first["source.pkr.hcl"] == ("source", 0o644)
    assert json.loads(first["recipe.auto.pkrvars.json"][0]) == {"tools": {"node": "22"}}
    assert json.loads(first["build.auto.pkrvars.json"][0]) == {"region": "eu-central-1"}
    assemble(files, destination, {"tools": {"node": "22"}}, {"region": "eu-central-1"}, OLD)
    assert tree(destination) == first


def test_the_plugin_block_goes_to_a_packer_that_needs_it(factory: Path, tmp_path: Path) -> None:
    assemble(files_of(factory), tmp_path / "context", {}, {}, NEW)
    assert tree(tmp_path / "context")["plugins.pkr.hcl"] == ("packer {}", 0o644)


@pytest.mark.parametrize("edit", ["changed", "added", "removed", "made executable"])
def test_an_edit_after_hashing_is_not_built_under_the_old_fingerprint(
    factory: Path, tmp_path: Path, edit: str
) -> None:
    path = "images/node/provision/install-node.sh"
    script = write(factory, path, "first", executable=edit != "made executable")
    if edit == "added":
        script.unlink()
    hashes = hash_files(files_of(factory), cache={})
    assemble(files_of(factory), tmp_path / "context", {}, {}, OLD, hashes=hashes)
    if edit == "removed":
        script.unlink()
    else:
        write(factory, path, "second" if edit == "changed" else "first", executable=True)
    with pytest.raises(
        AmifactoryError, match=r"changed after the build was planned: provision/install-node\.sh"
    ):
        assemble(files_of(factory), tmp_path / "context", {}, {}, OLD, hashes=hashes)


def test_a_directory_that_cannot_be_written_is_reported_with_its_path(factory: Path, tmp_path: Path) -> None:
    blocker = write(tmp_path, "run")
    with pytest.raises(AmifactoryError, match="cannot assemble the build context") as caught:
        assemble(files_of(factory), blocker / "context", {}, {}, OLD)
    assert str(blocker / "context") in caught.value.message
