"""The main path: nothing, a plan, four generations of builds, and nothing to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Ended
    from tests.end_to_end.conftest import Factory, Sandbox

FIELDS = (
    "image", "architecture", "region", "ami_id", "fingerprint", "parent", "action", "reasons", "seconds",
    "log", "report",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened to a factory from its first plan to its first build."""

    factory: Factory
    plan: Ended
    build: Ended

    @property
    def amis(self) -> dict[str, str]:
        return {image: build["ami_id"] for image, build in self.build.builds.items()}


@pytest.fixture(scope="module")
def story(make_factory: Callable[..., Factory]) -> Story:
    factory = make_factory("family")
    plan = factory.run("plan", "--json").expect(0)
    return Story(factory=factory, plan=plan, build=factory.run("build", "--json", "--jobs", "3").expect(0))


@pytest.fixture(scope="module")
def again(story: Story, sandbox: Sandbox) -> tuple[Ended, list[str]]:
    """Returns a second build, and the calls it made."""
    sandbox.forget_calls()
    return story.factory.run("build").expect(0), sandbox.calls()


def test_the_plan_of_a_new_factory_builds_everything(story: Story) -> None:
    steps = story.plan.steps
    assert {image: step["action"] for image, step in steps.items()} == dict.fromkeys(steps, "build")
    assert all(step["reasons"] == ["no build yet"] for step in steps.values())
    order = list(steps)
    assert order.index("base") < order.index("left") < order.index("leaf")


def test_everything_is_built_and_verified(story: Story, sandbox: Sandbox) -> None:
    builds = story.build.builds
    assert story.build.json["ok"] is True
    assert {image: build["action"] for image, build in builds.items()} == dict.fromkeys(builds, "built")
    assert {sandbox.tags(ami)["verdict"] for ami in story.amis.values()} == {"verified"}


def test_a_build_has_the_promised_fields(story: Story) -> None:
    for build in story.build.builds.values():
        assert build.keys() >= set(FIELDS)
        assert build["reasons"] == ["no build yet"]
        assert build["region"] == "eu-central-1"
        assert build["seconds"]["build"] > 0
        assert build["seconds"]["verify"] > 0
        assert "made of" in Path(build["log"]).read_text()


def test_the_fingerprint_is_the_planned_one(story: Story) -> None:
    planned = {image: step["fingerprint"] for image, step in story.plan.steps.items()}
    assert {image: build["fingerprint"] for image, build in story.build.builds.items()} == planned


def test_the_tags_say_what_the_build_is(story: Story, sandbox: Sandbox) -> None:
    build = story.build.builds["left"]
    tags = sandbox.tags(build["ami_id"])
    assert {name: tags[name] for name in ("factory", "image", "architecture", "fingerprint", "parent")} == {
        "factory": "family",
        "image": "left",
        "architecture": "x86_64",
        "fingerprint": build["fingerprint"],
        "parent": story.amis["base"],
    }


def test_builds_of_the_sandbox_can_never_reach_a_real_channel(story: Story, sandbox: Sandbox) -> None:
    assert {sandbox.tags(ami).get("offline") for ami in story.amis.values()} == {"true"}


def test_children_are_built_on_their_parents_build(story: Story, sandbox: Sandbox) -> None:
    parents = {image: build["parent"] for image, build in story.build.builds.items()}
    source = sandbox.state["source_ami_id"]
    assert parents == {
        "base": source,
        "slow": source,
        "left": story.amis["base"],
        "right": story.amis["base"],
        "leaf": story.amis["left"],
    }


def test_a_child_starts_the_moment_its_parent_is_verified(story: Story) -> None:
    lines = [line.partition("] ")[2] for line in story.build.stderr.splitlines()]
    at = {
        text: lines.index(f"{text}")
        for text in (
            "base/x86_64: built",
            "left/x86_64: assembling",
            "right/x86_64: assembling",
            "slow/x86_64: built",
        )
    }
    assert at["base/x86_64: built"] < at["left/x86_64: assembling"] < at["slow/x86_64: built"]
    assert at["base/x86_64: built"] < at["right/x86_64: assembling"] < at["slow/x86_64: built"]


