"""Channels and fleets in factory.hcl: what they may say, and each mistake at its line."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from amifactory.config.load import load
from amifactory.config.models import Channel, Fleet, Health, RefreshPreferences, SandboxGroup
from amifactory.domain.release import Rollout
from amifactory.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from amifactory.config.models import Configuration

FACTORY = 'factory "example" {\n  region = "eu-central-1"\n  state_bucket = "example-state"\n}\n'
STAGING = 'channel "staging" {\n}\n'
FLEET = 'image = "node"\ngroup = "ci-node"\nchannel = "staging"\n'
IMAGE = 'source_ami "d" {\nowner = "self"\nname = { x86_64 = "d" }\nssh_username = "admin"\n}\n'


def loaded(root: Path, text: str) -> Configuration:
    """Loads a factory that starts with ``text`` and has the image ``node``."""
    (root / "images/node").mkdir(parents=True, exist_ok=True)
    (root / "images/node/image.hcl").write_text(IMAGE)
    (root / "factory.hcl").write_text(textwrap.dedent(text).lstrip() + FACTORY)
    return load(root)


def problems(root: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(root, text)
    return str(caught.value).splitlines()


def write_hook(root: Path, name: str, mode: int = 0o755) -> None:
    file = root / "hooks/factory" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(mode)


def fleet(**keys: object) -> Fleet:
    return Fleet.model_validate({"name": "node", "image": "node", "group": "g", "channel": "c", **keys})


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    write_hook(tmp_path, "approve-change")
    write_hook(tmp_path, "check-fleet")
    configuration = loaded(
        tmp_path,
        """
        channel "staging" {}
        channel "production" {
          order    = 2
          soak     = "24h"
          approval = "approve-change"
        }
        fleet "node" {
          image         = "node"
          group         = "ci-node"
          channel       = "staging"
          rollout       = "refresh"
          canary        = true
          deadline      = "3h"
          kill_jobs     = true
          instance_type = "m7i.large"
          refresh {
            min_healthy      = "90%"
            max_healthy      = "110%"
            warmup           = "60s"
            checkpoints      = ["25%", "100%"]
            checkpoint_delay = "10m"
            bake_time        = "5m"
            protected        = "refresh"
            standby          = "terminate"
            skip_matching    = false
            auto_rollback    = false
          }
          health {
            alarms    = ["ci-node-errors"]
            command   = ["hooks/factory/check-fleet", "node"]
            workers   = 2
            for       = "5m"
            slower_by = "20%"
          }
          sandbox {
            version          = "$Default"
            workers          = 2
            max              = 4
            attributes       = true
            protected        = true
            termination_hook = "drain"
          }
        }
        """,
    )
    assert configuration.channels == (
        Channel(name="staging", order=1),
        Channel(name="production", order=2, soak=timedelta(hours=24), approval="approve-change"),
    )
    node = configuration.fleets["node"]
    assert (node.name, node.image, node.group, node.channel) == ("node", "node", "ci-node", "staging")
    assert (node.rollout, node.canary, node.kill_jobs) == (Rollout.REFRESH, True, True)
    assert (node.deadline, node.instance_type) == (timedelta(hours=3), "m7i.large")
    refresh = node.refresh
    assert (refresh.min_healthy, refresh.max_healthy, refresh.checkpoints) == (90, 110, (25, 100))
    assert (refresh.warmup, refresh.checkpoint_delay) == (timedelta(minutes=1), timedelta(minutes=10))
    assert (refresh.bake_time, refresh.protected, refresh.standby) == (
        timedelta(minutes=5),
        "refresh",
        "terminate",
    )
    assert (refresh.skip_matching, refresh.auto_rollback) == (False, False)
    assert node.health.command == ("hooks/factory/check-fleet", "node")
    assert (node.health.alarms, node.health.workers) == (("ci-node-errors",), 2)
    assert node.health.duration == timedelta(minutes=5)
    assert node.health.slower_by == pytest.approx(0.2)
    assert node.sandbox.model_dump() == {
        "version": "$Default",
        "workers": 2,
        "max": 4,
        "attributes": True,
        "protected": True,
        "termination_hook": "drain",
    }


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, f'{STAGING}fleet "node" {{\n{FLEET}}}\n')
    node = configuration.fleets["node"]
    assert configuration.channels == (Channel(name="staging", order=1, soak=timedelta(0), approval=None),)
    assert (node.rollout, node.canary, node.kill_jobs) == (Rollout.PASSIVE, False, False)
    assert (node.deadline, node.instance_type) == (timedelta(hours=2), None)
    assert (node.refresh, node.health, node.sandbox) == (RefreshPreferences(), Health(), SandboxGroup())
    assert (node.refresh.min_healthy, node.refresh.max_healthy, node.refresh.warmup) == (None, None, None)
    assert (node.refresh.protected, node.refresh.standby) == ("ignore", "ignore")
    assert (node.refresh.skip_matching, node.refresh.auto_rollback) == (True, True)
    assert (node.sandbox.version, node.sandbox.workers, node.sandbox.max) == ("pinned", 0, 4)


def test_a_factory_needs_neither_channels_nor_fleets(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, "")
    assert (configuration.channels, dict(configuration.fleets)) == ((), {})


def test_channels_come_in_their_order_and_fleets_in_the_files(tmp_path: Path) -> None:
    configuration = loaded(
        tmp_path,
        """
        channel "production" {
          order = 3
        }
        channel "staging" {
        }
        fleet "node" {
          image   = "node"
          group   = "ci-node"
          channel = "production"
        }
        fleet "canary" {
          image   = "node"
          group   = "ci-canary"
          channel = "production"
        }
        """,
    )
    assert [(channel.name, channel.order) for channel in configuration.channels] == [
        ("staging", 2),
        ("production", 3),
    ]
    assert list(configuration.fleets) == ["node", "canary"]


def test_the_sandbox_keeps_channels_and_fleets(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, f'{STAGING}fleet "node" {{\n{FLEET}}}\n')
    sandboxed = configuration.for_sandbox(registry_mirror="http://10.0.0.2:5000", instance_profile="sandbox")
    assert (sandboxed.channels, sandboxed.fleets) == (configuration.channels, configuration.fleets)


def test_the_second_load_says_the_same(tmp_path: Path) -> None:
    first = loaded(tmp_path, f'{STAGING}fleet "node" {{\n{FLEET}}}\n')
    assert load(tmp_path) == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("channel {\n}", '3: write this block as channel "name" { … }'),
        ('channel "staging" {\n}', '3: channel "staging" is given twice; the first is on line 1'),
        ('channel "Prod" {\n}', '3: name "Prod" is not a name; use up to 32 lower-case letters'),
        ('channel "prod" {\norder = 0\n}', '4: "order" must be at least 1, not 0'),
        ('channel "prod" {\norder = "2"\n}', '4: "order" must be a whole number, not "2"'),
        (
            'channel "prod" {\norder = 1\n}',
            '4: order 1 is also that of channel "staging"; each channel has its own',
        ),
        (
            'channel "a" {\norder = 3\n}\nchannel "b" {\n}',
            '6: order 3, its place in the file, is also that of channel "a"; each channel has its own',
        ),
        ('channel "prod" {\nsoak = "1 day"\n}', '4: soak "1 day" is not a duration; write "30s", "5m"'),
        ('channel "prod" {\nsoak = 0\n}', '4: soak 0 is not a duration; write "30s", "5m"'),
        ('channel "prod" {\nsaok = "1d"\n}', '4: unknown key "saok"; did you mean "soak"?'),
        (
            'channel "prod" {\napproval = "../approve"\n}',
            '4: approval "../approve" is not the name of a file, such as "approve-change", without a folder',
        ),
    ],
)
def test_mistakes_in_a_channel(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, f"{STAGING}{text}\n")
    assert found[0].startswith(f"factory.hcl:{expected}")


def test_the_first_channel_has_nothing_to_soak_in(tmp_path: Path) -> None:
    assert problems(tmp_path, 'channel "staging" {\nsoak = "1d"\n}\n') == [
        "factory.hcl:2: no channel comes before this one, so nothing can soak there; leave soak out"
    ]
    second = 'channel "production" {\norder = 2\nsoak = "0s"\n}\nchannel "staging" {\norder = 1\n}\n'
    assert loaded(tmp_path, second).channels[1].soak == timedelta(0)


def test_an_approval_has_to_be_there_and_executable(tmp_path: Path) -> None:
    text = 'channel "staging" {\napproval = "approve"\n}\n'
    where = 'factory.hcl:2: approval "approve": hooks/factory/approve'
    assert problems(tmp_path, text) == [f"{where} is not there"]
    write_hook(tmp_path, "aprove")
    assert problems(tmp_path, text) == [f'{where} is not there; did you mean "hooks/factory/aprove"?']
    write_hook(tmp_path, "approve", mode=0o644)
    assert problems(tmp_path, text) == [f"{where} is not executable; run: chmod +x hooks/factory/approve"]
    write_hook(tmp_path, "approve")
    assert loaded(tmp_path, text).channels[0].approval == "approve"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('image = "node"', 'image = "noed"', '4: image "noed" is not an image; did you mean "node"?'),
        (
            '"staging"',
            '"stagin"',
            '6: channel "stagin" has no channel block; did you mean "staging"?',
        ),
        ('"staging"', '"qa"', '6: channel "qa" has no channel block'),
        ('image = "node"\n', "", '3: missing key "image"'),
        ('group = "ci-node"\n', "", '3: missing key "group"'),
        ('channel = "staging"\n', "", '3: missing key "channel"'),
        ('"ci-node"', '"ci node"', '5: group "ci node" is not the name of an Auto Scaling group; it has up'),
        ('"ci-node"', '"ci:node"', '5: group "ci:node" is not the name of an Auto Scaling group; it has up'),
        ('"ci-node"', '""', '5: group "" is not the name of an Auto Scaling group; it has up'),
        (
            'channel = "staging"',
            'channel = "staging"\nrollout = "drian"',
            '7: "rollout" must be "passive" or "drain" or "refresh", not "drian"; did you mean "drain"?',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\ndeadline = "0s"',
            '7: deadline "0s" is not a usable duration; it must be more than 0',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\ninstance_type = "large"',
            '7: instance_type "large" does not look like "t3.large"',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\ninstance_type = { x86_64 = "m7i.large" }',
            '7: "instance_type" must be a string, not an object',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\nkill_jobs = "no"',
            '7: "kill_jobs" must be true or false, not "no"',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\nrefresh = true',
            '7: "refresh" is a block; write refresh { … } without "="',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\nhealth {\n}\nhealth {\n}',
            '9: block "health" is given twice; the first is on line 7',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\nrollout = "drain"\nrefresh {\n}',
            '8: a "refresh" block needs rollout = "refresh", not "drain"',
        ),
        (
            'channel = "staging"',
            'channel = "staging"\nrefresh {\n}',
            '7: a "refresh" block needs rollout = "refresh", not "passive"',
        ),
    ],
)
def test_mistakes_in_a_fleet(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = problems(tmp_path, f'{STAGING}fleet "node" {{\n{FLEET.replace(old, new, 1)}}}\n')
    assert len(found) == 1
    assert found[0].startswith(f"factory.hcl:{expected}")


@pytest.mark.parametrize("rollout", list(Rollout))
def test_every_rollout_is_taken(tmp_path: Path, rollout: Rollout) -> None:
    text = f'{STAGING}fleet "node" {{\n{FLEET}rollout = "{rollout}"\n}}\n'
    assert loaded(tmp_path, text).fleets["node"].rollout is rollout


def test_two_fleets_in_one_group(tmp_path: Path) -> None:
    one, other = (f'fleet "{name}" {{\n{FLEET}}}\n' for name in ("one", "other"))
    assert problems(tmp_path, STAGING + one + other) == [
        'factory.hcl:10: group "ci-node" is also that of fleet "one"; each fleet has its own'
    ]
    assert list(loaded(tmp_path, STAGING + one + other.replace("ci-node", "ci-Node")).fleets) == [
        "one",
        "other",
    ]


def test_an_image_that_is_broken_is_an_image_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "images/java").mkdir(parents=True)
    (tmp_path / "images/java/image.hcl").write_text("parent = \n")
    text = f'{STAGING}fleet "java" {{\n{FLEET.replace("node", "java")}}}\n'
    assert problems(tmp_path, text) == ["images/java/image.hcl:1: the line ends before its value"]


def test_all_problems_come_together(tmp_path: Path) -> None:
    text = """
        channel "staging" {
          order = 0
          approval = "approve"
        }
        fleet "node" {
          image   = "noed"
          group   = "ci-node"
          channel = "stagin"
          canary  = "no"
          health {
            workers = 2
            command = ["hooks/factory/check"]
          }
        }
        jobs = 3
        """
    assert problems(tmp_path, text) == [
        'factory.hcl:2: "order" must be at least 1, not 0',
        'factory.hcl:3: approval "approve": hooks/factory/approve is not there',
        'factory.hcl:6: image "noed" is not an image; did you mean "node"?',
        'factory.hcl:8: channel "stagin" has no channel block; did you mean "staging"?',
        'factory.hcl:9: "canary" must be true or false, not "no"',
        'factory.hcl:11: "workers" needs "for", how long they have to stay up',
        "factory.hcl:12: command: hooks/factory/check is not there",
        'factory.hcl:15: unknown key "jobs"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("min_healthy = 90", '9: min_healthy 90 is not a whole percentage; write "90%"'),
        ('min_healthy = "90"', '9: min_healthy "90" is not a whole percentage; write "90%"'),
        ('min_healthy = "9.5%"', '9: min_healthy "9.5%" is not a whole percentage; write "90%"'),
        ('min_healthy = "-1%"', '9: min_healthy "-1%" is not a whole percentage; write "90%"'),
        (
            'min_healthy = "101%"',
            '9: min_healthy "101%" is out of range; it can be "0%" to "100%"',
        ),
        (
            'min_healthy = "90%"\nmax_healthy = "99%"',
            '10: max_healthy "99%" is out of range; it can be "100%" to "200%"',
        ),
        (
            'min_healthy = "100%"\nmax_healthy = "201%"',
            '10: max_healthy "201%" is out of range; it can be "100%" to "200%"',
        ),
        (
            'bake_time = "5m"\nmax_healthy = "100%"',
            '10: "max_healthy" needs "min_healthy"; give both or neither',
        ),
        (
            'max_healthy = "191%"\nmin_healthy = "90%"',
            '9: "max_healthy" is 101 above "min_healthy"; it can be at most 100 above',
        ),
        ('checkpoints = "50%"', '9: "checkpoints" must be a list, ["value"], not "50%"'),
        (
            'checkpoints = [\n"0%",\n"100%"\n]',
            '10: checkpoints "0%" is out of range; it can be "1%" to "100%"',
        ),
        (
            'checkpoints = ["50%", "25%", "100%"]',
            '9: "checkpoints" must be in ascending order, none twice',
        ),
        ('checkpoints = ["100%", "100%"]', '9: "checkpoints" must be in ascending order, none twice'),
        ('checkpoints = ["25%", "99%"]', '9: the last of "checkpoints" must be "100%"'),
        ('checkpoint_delay = "10m"', '9: "checkpoint_delay" needs "checkpoints"'),
        (
            'checkpoints = ["100%"]\ncheckpoint_delay = "49h"',
            "10: checkpoint_delay is too long; AWS takes at most 48h",
        ),
        ('bake_time = "172801s"', "9: bake_time is too long; AWS takes at most 48h"),
        ('warmup = "1 min"', '9: warmup "1 min" is not a duration; write "30s", "5m", "2h" or "7d"'),
        (
            'protected = "kill"',
            '9: "protected" must be "wait" or "ignore" or "refresh", not "kill"',
        ),
        (
            'standby = "refresh"',
            '9: "standby" must be "wait" or "ignore" or "terminate", not "refresh"',
        ),
        (
            'standby = "wait"\nprotected = "refresh"',
            '10: protected = "refresh" replaces workers with running jobs; it needs kill_jobs = true',
        ),
        ("auto_rolback = true", '9: unknown key "auto_rolback"; did you mean "auto_rollback"?'),
    ],
)
def test_mistakes_in_the_refresh_block(tmp_path: Path, text: str, expected: str) -> None:
    body = f'{FLEET}rollout = "refresh"\nrefresh {{\n{text}\n}}\n'
    assert problems(tmp_path, f'{STAGING}fleet "node" {{\n{body}}}\n') == [f"factory.hcl:{expected}"]


@pytest.mark.parametrize(
    "preferences",
    [
        {},
        {"min_healthy": "0%"},
        {"min_healthy": "100%", "max_healthy": "200%"},
        {"min_healthy": "90%", "max_healthy": "190%"},
        {"min_healthy": "0%", "max_healthy": "100%"},
        {"checkpoints": ["100%"]},
        {"checkpoints": ["1%", "2%", "100%"], "checkpoint_delay": "0s"},
        {"checkpoints": ["100%"], "checkpoint_delay": "48h"},
        {"bake_time": "48h", "warmup": "0s"},
        {"protected": "wait", "standby": "terminate"},
    ],
)
def test_what_the_api_takes(preferences: dict[str, object]) -> None:
    assert fleet(rollout="refresh", refresh=preferences)


@given(st.integers(0, 100), st.integers(100, 200))
def test_healthy_limits_are_a_hundred_apart_at_most(lowest: int, highest: int) -> None:
    given = {"min_healthy": f"{lowest}%", "max_healthy": f"{highest}%"}
    if highest - lowest > 100:
        with pytest.raises(ValidationError, match="at most 100 above"):
            RefreshPreferences.model_validate(given)
    else:
        found = RefreshPreferences.model_validate(given)
        assert (found.min_healthy, found.max_healthy) == (lowest, highest)


@given(st.lists(st.integers(1, 100)))
def test_checkpoints_ascend_to_a_hundred(checkpoints: list[int]) -> None:
    given = {"checkpoints": [f"{number}%" for number in checkpoints]}
    if checkpoints and (checkpoints != sorted(set(checkpoints)) or checkpoints[-1] != 100):
        with pytest.raises(ValidationError, match="checkpoints"):
            RefreshPreferences.model_validate(given)
    else:
        assert RefreshPreferences.model_validate(given).checkpoints == tuple(checkpoints)


def test_jobs_are_killed_only_when_that_is_said() -> None:
    refresh = {"protected": "refresh"}
    with pytest.raises(ValidationError, match="kill_jobs = true"):
        fleet(rollout="refresh", refresh=refresh)
    assert fleet(rollout="refresh", refresh=refresh, kill_jobs=True).refresh.protected == "refresh"
    assert fleet(rollout="refresh", kill_jobs=True).refresh.protected == "ignore"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workers = 2", '8: "workers" needs "for", how long they have to stay up'),
        ('for = "5m"', '8: "for" needs "workers", how many have to stay up'),
        ('workers = 2\nfor = "0s"', '9: for "0s" is not a usable duration; it must be more than 0'),
        ('workers = 0\nfor = "5m"', '8: "workers" must be at least 1, not 0'),
        ('duration = "5m"', '8: unknown key "duration"'),
        ('slower_by = "0%"', '8: slower_by "0%" is not a percentage; write "20%"'),
        ("slower_by = 1.2", '8: slower_by 1.2 is not a percentage; write "20%"'),
        ('alarms = "a"', '8: "alarms" must be a list, ["value"], not "a"'),
        ('alarms = ["a", "b", "a"]', '8: alarms has "a" twice'),
        ('alarms = ["a",\n""]', '9: "alarms" must not be empty'),
        (f'alarms = ["{"a" * 256}"]', '8: "alarms" is too long: at most 255, not 256'),
        (f"alarms = {[str(n) for n in range(11)]}".replace("'", '"'), '8: "alarms" is too long: at most 10'),
        ('command = "true"', '8: "command" must be a list, ["value"], not "true"'),
        ('command = ["a", 3]', '8: "command" must be a string, not the number 3'),
        ('command = ["./check"]', "8: command: ./check is not there"),
    ],
)
def test_mistakes_in_the_health_block(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = problems(tmp_path, f'{STAGING}fleet "node" {{\n{FLEET}health {{\n{text}\n}}\n}}\n')
    assert found.startswith(f"factory.hcl:{expected}")


def test_a_health_command_in_the_factory_has_to_be_executable(tmp_path: Path) -> None:
    text = f'{STAGING}fleet "node" {{\n{FLEET}health {{\ncommand = ["hooks/factory/check", "x"]\n}}\n}}\n'
    write_hook(tmp_path, "check", mode=0o644)
    assert problems(tmp_path, text) == [
        "factory.hcl:8: command: hooks/factory/check is not executable; run: chmod +x hooks/factory/check"
    ]
    write_hook(tmp_path, "check")
    assert loaded(tmp_path, text).fleets["node"].health.command == ("hooks/factory/check", "x")


@pytest.mark.parametrize("program", ["curl", "/opt/example/check"])
def test_a_health_command_of_the_machine_is_not_looked_for(tmp_path: Path, program: str) -> None:
    text = f'{STAGING}fleet "node" {{\n{FLEET}health {{\ncommand = ["{program}"]\n}}\n}}\n'
    assert loaded(tmp_path, text).fleets["node"].health.command == (program,)


def test_ten_alarms_are_not_too_many() -> None:
    assert len(fleet(health={"alarms": [str(number) for number in range(10)]}).health.alarms) == 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'version = "$default"',
            '8: "version" must be "pinned" or "$Default" or "$Latest" or "parameter", not "$default"',
        ),
        ("workers = -1", '8: "workers" must be at least 0, not -1'),
        ('workers = "two"', '8: "workers" must be a whole number, not "two"'),
        ("workers = 5\nmax = 4", '9: "max" is 4, but "workers" is 5'),
        (
            'attributes = true\nversion = "parameter"',
            '9: AWS has no group with "attributes" whose template names its AMI by a parameter; choose',
        ),
        ('termination_hook = "my hook"', '8: termination_hook "my hook" does not look like "drain"'),
        ("desired = 2", '8: unknown key "desired"'),
    ],
)
def test_mistakes_in_the_sandbox_block(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = problems(tmp_path, f'{STAGING}fleet "node" {{\n{FLEET}sandbox {{\n{text}\n}}\n}}\n')
    assert found.startswith(f"factory.hcl:{expected}")


@pytest.mark.parametrize(("workers", "expected"), [(0, 4), (4, 4), (5, 5)])
def test_the_sandboxs_maximum_follows_its_workers(workers: int, expected: int) -> None:
    assert SandboxGroup(workers=workers).max == expected
