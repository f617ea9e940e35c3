"""Promotions and rollbacks as a person runs them, with real workers in real groups."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from signal import SIGINT, SIGKILL
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Ended
    from tests.end_to_end.conftest import Factory, Sandbox

FACTORY = """
factory "fleets" {
  region       = "eu-central-1"
  state_bucket = "example-amifactory-state"
}

channel "staging" {}
channel "production" {}
"""
PROMOTE = ("promote", "--channel", "staging", "--yes")
STATUS_KEYS = {
    *(
        "name",
        "channel",
        "release",
        "image",
        "architecture",
        "group",
        "ami_id",
        "template_version",
        "workers",
    ),
    *("rollout", "drift"),
}


def fleet(name: str, *, channel: str = "staging", sandbox: str = "workers = 1", more: str = "") -> str:
    """Returns the block of a fleet whose workers an instance refresh replaces."""
    return f"""
fleet "{name}" {{
  image   = "base"
  group   = "ci-{name}"
  channel = "{channel}"
  rollout = "refresh"
  {more}
  sandbox {{
    {sandbox}
  }}
}}
"""


HEALTH = """health {
    command = ["/usr/bin/test", "!", "-e", "unwell"]
  }"""
"""A gate that fails once there is a file of that name in the factory."""
PRODUCTION = (
    fleet(
        "pinned",
        channel="production",
        sandbox="workers = 2",
        more="""canary = true
  refresh {
    min_healthy = "100%"
    max_healthy = "200%"
  }
  health {
    workers = 2
    for     = "1s"
  }""",
    ),
    fleet("default", channel="production", sandbox='version = "$Default"\n    workers = 1'),
    fleet("empty", channel="production", sandbox="attributes = true"),
)
PAUSES = """refresh {
    checkpoints      = ["50%", "100%"]
    checkpoint_delay = "10m"
  }"""


@dataclass(frozen=True, kw_only=True)
class Fleets:
    """A factory whose image ``base`` is built, and whose fleets a test chooses."""

    factory: Factory
    sandbox: Sandbox

    def configure(self, *blocks: str) -> None:
        """Writes the fleets; their groups are made by the next command that asks for them."""
        (self.factory.root / "factory.hcl").write_text(FACTORY + "".join(blocks))

    def begin(self, *blocks: str) -> None:
        """Writes the fleets, has their groups made, and waits for their workers."""
        self.configure(*blocks)
        for fleet in self.run("fleets", "--json").expect(0).json["fleets"]:
            self.sandbox.wait_for(partial(self.sandbox.in_service, fleet["group"]))

    def run(self, *arguments: str) -> Ended:
        ended: Ended = self.factory.run(*arguments)
        return ended

    def status(self) -> Any:
        return self.run("status", "--json").expect(0).json

    def row(self, fleet: str) -> Any:
        """Returns what ``status`` has of a fleet."""
        (row,) = [row for row in self.status()["fleets"] if row["name"] == fleet]
        return row

    def newest(self) -> str:
        """Returns the AMI of the newest build of ``base``."""
        amis = self.sandbox.builds("fleets", "base")
        images = self.sandbox.ec2.describe_images(ImageIds=amis)["Images"]
        return str(max(images, key=lambda image: image["CreationDate"])["ImageId"])

    def workers(self, fleet: str) -> dict[str, str]:
        """Returns a fleet's workers, by id, with the AMI that each was launched from."""
        return self.sandbox.workers(f"ci-{fleet}")

    def channel(self, name: str) -> Any:
        """Returns a channel's document."""
        bucket = self.sandbox.state["state_bucket"]
        return json.load(self.sandbox.s3.get_object(Bucket=bucket, Key=f"channels/{name}.json")["Body"])

    @property
    def source(self) -> str:
        """Returns the AMI that groups start in the beginning."""
        return str(self.sandbox.state["source_ami_id"])


@pytest.fixture(scope="module")
def built(make_factory: Callable[..., Factory]) -> Factory:
    factory = make_factory("single", name="fleets")
    factory.run("build").expect(0)
    return factory


@pytest.fixture
def fleets(built: Factory, sandbox: Sandbox) -> Iterator[Fleets]:
    """Returns the factory, and ends its groups afterwards."""
    yield Fleets(factory=built, sandbox=sandbox)
    sandbox.forget_failures()
    sandbox.end_groups()
    (built.root / "unwell").unlink(missing_ok=True)


