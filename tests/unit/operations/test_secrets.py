"""Which secrets an image has, its ancestors' included, and what is said of those baked in."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from amifactory.config.load import load
from amifactory.operations.lineage import baked_secrets, secrets_of
from amifactory.operations.secrets import secret_warnings

if TYPE_CHECKING:
    from pathlib import Path

    from amifactory.config.models import Configuration

FACTORY = 'factory "example" {\n  region = "eu-central-1"\n  state_bucket = "example-state"\n}\n'
SOURCE = """source_ami "debian-12" {
  owner        = "123456789012"
  name         = { x86_64 = "debian-*" }
  ssh_username = "admin"
}
"""


def secret(name: str, path: str, when: str = "boot") -> str:
    return f'secret "{name}" {{\n  id = "ci/{name}"\n  path = "{path}"\n  when = "{when}"\n}}\n'


def configuration(root: Path, **images: str) -> Configuration:
    (root / "factory.hcl").write_text(FACTORY)
    for name, text in images.items():
        (root / "images" / name).mkdir(parents=True)
        (root / "images" / name / "image.hcl").write_text(text)
    return load(root)


def test_an_image_has_its_ancestors_secrets_but_for_the_paths_it_takes_itself(tmp_path: Path) -> None:
    base = SOURCE + secret("one", "/etc/one") + secret("two", "/etc/two")
    found = configuration(tmp_path, base=base, child='parent = "base"\n' + secret("mine", "/etc/two"))
    assert isinstance(found.images, MappingProxyType)
    names = {one.path: one.name for one in secrets_of(found, found.images["child"])}
    assert names == {"/etc/one": "one", "/etc/two": "mine"}


def test_what_an_ancestor_baked_stays_in_the_ami(tmp_path: Path) -> None:
    base = SOURCE + secret("token", "/etc/token", "build") + secret("other", "/etc/other")
    found = configuration(tmp_path, base=base, child='parent = "base"\n' + secret("newer", "/etc/token"))
    assert baked_secrets(found, found.images["child"]) == ("token",)


def test_baking_in_warns_once_for_the_image_that_asks_for_it(tmp_path: Path) -> None:
    base = SOURCE + secret("token", "/etc/token", "build")
    found = configuration(tmp_path, base=base, child='parent = "base"\n')
    (warning,) = secret_warnings(found, ("base", "child"))
    assert warning.startswith('images/base/image.hcl: secret "token" is baked into the AMI')


def test_the_format_follows_the_path(tmp_path: Path) -> None:
    base = SOURCE + secret("kube", "/root/.kube/config") + secret("token", "/etc/token")
    formats = {one.name: one.format for one in configuration(tmp_path, base=base).images["base"].secrets}
    assert formats == {"kube": "kubeconfig", "token": "text"}
