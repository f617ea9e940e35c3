"""The templates of the images that come with amifactory, judged by Packer itself; nothing is built."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from amifactory.packer.context import assemble, context_files
from amifactory.packer.environment import packer_environment
from amifactory.packer.version import find_packer

ROOT = Path(__file__).parents[2]
IMAGES = sorted(file.parent.name for file in (ROOT / "images").glob("*/image.hcl"))
DIGEST = f"sha256:{'ab' * 32}"
RECIPE: dict[str, Any] = {
    "image_name": "node",
    "architecture": "x86_64",
    "ssh_username": "admin",
    "offline": True,
    "tools": {},
    "checksums": {},
    "prepull": {},
    "registry_mirror": "",
    "tool_mirror": "",
    "registry_secrets": {},
    "secrets": "[]",
    "volume_size": 20,
    "encrypt": False,
    "kms_key_id": "",
}
BUILD: dict[str, Any] = {
    "region": "eu-central-1",
    "ec2_endpoint": "http://127.0.0.1:9",
    "source_ami": "ami-0123456789abcdef0",
    "root_device": "/dev/xvda",
    "ami_name": "amifactory/example/node/x86_64/0123456789ab-20260101T000000Z",
    "instance_type": "t3.large",
    "instance_profile": "",
    "subnet_id": "",
    "security_group_ids": [],
    "associate_public_ip": False,
    "ssh_interface": "private_ip",
    "ssh_timeout": "5m",
    "polling_seconds": 15,
    "tags": {"amifactory:image": "node", "amifactory:verdict": "candidate"},
    "run_tags": {"amifactory:run": "1"},
}
EVERYTHING_SET: dict[str, Any] = {
    "tools": {"node": "22.11.0", "jdk-21": "21.0.5+11"},
    "checksums": {"node.tar.xz": "ab" * 32},
    "prepull": {"node:22": DIGEST},
    "registry_mirror": "https://mirror.example.com",
    "tool_mirror": "https://tools.example.com",
    "registry_secrets": {"registry.example.com": "ci/registry"},
    "secrets": '[{"name": "kubeconfig", "path": "/it\'s/here"}]',
    "ec2_endpoint": "",
    "instance_profile": "ci-image-build",
    "subnet_id": "subnet-0123456789abcdef0",
    "security_group_ids": ["sg-0123456789abcdef0"],
    "associate_public_ip": True,
    "encrypt": True,
    "kms_key_id": "alias/ci-images",
    "polling_seconds": 1,
}


def run_packer(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = packer_environment({**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})
    packer = find_packer(environment)
    return subprocess.run(
        [str(packer.binary), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("given", [{}, EVERYTHING_SET], ids=["nothing-set", "everything-set"])
def test_packer_accepts_the_build_context(image: str, given: dict[str, Any], tmp_path: Path) -> None:
    environment = packer_environment(os.environ)
    files = context_files(ROOT / "images" / image, ROOT / "images/_shared", ROOT / "hooks/instance")
    recipe = {name: given.get(name, value) for name, value in RECIPE.items()}
    build = {name: given.get(name, value) for name, value in BUILD.items()}
    assemble(files, tmp_path / "context", recipe, build, find_packer(environment).version)
    found = run_packer("validate", ".", cwd=tmp_path / "context")
    assert (found.stdout + found.stderr, found.returncode) == ("", 0)


@pytest.mark.parametrize("folder", ["_shared", *IMAGES])
def test_templates_are_formatted(folder: str) -> None:
    found = run_packer("fmt", "-check", "-diff", ".", cwd=ROOT / "images" / folder)
    assert (found.stdout, found.returncode) == ("", 0)