def test_the_reports_lie_beside_the_factory_and_in_the_state_bucket(story: Story, sandbox: Sandbox) -> None:
    build = story.build.builds["leaf"]
    folder = Path(build["report"]).parent
    report = json.loads((folder / "report.json").read_text())
    assert (report["image"], report["ami_id"], report["verdict"]) == ("leaf", build["ami_id"], "verified")
    assert report["tests"]["passed"] == 3, "its parents' specs run too"
    cases = ET.parse(folder / "junit.xml").iter("testcase")  # noqa: S314 - our own
    assert len(list(cases)) == 3
    for name in ("report.json", "junit.xml"):
        stored = sandbox.s3.get_object(
            Bucket="example-amifactory-state", Key=f"reports/{build['ami_id']}/{name}"
        )
        assert stored["Body"].read() == (folder / name).read_bytes()


def test_what_a_script_left_out_is_reported(story: Story) -> None:
    assert story.build.builds["left"]["left_out"] == ["helm: not in Debian"]
    assert story.build.builds["right"]["left_out"] == []


def test_a_second_build_reuses_everything(story: Story, again: tuple[Ended, list[str]]) -> None:
    rows = [line.split()[:4] for line in again[0].stdout.splitlines()[1:]]
    assert sorted(rows) == sorted([image, "x86_64", "reused", ami] for image, ami in story.amis.items())


def test_a_second_build_asks_aws_once_for_all_builds_and_once_for_each_source(
    again: tuple[Ended, list[str]],
) -> None:
    assert again[1] == ["ec2:DescribeImages"] * 3, "one for the builds, two distinct source AMIs"


def test_images_lists_the_builds(story: Story) -> None:
    listed = story.factory.run("images", "--json").expect(0).builds
    made = story.build.builds
    assert listed.keys() == made.keys()
    for image, build in listed.items():
        same = ("architecture", "region", "ami_id", "fingerprint", "parent")
        assert {name: build[name] for name in same} == {name: made[image][name] for name in same}
        assert (build["verdict"], build["offline"]) == ("verified", True)
        created = datetime.fromisoformat(build["created_at"])
        assert created.utcoffset() == timedelta(0)
        assert datetime.now(UTC) - created < timedelta(minutes=10)


def test_images_takes_names(story: Story) -> None:
    assert story.factory.run("images", "leaf", "--json").expect(0).builds.keys() == {"leaf"}


def test_a_named_image_brings_its_ancestors_and_no_others(story: Story) -> None:
    assert story.factory.run("plan", "leaf", "--json").expect(0).steps.keys() == {"base", "left", "leaf"}


def test_verify_runs_the_spec_again(story: Story, sandbox: Sandbox) -> None:
    before = sandbox.tags(story.amis["right"])
    verified: Any = story.factory.run("verify", "right", "--json").expect(0).builds["right"]
    assert (verified["action"], verified["ami_id"]) == ("verified", story.amis["right"])
    assert sandbox.tags(story.amis["right"]) == before


@pytest.fixture(scope="module")
def broken(make_factory: Callable[..., Factory]) -> Ended:
    """Returns a build, one job at a time, in which ``left`` fails."""
    factory = make_factory("family", name="broken-family")
    (factory.image("left") / "provision/install.sh").write_text("#!/bin/sh\nexit 7\n")
    ended: Ended = factory.run("build", "right", "leaf", "--json", "--jobs", "1").expect(1)
    return ended


def test_a_failing_image_stops_its_descendants_and_not_its_siblings(broken: Ended, sandbox: Sandbox) -> None:
    builds = broken.builds
    assert {image: build["action"] for image, build in builds.items()} == {
        "base": "built",
        "left": "failed",
        "right": "built",
        "leaf": "skipped",
    }
    assert builds["leaf"]["error"] == "its parent left failed"
    assert broken.json["ok"] is False
    assert sandbox.tags(builds["right"]["ami_id"])["verdict"] == "verified"


def test_one_job_at_a_time(broken: Ended) -> None:
    lines = [line.partition("] ")[2] for line in broken.stderr.splitlines() if "/x86_64: " in line]
    images = [line.partition("/")[0] for line in lines]
    changes = [image for image, after in zip(images, [*images[1:], ""], strict=True) if image != after]
    assert len(changes) == len(set(changes)), "an image is finished before the next begins"
