"""Factories to measure with are accepted, and their images do what the gates ask of every image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import BRANCHES, write_factory, write_image, write_tree

from amifactory.config.load import load

if TYPE_CHECKING:
    from pathlib import Path


def template(root: Path, image: str) -> str:
    return (root / "images" / image / "build.pkr.hcl").read_text()


def test_a_tree_of_images_is_accepted(tmp_path: Path) -> None:
    images = load(write_tree(tmp_path, BRANCHES + 2)).images
    parents = [images[name].parent for name in sorted(images)]
    assert parents == [None, *["image-0000"] * BRANCHES, "image-0001"]


def test_an_image_on_the_source_ami_brings_what_its_children_clean_up_with(tmp_path: Path) -> None:
    write_tree(tmp_path, 2)
    assert "install-hooks.sh" in template(tmp_path, "image-0000")
    assert "clean-up.sh" in template(tmp_path, "image-0000")
    assert "sudo clean-up" in template(tmp_path, "image-0001")
    script = (tmp_path / "images/image-0000/provision/install.sh").read_text()
    assert "/usr/local/sbin/clean-up" in script


@pytest.mark.parametrize(("prepull", "installs"), [(["alpine:3.20"], True), ([], False)])
def test_an_image_that_pre_pulls_installs_docker(tmp_path: Path, prepull: list[str], installs: bool) -> None:
    write_image(write_factory(tmp_path), "one", prepull=prepull)
    script = (tmp_path / "images/one/provision/install.sh").read_text()
    assert ("docker.io" in script, "pull-images.sh" in template(tmp_path, "one")) == (installs, installs)


def test_the_marker_comes_after_the_wait(tmp_path: Path) -> None:
    write_image(write_factory(tmp_path), "one", parent="base", seconds=30)
    script = (tmp_path / "images/one/provision/install.sh").read_text()
    assert script.endswith("\nsleep 30\necho one >/etc/marker-one\n")
