"""Secrets at boot, at a build and when there is a new version; what can be wrong, and how long that matters.

``aws``, the metadata service and the clock are fakes; files are real.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fetch_secrets import LONGEST_PAUSE, pauses
from hypothesis import example, given
from hypothesis import strategies as st
from instance_metadata import BUILD_MARK, MetadataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.hooks.conftest import World

ROOT = Path(__file__).parents[3]
NO_CREDENTIALS = 'Unable to locate credentials. You can configure credentials by running "aws configure".'
UNREACHABLE = 'Could not connect to the endpoint URL: "https://secretsmanager.eu-central-1.amazonaws.com/"'
PASSING = [
    *("ThrottlingException", "InternalServiceError", "ServiceUnavailable", "503", "ExpiredTokenException"),
    *(NO_CREDENTIALS, UNREACHABLE, 'Read timeout on endpoint URL: "None"', "Something never seen before"),
]
REFUSED = ["AccessDeniedException", "DecryptionFailure", "UnrecognizedClientException"]
HOPELESS = ["ResourceNotFoundException", "InvalidRequestException", "ValidationException"]


def test_secret_is_in_place_with_its_version(world: World, kubeconfig: str) -> None:
    assert world.run() == 0
    assert world.file.read_text() == kubeconfig
    assert world.file.stat().st_mode & 0o7777 == 0o600
    assert world.state() == {
        "name": "kubeconfig",
        "path": str(world.file),
        "version": "version-1",
        "placed_at": 1.8e9 + 1000,
        "problem": None,
        "waited": None,
    }
    assert world.lines == ["secret kubeconfig: in place, version version-1"]
    assert world.clock.slept == []


def test_text_is_written_as_it_is(world: World) -> None:
    value = " no newline at the end, ünï\r\ncode\0"
    world.account.put("ci/kubeconfig", value)
    world.list_secrets(world.entry(format="text", mode="0640"))
    assert world.run() == 0
    assert world.file.read_bytes() == value.encode()
    assert world.file.stat().st_mode & 0o7777 == 0o640


def test_all_secrets_are_tried_and_each_has_its_own_state(world: World) -> None:
    token = world.folder / "etc/token"
    world.account.put("ci/token", "t0ken", version="version-9")
    world.list_secrets(
        world.entry(id="ci/absent"), world.entry(name="token", id="ci/token", path=str(token), format="text")
    )
    assert world.run() == 1
    assert token.read_text() == "t0ken"
    assert world.state("token")["version"] == "version-9"
    assert world.state()["problem"]["final"] is True


@pytest.mark.parametrize("arguments", [[], ["--refresh"], ["--when", "build"]])
def test_no_list_is_nothing_to_do(world: World, arguments: list[str]) -> None:
    world.list_secrets()
    assert world.run(*arguments) == 0
    assert world.account.commands == []


def test_each_kind_is_fetched_at_its_own_time(world: World) -> None:
    baked = world.folder / "baked"
    world.account.put("ci/baked", "baked")
    world.list_secrets(
        world.entry(),
        world.entry(name="baked", id="ci/baked", path=str(baked), when="build", format="text"),
    )
    assert world.run("--when", "build") == 0
    assert (baked.read_text(), world.file.exists()) == ("baked", False)
    baked.unlink()
    assert world.run() == 0
    assert (baked.exists(), world.file.exists()) == (False, True)


@pytest.mark.parametrize("code", PASSING)
def test_what_passes_is_waited_for(world: World, code: str) -> None:
    """Down for a minute: in place soon after."""
    world.account.trouble = lambda time: code if time < 1060 else None
    assert world.run() == 0
    assert world.file.exists()
    assert 1060 <= world.clock.time <= 1060 + LONGEST_PAUSE
    assert world.state()["problem"] is None


@pytest.mark.parametrize("code", PASSING)
def test_an_outage_is_waited_for_five_minutes(world: World, code: str) -> None:
    world.account.trouble = lambda _: code
    assert world.run() == 1
    assert world.clock.time == 1300
    assert not world.file.exists()
    assert world.state()["problem"]["final"] is True
    assert world.state()["problem"]["of"] == "account"
    assert [re.sub(".*; ", "", line) for line in world.lines] == ["trying again", "giving up"]


def test_the_state_says_what_is_waited_for(world: World) -> None:
    seen: list[dict[str, Any]] = []

    def down(time: float) -> str | None:
        if time > 1000:
            seen.append(world.state()["problem"])
        return UNREACHABLE if time < 1005 else None

    world.account.trouble = down
    assert world.run() == 0
    assert {problem["final"] for problem in seen} == {False}
    assert all("Could not connect" in problem["why"] for problem in seen)


@pytest.mark.parametrize(
    ("code", "waited"),
    [
        # Attempts of 8 s, from a cold disk, of 3 s and of 1 s; between them pauses of 1 and 2 s.
        ("InternalServiceError", {"since": 1008.0, "until": 1015.0}),
        ("AccessDeniedException", {"since": 1008.0, "until": 1015.0}),
        (UNREACHABLE, {"since": 1000.0, "until": 1014.0}),
        (NO_CREDENTIALS, {"since": 1000.0, "until": 1014.0}),
    ],
)
def test_state_says_when_only_the_account_was_waited_for(
    world: World, code: str, waited: dict[str, float]
) -> None:
    """One attempt is left for the image: the first, or the last where the first got no answer."""
    world.account.trouble = lambda time: code if time < 1014 else None
    world.account.takes = [8.0, 3.0, 1.0]
    assert world.run() == 0
    assert world.clock.time == 1015
    assert world.state()["waited"] == waited


def test_refresh_leaves_what_was_waited_for_at_boot(world: World, kubeconfig: str) -> None:
    world.account.trouble = lambda time: "503" if time < 1003 else None
    world.run()
    at_boot = world.state()["waited"]
    assert at_boot == {"since": 1000.0, "until": 1003.0}
    world.account.trouble = lambda time: "503" if time < 1100 else None
    assert world.run("--refresh") == 0
    assert world.state()["waited"] == at_boot
    world.account.put("ci/kubeconfig", kubeconfig + "# new\n", version="version-2")
    assert world.run("--refresh") == 0
    assert (world.state()["version"], world.state()["waited"]) == ("version-2", at_boot)


def test_state_of_earlier_hooks_is_understood(world: World) -> None:
    world.run()
    older = {name: value for name, value in world.state().items() if name != "waited"}
    (world.folder / "run/secrets/kubeconfig.json").write_text(json.dumps(older))
    world.account.commands.clear()
    assert world.run("--refresh") == 0
    assert world.account.asked == ["describe-secret"]


@pytest.mark.parametrize("code", REFUSED)
def test_a_refused_permission_is_waited_for_half_a_minute(world: World, code: str) -> None:
    world.account.trouble = lambda _: code
    assert world.run() == 1
    assert world.clock.time == 1030
    assert code in world.state()["problem"]["why"]


def test_a_permission_refused_after_an_outage_has_its_half_minute_still(world: World) -> None:
    world.account.trouble = lambda time: "503" if time < 1200 else "AccessDenied" if time < 1220 else None
    assert world.run() == 0


@pytest.mark.parametrize("code", HOPELESS)
def test_what_cannot_pass_is_final_at_once(world: World, code: str) -> None:
    world.account.trouble = lambda _: code
    assert world.run() == 1
    assert world.clock.slept == []
    assert world.state()["problem"] == {
        "why": f'"ci/kubeconfig": so it is ({code})',
        "of": "account",
        "final": True,
    }


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\x7fELF", "is binary"),
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("clusters: [\n}", "line 2 does not parse"),
        ("\x00", "does not parse"),
        ("[" * 1000, "it does not parse"),
        ("just words", "it is no mapping"),
        ("clusters: []\ncontexts: []\nusers: []", "it has no cluster"),
        ("clusters:\ncontexts: []\nusers: []", '"clusters" is no list of mappings'),
        ("clusters: [{}]\nusers: [{}]", '"contexts" is no list of mappings'),
        ("clusters: [{}]\ncontexts: [{}]\nusers: [word]", '"users" is no list of mappings'),
        ("clusters: {a: b}\ncontexts: [{}]\nusers: [{}]", '"clusters" is no list of mappings'),
    ],
)
def test_useless_value_is_final_at_once_and_not_written(world: World, value: str | bytes, why: str) -> None:
    world.account.put("ci/kubeconfig", value)
    assert world.run() == 1
    assert world.clock.slept == []
    assert not world.file.exists()
    assert re.search(why, world.state()["problem"]["why"])
    assert world.state()["problem"]["of"] == "account"


def test_text_that_utf_8_cannot_hold_is_refused(world: World) -> None:
    world.account.put("ci/kubeconfig", "\ud800")
    world.list_secrets(world.entry(format="text"))
    assert world.run() == 1
    assert "UTF-8" in world.state()["problem"]["why"]


def test_without_yaml_json_is_checked_and_the_rest_is_said_to_be_not(world: World, kubeconfig: str) -> None:
    world.yaml = None
    assert world.run() == 0
    assert any("no yaml module" in line for line in world.lines)
    for value in (json.dumps({"clusters": [{}], "contexts": {}, "users": []}), "clusters: []\nusers: []"):
        world.account.put("ci/kubeconfig", value)
        assert world.run() == 1
        assert '"contexts"' in world.state()["problem"]["why"]
    assert world.file.read_text() == kubeconfig


@pytest.mark.parametrize("owner", ["nobody-has-this-name", "root:no-such-group"])
def test_unknown_owner_is_the_images_fault_and_nothing_is_asked(world: World, owner: str) -> None:
    world.list_secrets(world.entry(owner=owner))
    assert world.run() == 1
    assert world.state()["problem"]["of"] == "image"
    assert owner.rpartition(":")[2] in world.state()["problem"]["why"]
    assert world.account.commands == []


def test_missing_program_is_the_images_fault(world: World) -> None:
    world.account.missing = True
    assert world.run() == 1
    assert world.clock.slept == []
    assert world.state()["problem"] == {
        "why": "the aws program is not installed",
        "of": "image",
        "final": True,
    }


def test_place_that_cannot_be_written_is_the_images_fault(world: World) -> None:
    world.file.mkdir(parents=True)
    assert world.run() == 1
    assert world.state()["problem"]["of"] == "image"
    assert str(world.file) in world.state()["problem"]["why"]


@pytest.mark.parametrize("path", ["meta-data/placement/region", "user-data"])
def test_metadata_that_does_not_answer_is_waited_for(world: World, path: str) -> None:
    world.metadata[path] = MetadataError("no answer")
    assert world.run() == 1
    assert world.clock.time == 1300
    assert "no answer" in world.state()["problem"]["why"]


def test_no_region_yet_is_waited_for(world: World) -> None:
    world.metadata.clear()
    assert world.run() == 1
    assert world.clock.time == 1300


def test_boot_secret_is_not_fetched_where_an_ami_is_made(world: World) -> None:
    """The instance that a child image is built on runs its parent's hooks."""
    template = (ROOT / "images/_shared/source.pkr.hcl").read_text()
    user_data = re.search(r'user_data += "(.*)"', template)
    assert user_data
    lines = user_data[1].split("\\n")
    assert BUILD_MARK in lines
    world.metadata["user-data"] = "\n".join(lines)
    assert [world.run(), world.run("--refresh")] == [1, 1]
    assert not world.file.exists()
    assert world.account.commands == []
    world.list_secrets(world.entry(when="build"))
    assert world.run("--when", "build") == 0