def test_into_staging_then_into_production_and_back(fleets: Fleets, sandbox: Sandbox) -> None:
    """Workers are replaced by new ones of the AMI that staging runs, although a newer one exists."""
    fleets.begin(fleet("staging"), *PRODUCTION)
    first, before = fleets.newest(), fleets.status()
    assert {row["ami_id"] for row in before["fleets"]} == {fleets.source}
    old = {name: set(fleets.workers(name)) for name in ("staging", "pinned", "default")}
    assert sandbox.containers() == set().union(*old.values())

    release = fleets.run(*PROMOTE, "--json").expect(0).json
    assert (release["number"], release["channel"], release["state"]) == (1, "staging", "current")
    second = fleets.run("build", "--force", "--json").expect(0).builds["base"]["ami_id"]
    ended = fleets.run("promote", "--channel", "production", "--from", "staging", "--yes").expect(0)
    lines = [line.partition("] ")[2] for line in ended.stderr.splitlines()]
    assert lines.index("pinned: done") < lines.index("default: making a version of ci-default"), "a canary"

    new = {name: fleets.workers(name) for name in old}
    assert {name: set(workers.values()) for name, workers in new.items()} == {name: {first} for name in old}
    assert {name: len(workers) for name, workers in new.items()} == {"staging": 1, "pinned": 2, "default": 1}
    assert all(old[name].isdisjoint(new[name]) for name in old), "every worker is a new one"
    assert sandbox.containers() == set().union(*new.values())

    status = fleets.status()
    assert status.keys() == {"channels", "fleets"}
    assert [channel.keys() for channel in status["channels"]] == [{"name", "release", "since"}] * 2
    assert [(channel["name"], channel["release"]) for channel in status["channels"]] == [
        ("staging", 1),
        ("production", 2),
    ]
    assert all(row.keys() == STATUS_KEYS for row in status["fleets"])
    shown = ("name", "release", "architecture", "ami_id", "template_version", "rollout", "drift")
    assert [tuple(row[name] for name in shown) for row in status["fleets"]] == [
        ("staging", 1, "x86_64", first, 2, "done", []),
        ("pinned", 2, "x86_64", first, 2, "done", []),
        ("default", 2, "x86_64", first, 2, "done", []),
        ("empty", 2, "x86_64", first, 2, "done", []),
    ]
    assert [row["workers"] for row in status["fleets"]] == [
        {"current": number, "old": 0} for number in (1, 2, 1, 0)
    ]

    fleets.run(*PROMOTE).expect(0)
    assert set(fleets.workers("staging").values()) == {second}
    back = fleets.run("rollback", "--channel", "staging", "--yes", "--json").expect(0).json
    assert (back["number"], back["state"]) == (1, "current")
    assert set(fleets.workers("staging").values()) == {first}
    assert fleets.workers("pinned") == new["pinned"], "the other channel is left alone"
    listed = fleets.run("releases", "--json").expect(0).json["releases"]
    assert [(release["number"], release["state"]) for release in listed] == [
        (3, "rolled back"),
        (2, "current"),
        (1, "current"),
    ]


@pytest.mark.parametrize(
    "command",
    [("promote", "--channel", "staging"), ("rollback", "--channel", "staging")],
    ids=lambda command: command[0],
)
def test_nothing_is_changed_where_nobody_can_be_asked(
    fleets: Fleets, sandbox: Sandbox, command: tuple[str, ...]
) -> None:
    fleets.begin(fleet("staging", sandbox=""))
    if command[0] == "rollback":
        fleets.run(*PROMOTE).expect(0)
    sandbox.forget_calls()
    ended = fleets.run(*command).expect(ExitCode.REFUSED)
    assert "there is no terminal to ask on" in ended.stderr
    assert "--yes" in ended.stderr
    assert sandbox.changing_calls() == []


@pytest.mark.parametrize(
    ("operation", "nth", "after", "workers", "number"),
    [
        pytest.param("PutObject", 3, False, 0, 2, id="before the change is on record"),
        pytest.param("PutObject", 3, True, 0, 1, id="after the change is on record"),
        pytest.param("PutObject", 6, False, 0, 1, id="before the release is the channel's"),
        pytest.param("CreateLaunchTemplateVersion", 1, False, 0, 1, id="before there is a version"),
        pytest.param("CreateLaunchTemplateVersion", 1, True, 0, 1, id="after there is a version"),
        pytest.param("StartInstanceRefresh", 1, False, 1, 1, id="before there is a refresh"),
        pytest.param("StartInstanceRefresh", 1, True, 1, 1, id="after there is a refresh"),
    ],
)
def test_killed(
    fleets: Fleets, sandbox: Sandbox, operation: str, nth: int, *, after: bool, workers: int, number: int
) -> None:
    """The lock stays with the dead; once it is taken away, the same command ends as if nothing had been.

    Args:
        number: The release's. One that was written before the channel told of it is closed, and another made.
    """
    begin = fleets.begin if workers else fleets.configure
    begin(fleet("staging", sandbox=f"workers = {workers}"))
    old = fleets.workers("staging") if workers else {}
    sandbox.hold(operation, after=after, nth=nth)
    with fleets.factory.start(*PROMOTE) as running:
        sandbox.wait_until_held()
        running.send(SIGKILL)
        running.end().expect(-SIGKILL)
    sandbox.wait_until_none_is_held()

    refused = fleets.run(*PROMOTE).expect(ExitCode.REFUSED)
    owner = fleets.channel("staging")["lock"]["owner"]
    assert f"channel staging is being changed by {owner}" in refused.stderr
    assert "amifactory unlock staging" in refused.stderr
    fleets.run("unlock", "staging", "--reason", "it was killed", "--yes").expect(0)
    release = fleets.run(*PROMOTE, "--json").expect(0).json
    assert (release["number"], release["state"]) == (number, "current")

    channel = fleets.channel("staging")
    assert (channel["release"], channel["change"], channel["lock"]) == (number, None, None)
    assert [(entry["owner"], entry["reason"]) for entry in channel["unlocked"]] == [(owner, "it was killed")]
    assert sandbox.starts("ci-staging") == (fleets.newest(), "2")
    assert list(fleets.workers("staging").values()) == [fleets.newest()] * workers
    assert old.keys().isdisjoint(fleets.workers("staging"))
    refreshes = sandbox.scaling.describe_instance_refreshes(AutoScalingGroupName="ci-staging")
    assert [refresh["Status"] for refresh in refreshes["InstanceRefreshes"]] == ["Successful"] * workers
    versions = sandbox.ec2.describe_launch_template_versions(LaunchTemplateName="ci-staging")
    assert len(versions["LaunchTemplateVersions"]) == len(("the group's first", "the release's"))


