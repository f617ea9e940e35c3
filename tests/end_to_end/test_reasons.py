"""Every reason why an image is stale, as a plan gives it, and what a build then makes of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.conftest import Factory, Sandbox

GOLDEN = """
source_ami "golden" {
  owner        = "self"
  name         = { x86_64 = "golden-*" }
  ssh_username = "admin"
}
"""


class Shop:
    """A factory with everything built: ``top`` on an AMI of one's own, ``tools`` on it."""

    def __init__(self, factory: Factory, sandbox: Sandbox) -> None:
        self.factory, self.sandbox = factory, sandbox
        self.copy_source("golden-1")
        factory.add("top", parent=None, settings=GOLDEN)
        factory.add("tools", parent="top", hooks=True)
        shutil.rmtree(factory.image("base"))
        built = factory.run("build", "--json").expect(0).builds
        self.amis = {image: build["ami_id"] for image, build in built.items()}

    def copy_source(self, name: str) -> None:
        """Makes an AMI that the source AMI filter matches."""
        ec2, state = self.sandbox.ec2, self.sandbox.state
        made = ec2.copy_image(Name=name, SourceImageId=state["source_ami_id"], SourceRegion=state["region"])[
            "ImageId"
        ]
        ec2.get_waiter("image_available").wait(ImageIds=[made], WaiterConfig={"Delay": 1})

    def plan(self, *arguments: str) -> dict[str, Any]:
        """Returns action and reasons by image."""
        steps = self.factory.run("plan", "--json", *arguments).expect(0).steps
        return {image: (step["action"], *step["reasons"]) for image, step in steps.items()}


@pytest.fixture(scope="module")
def built(make_factory: Callable[..., Factory], sandbox: Sandbox) -> Shop:
    return Shop(make_factory("single", name="shop"), sandbox)


@pytest.fixture
def shop(built: Shop, tmp_path: Path) -> Iterator[Shop]:
    """Returns it with nothing to do, and puts its files and verdicts back afterwards."""
    images = built.factory.root / "images"
    shutil.copytree(images, tmp_path / "images")
    yield built
    shutil.rmtree(images)
    shutil.move(tmp_path / "images", images)
    for ami_id in built.amis.values():
        built.sandbox.set_tag(ami_id, "verdict", "verified")


def test_nothing_changed(shop: Shop) -> None:
    assert shop.plan() == {"top": ("reuse",), "tools": ("reuse",)}
    ended = shop.factory.run("plan", "--exit-code").expect(0)
    assert ended.stdout.endswith("Nothing to do.\n")


def test_a_changed_recipe_names_the_file(shop: Shop) -> None:
    (shop.factory.image("tools") / "provision/install.sh").write_text("#!/bin/sh\ntrue\n")
    assert shop.plan() == {"top": ("reuse",), "tools": ("build", "recipe changed: provision/install.sh")}
    shop.factory.run("plan", "--exit-code").expect(3)


def test_a_file_that_became_executable_is_a_change(shop: Shop) -> None:
    (shop.factory.image("top") / "build.pkr.hcl").chmod(0o755)
    assert shop.plan()["top"] == ("build", "recipe changed: build.pkr.hcl")


def test_a_changed_setting_is_named(shop: Shop) -> None:
    with (shop.factory.image("tools") / "image.hcl").open("a") as file:
        file.write('tools = { node = "22.11.0" }\n')
    assert shop.plan()["tools"] == ("build", "setting changed: tools.node")


def test_a_parent_that_is_rebuilt_takes_its_children_with_it(shop: Shop) -> None:
    (shop.factory.image("top") / "provision/install.sh").write_text("#!/bin/sh\ntrue\n")
    assert shop.plan() == {
        "top": ("build", "recipe changed: provision/install.sh"),
        "tools": ("build", "parent rebuilt"),
    }


def test_a_prepulled_image_that_moved_is_named(shop: Shop) -> None:
    shop.factory.add("puller", parent="top", hooks=True, settings='prepull = ["example/puller:1"]')
    puller = shop.factory.run("build", "puller", "--json").expect(4).builds["puller"]
    assert "Docker is not installed" in puller["error"]
    shop.sandbox.set_tag(puller["ami_id"], "verdict", "verified")
    path, kind = "/v2/example/puller/manifests/1", "application/vnd.docker.distribution.manifest.v2+json"
    _, manifest = shop.sandbox.ask_registry("GET", path, Accept=kind)
    shop.sandbox.ask_registry("PUT", path, body=manifest + b"\n", **{"Content-Type": kind})
    try:
        moved = {"top": ("reuse",), "puller": ("build", "prepull example/puller:1 moved")}
        assert shop.plan("puller") == moved
    finally:
        shop.sandbox.ask_registry("PUT", path, body=manifest, **{"Content-Type": kind})
    assert shop.plan("puller")["puller"] == ("reuse",)


def test_a_newer_source_ami(shop: Shop) -> None:
    shop.copy_source("golden-2")
    newest = shop.sandbox.ec2.describe_images(Filters=[{"Name": "name", "Values": ["golden-2"]}])["Images"][0]
    try:
        assert shop.plan() == {"top": ("build", "newer source AMI"), "tools": ("build", "parent rebuilt")}
    finally:
        shop.sandbox.ec2.deregister_image(ImageId=newest["ImageId"], DeleteAssociatedSnapshots=True)
    assert shop.plan()["top"] == ("reuse",)


def test_an_image_that_is_too_old(shop: Shop) -> None:
    with (shop.factory.image("tools") / "image.hcl").open("a") as file:
        file.write('max_age = "1s"\n')
    assert shop.plan()["tools"] == ("build", "older than 1s")


def test_an_image_that_is_forced(shop: Shop) -> None:
    assert shop.plan("tools", "--force") == {"top": ("reuse",), "tools": ("build", "forced")}


def test_a_rejected_build_is_not_used_again(shop: Shop) -> None:
    shop.sandbox.set_tag(shop.amis["tools"], "verdict", "rejected")
    assert shop.plan()["tools"] == ("build", "previous build rejected")


def test_a_changed_spec_verifies_the_build_that_exists(shop: Shop) -> None:
    (shop.factory.image("tools") / "spec/test_more.py").write_text("def test_more(host):\n    pass\n")
    assert shop.plan() == {"top": ("reuse",), "tools": ("verify", "spec changed")}
    shop.sandbox.forget_calls()
    build = shop.factory.run("build", "--json").expect(0).builds["tools"]
    assert (build["action"], build["ami_id"]) == ("adopted", shop.amis["tools"])
    assert "ec2:CreateImage" not in shop.sandbox.calls()
    assert shop.plan() == {"top": ("reuse",), "tools": ("reuse",)}


def test_dry_run_shows_the_plan_and_does_nothing(shop: Shop) -> None:
    shop.sandbox.forget_calls()
    ended = shop.factory.run("build", "tools", "--force", "--dry-run").expect(0)
    assert "forced" in ended.stdout
    assert set(shop.sandbox.calls()) == {"ec2:DescribeImages"}
    steps = shop.factory.run("build", "tools", "--force", "--dry-run", "--json").expect(0).steps
    assert steps["tools"]["reasons"] == ["forced"]