def test_reboot_fetches_anew(world: World, kubeconfig: str) -> None:
    world.run()
    world.forget_boot()
    world.account.put("ci/kubeconfig", kubeconfig + "# new\n", version="version-2")
    assert world.run() == 0
    assert world.file.read_text().endswith("# new\n")
    assert world.state()["version"] == "version-2"


def test_refresh_reads_the_value_only_if_the_version_is_new(world: World, kubeconfig: str) -> None:
    world.run()
    world.account.commands.clear()
    assert world.run("--refresh") == 0
    assert world.account.asked == ["describe-secret"]
    world.account.put("ci/kubeconfig", kubeconfig + "# new\n", version="version-2")
    assert world.run("--refresh") == 0
    assert world.account.asked == ["describe-secret", "describe-secret", "get-secret-value"]
    assert world.file.read_text().endswith("# new\n")
    assert world.state()["version"] == "version-2"


def test_refresh_brings_back_a_file_that_was_removed(world: World) -> None:
    world.run()
    world.file.unlink()
    assert world.run("--refresh") == 0
    assert world.file.exists()


def test_refresh_after_a_failed_boot_puts_the_secret_in_place(world: World) -> None:
    world.account.trouble = lambda _: "503"
    assert world.run() == 1
    world.account.trouble = lambda _: None
    assert world.run("--refresh") == 0
    assert world.state()["problem"] is None


