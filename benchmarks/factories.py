"""Factories to measure with: real templates and shared files, images that wait rather than compute."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from measure import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from measure import Bench

_LEFTOVERS = shutil.ignore_patterns("__pycache__")

BRANCHES = 8
"""Children of each image in `write_tree`."""

FACTORY = """\
factory "bench" {
  region       = "eu-central-1"
  state_bucket = "bench-amifactory-state"
}
"""
SOURCE = """\
source_ami "debian-12" {{
  owner        = "136693071363"
  name         = {{ x86_64 = "{pattern}" }}
  ssh_username = "admin"
}}
"""
BASES = ROOT / "tests/factories"
ON_SOURCE_AMI = BASES / "single/images/base"
ON_PARENT = BASES / "family/images/left"
WITH_DOCKER = BASES / "worker/images/worker"
"""Images that pass the gates: what is measured is made like them, and adds a marker."""

MARKER = """
sleep {seconds}
echo {name} >/etc/marker-{name}
"""
SPEC = """\
def test_marker_names_the_image(host):
    assert host.file("/etc/marker-{name}").content_string == "{name}\\n"


def test_var_lib_is_not_world_writable(host):
    assert not host.file("/var/lib").mode & 0o002
"""


def write_factory(root: Path) -> Path:
    """Makes a factory without images, with the shared files and hooks that this repository ships.

    But for the shared specs: they ask for what only the repository's own images install.
    """
    leave_out = shutil.ignore_patterns("__pycache__", "spec")
    shutil.copytree(ROOT / "images/_shared", root / "images/_shared", ignore=leave_out)
    shutil.copytree(ROOT / "hooks", root / "hooks", ignore=_LEFTOVERS)
    (root / "factory.hcl").write_text(FACTORY)
    return root


def copy_own_factory(root: Path) -> Path:
    """Copies the factory this repository is: what ``make demo`` builds."""
    for folder in ("images", "hooks"):
        shutil.copytree(ROOT / folder, root / folder, ignore=_LEFTOVERS)
    shutil.copy(ROOT / "factory.hcl", root)
    return root


def write_image(
    root: Path,
    name: str,
    *,
    parent: str | None = None,
    pattern: str = "debian-12-amd64-*",
    seconds: float = 0,
    prepull: Sequence[str] = (),
) -> None:
    """Adds an image whose provisioner waits. One that pre-pulls and has no parent installs Docker first.

    Args:
        root: The factory.
        name: The image's name.
        parent: The image it is built on; without one, the source AMI.
        pattern: The source AMI's name.
        seconds: How long the provisioner waits.
        prepull: Container images whose digests are resolved at each plan; not with a parent.
    """
    folder = root / "images" / name
    for part in ("provision", "spec"):
        (folder / part).mkdir(parents=True)
    origin = f'parent = "{parent}"\n' if parent else SOURCE.format(pattern=pattern)
    (folder / "image.hcl").write_text(
        f'description = "{name}: waits {seconds} s"\n{origin}'
        f'tools = {{ marker = "1.2.3" }}\nprepull = {json.dumps(list(prepull))}\nmax_age = "7d"\n'
    )
    like = ON_PARENT if parent else WITH_DOCKER if prepull else ON_SOURCE_AMI
    shutil.copy(like / "build.pkr.hcl", folder)
    script = folder / "provision/install.sh"
    shutil.copy(like / "provision/install.sh", script)
    with script.open("a") as file:
        file.write(MARKER.format(seconds=seconds, name=name))
    (folder / "spec" / f"test_{name.replace('-', '_')}.py").write_text(SPEC.format(name=name))


def write_tree(root: Path, images: int) -> Path:
    """Makes a factory of many images: one on the source AMI, each with eight children."""
    write_factory(root)
    shutil.copytree(ROOT / "images/_shared/spec", root / "images/_shared/spec", ignore=_LEFTOVERS)
    for number in range(images):
        parent = f"image-{(number - 1) // BRANCHES:04}" if number else None
        write_image(root, f"image-{number:04}", parent=parent)
    return root


@contextmanager
def sandbox(bench: Bench, root: Path) -> Iterator[dict[str, str]]:
    """Runs a factory's sandbox while entered; yields its state."""
    try:
        yield json.loads(bench.amifactory(root, "--sandbox", "sandbox", "up", "--json").output)
    finally:
        bench.amifactory(root, "sandbox", "down")


def aws_of(state: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that send the AWS calls of other programs to a sandbox."""
    return {
        "AWS_ENDPOINT_URL": state["endpoint"],
        "AWS_ACCESS_KEY_ID": state["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": state["secret_access_key"],
        "AWS_REGION": state["region"],
        "AWS_DEFAULT_REGION": state["region"],
        "CHECKPOINT_DISABLE": "1",
    }