def test_stopped_during_a_refresh(fleets: Fleets) -> None:
    """Ctrl-C leaves it unfinished and says how to go on; a rollback takes it back."""
    fleets.begin(fleet("staging", sandbox="workers = 2", more=PAUSES))
    with fleets.factory.start(*PROMOTE) as running:
        running.wait_for("instance refresh InProgress, 50 %")
        running.send(SIGINT)
        ended = running.end().expect(ExitCode.INTERRUPTED)
    assert "Go on: amifactory promote --channel staging --resume" in ended.stderr
    assert "Or take it back: amifactory rollback --channel staging" in ended.stderr
    row = fleets.row("staging")
    assert (row["release"], row["workers"]) == (None, {"current": 1, "old": 1})
    assert "promote 1" in fleets.run("status").expect(0).stdout

    fleets.run("rollback", "--channel", "staging", "--yes").expect(0)
    row = fleets.row("staging")
    assert (row["release"], row["ami_id"], row["rollout"]) == (None, fleets.source, "done")
    assert list(fleets.workers("staging").values()) == [fleets.source] * 2
    assert fleets.run("releases", "show", "1", "--json").expect(0).json["state"] == "failed"


def test_a_fleet_that_is_not_well_takes_all_back(fleets: Fleets, sandbox: Sandbox) -> None:
    fleets.begin(fleet("canary", more="canary = true"), fleet("unwell", more=HEALTH))
    old = {*fleets.workers("canary"), *fleets.workers("unwell")}
    (fleets.factory.root / "unwell").touch()
    ended = fleets.run(*PROMOTE, "--json").expect(ExitCode.ROLLED_BACK)
    assert "channel staging is back the way it was" in ended.stderr
    assert (ended.json["number"], ended.json["state"]) == (1, "failed")
    assert ended.json["failure"] == "fleet unwell: /usr/bin/test failed (1)"
    assert {one["step"] for one in ended.json["fleets"]} == {"restored"}

    status = fleets.status()
    assert status["channels"][0]["release"] is None
    assert [row["ami_id"] for row in status["fleets"]] == [fleets.source] * 2
    new = {**fleets.workers("canary"), **fleets.workers("unwell")}
    assert list(new.values()) == [fleets.source] * 2
    assert old.isdisjoint(new), "they had been replaced, and were so again"
    assert sandbox.containers() == set(new)


def test_workers_that_are_protected_are_left_alone(fleets: Fleets) -> None:
    protected = "workers = 1\n    protected = true"
    fleets.begin(fleet("staging", sandbox=protected, more='refresh {\n    protected = "ignore"\n  }'))
    old = fleets.workers("staging")
    ended = fleets.run(*PROMOTE).expect(0)
    assert "1 of 1 (1 protected)" in ended.stderr
    assert fleets.workers("staging") == old
    row = fleets.row("staging")
    assert (row["ami_id"], row["workers"]) == (fleets.newest(), {"current": 0, "old": 1})
    assert row["rollout"] == "old workers left"


def test_status_is_watched_until_ctrl_c(fleets: Fleets, sandbox: Sandbox) -> None:
    fleets.begin(fleet("staging", sandbox=""))
    sandbox.forget_calls()
    with fleets.factory.start("status", "--watch") as running:
        sandbox.wait_for(lambda: sandbox.calls().count("s3:GetObject") > len(("staging", "production")))
        running.send(SIGINT)
        ended = running.end().expect(ExitCode.INTERRUPTED)
    assert re.search(r"^staging +staging +x86_64", ended.stdout, re.MULTILINE)
    assert "Traceback" not in ended.stderr


def test_channels_are_completed(built: Factory) -> None:
    for words in ("promote --channel st", "rollback --channel st", "promote --from st", "unlock st"):
        line = f"amifactory -C {built.root} {words}"
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        ended = built.run(_AMIFACTORY_COMPLETE="bash_complete", **asked)
        assert ended.stdout.split() == ["plain,staging"], words