@pytest.mark.parametrize("code", ["503", "AccessDeniedException", "ResourceNotFoundException"])
def test_failed_refresh_keeps_file_and_version_and_says_why(world: World, kubeconfig: str, code: str) -> None:
    world.run()
    world.lines.clear()
    world.account.trouble = lambda _: code
    assert world.run("--refresh") == 1
    assert world.file.read_text() == kubeconfig
    assert world.state()["version"] == "version-1"
    assert world.state()["problem"]["final"] is True
    assert code in world.lines[-1]
    world.account.trouble = lambda _: None
    assert world.run("--refresh") == 0
    assert world.state()["problem"] is None


def test_refresh_to_a_useless_value_keeps_the_good_one(world: World, kubeconfig: str) -> None:
    world.run()
    world.account.put("ci/kubeconfig", "no kubeconfig", version="version-2")
    assert world.run("--refresh") == 1
    assert world.file.read_text() == kubeconfig
    assert world.state()["version"] == "version-1"


def test_secret_rotated_between_describing_and_reading_has_the_version_that_was_read(
    world: World, kubeconfig: str
) -> None:
    world.run()
    world.account.put("ci/kubeconfig", "clusters", version="version-2")

    def rotate_after_description(_: float) -> None:
        if world.account.asked[-1] == "get-secret-value":
            world.account.put("ci/kubeconfig", kubeconfig + "# 3\n", version="version-3")

    world.account.trouble = rotate_after_description
    assert world.run("--refresh") == 0
    assert world.file.read_text().endswith("# 3\n")
    assert world.state()["version"] == "version-3"


def test_state_of_another_path_is_not_this_secrets(world: World) -> None:
    """The image was built anew with another path, and /run is older."""
    world.run()
    moved = world.folder / "moved"
    moved.touch()
    world.list_secrets(world.entry(path=str(moved)))
    assert world.run("--refresh") == 0
    assert moved.read_text() == world.file.read_text()


@pytest.mark.parametrize("broken", ["", "[]", "{", '{"version": "version-1"}'])
def test_broken_state_is_no_state(world: World, broken: str) -> None:
    world.run()
    (world.folder / "run/secrets/kubeconfig.json").write_text(broken)
    assert world.run("--refresh") == 0
    assert world.state()["version"] == "version-1"


def test_an_arns_region_counts(world: World, kubeconfig: str) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:ci/kubeconfig-AbCdEf"
    world.metadata.pop("meta-data/placement/region")
    world.account.put(arn, kubeconfig)
    world.list_secrets(world.entry(id=arn))
    assert world.run() == 0
    assert "--region=us-east-1" in world.account.commands[0]


def test_pauses_double_up_to_the_longest_and_are_scattered() -> None:
    steady, hasty = pauses(lambda: 0.0), pauses(lambda: 1.0)
    assert [next(steady) for _ in range(7)] == [1, 2, 4, 8, 16, 16, 16]
    assert [next(hasty) for _ in range(3)] == [0.5, 1, 2]


def test_states_can_be_read_by_everyone(world: World) -> None:
    """``amifactory-ready`` runs as whoever the runner manager logs in as."""
    world.run()
    state = world.folder / "run/secrets"
    assert (state / "kubeconfig.json").stat().st_mode & 0o7777 == 0o644
    assert state.stat().st_mode & 0o7777 == 0o755


CANARY = "cAnArY-8c1f2ab90e"
AROUND = st.text(max_size=20)
VALUES = st.builds("{}{}{}".format, AROUND, st.just(CANARY), AROUND)
"""Any text, and kinds of YAML that do and do not parse."""
SECRETS = st.one_of(
    VALUES,
    VALUES.map(lambda text: f"clusters: [{text}"),
    VALUES.map(lambda text: f"clusters:\n- &{text}\n{text}: !!python/{text} {{{text}: *{text}"),
    VALUES.map(lambda text: json.dumps({"clusters": [{}], "contexts": [{}], "users": [{"token": text}]})),
)


@example(value=f"clusters: [{CANARY}", kind="kubeconfig", has_yaml=True)
@example(value=f"clusters:\n- &a {CANARY}: *b", kind="kubeconfig", has_yaml=True)
@example(value=f"{CANARY}\ud800", kind="text", has_yaml=True)
@example(value=CANARY, kind="text", has_yaml=False)
@given(value=SECRETS, kind=st.sampled_from(["text", "kubeconfig"]), has_yaml=st.booleans())
def test_no_value_is_anywhere_but_in_its_file(
    make_world: Callable[[Path], World], one_folder: Path, value: str, kind: str, has_yaml: bool
) -> None:
    world = make_world(one_folder)
    world.forget_all()
    if not has_yaml:
        world.yaml = None
    world.account.put("ci/kubeconfig", value)
    world.list_secrets(world.entry(format=kind))
    world.run()
    world.run("--refresh")
    said = [*world.lines, *map(str, world.account.commands), *map(str, world.account.environments)]
    holding = [file for file in world.folder.rglob("*") if file.is_file() and CANARY in file.read_text()]
    assert said
    assert [text for text in said if CANARY in text] == []
    assert holding in ([], [world.file])
