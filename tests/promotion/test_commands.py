"""promote, rollback, status, releases and fleets as commands: documents, exit codes, words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.promotion import Replacement
from amifactory.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

FACTORY = """
channel "staging" {}
channel "production" {}
fleet "node" {
  image   = "node"
  group   = "ci-node"
  channel = "staging"
  sandbox {
    workers = 1
  }
  health {
    command = ["/usr/bin/test", "!", "-e", "unwell"]
  }
}
fleet "customers" {
  image   = "node"
  group   = "ci-customers"
  channel = "production"
}
"""
RECORD = {
    *("number", "channel", "state", "source", "created_at", "by", "commit", "fleets", "previous"),
    *("closed_at", "failure", "parameters"),
}


@pytest.fixture
def staging(account: Any, groups: Callable[[], None]) -> Any:
    account.image("node")
    account.configure(FACTORY)
    groups()
    return account


def test_a_dry_run_as_json(staging: Any, command: Callable[..., Any]) -> None:
    ami_id = staging.build("node")
    staging.ask("DELETE", "calls")
    ran = command("promote", "--channel", "staging", "--dry-run", "--json")
    assert staging.changing_calls() == []
    assert ran.code == ExitCode.DONE
    document = ran.json
    assert document["fleets"] == [
        {
            "fleet": "node",
            "image": "node",
            "group": "ci-node",
            "rollout": "passive",
            "replacement": Replacement.PASSIVE.value,
            "workers": {"current": 0, "old": 1, "protected": 0},
            "seconds": None,
            "changes": True,
            "templates": [
                {
                    "architecture": "x86_64",
                    "launch_template": "ci-node",
                    "pointer": "pinned",
                    "parameter": None,
                    "from": {"ami_id": staging.settings.source_ami_id, "version": 1},
                    "to": {"ami_id": ami_id, "version": None},
                }
            ],
        }
    ]
    del document["fleets"]
    assert document == {
        "kind": "promote",
        "channel": "staging",
        "source": "newest",
        "release": None,
        "to": None,
        "untouched": [],
        "parameters": {"/amifactory/example/staging/node/x86_64": ami_id},
        "refusals": [],
    }


def test_promote_look_and_roll_back(staging: Any, command: Callable[..., Any]) -> None:
    first, second = staging.build("node"), staging.settings.source_ami_id
    ran = command("promote", "--channel", "staging", "--yes", "--json")
    assert ran.code == ExitCode.DONE
    assert (ran.json["number"], ran.json["state"], set(ran.json)) == (1, "current", RECORD)
    assert ran.json["by"].startswith("arn:aws:")
    second = staging.build("node")
    command("promote", "--channel", "staging", "--yes")
    assert command("promote", "--channel", "staging", "--yes").stderr.endswith("Nothing to do.\n")
    moved = command("promote", "--channel", "production", "--from", "staging", "--yes", "--json").json
    assert (moved["number"], moved["source"]) == (3, "staging release 2")

    status = command("status", "--json").json
    assert status.keys() == {"channels", "fleets"}
    assert {frozenset(channel) for channel in status["channels"]} == {frozenset({"name", "release", "since"})}
    assert [(channel["name"], channel["release"]) for channel in status["channels"]] == [
        ("staging", 2),
        ("production", 3),
    ]
    assert status["fleets"][0] == {
        "name": "node",
        "channel": "staging",
        "release": 2,
        "image": "node",
        "architecture": "x86_64",
        "group": "ci-node",
        "ami_id": second,
        "template_version": 3,
        "workers": {"current": 0, "old": 1},
        "rollout": "draining as jobs end",
        "drift": [],
    }
    table = command("status").stdout
    assert "draining as jobs end" in table
    assert second in table

    listed = command("releases", "--json").json["releases"]
    assert [(one["number"], one["state"]) for one in listed] == [
        (3, "current"),
        (2, "current"),
        (1, "superseded"),
    ]
    only = command("releases", "--channel", "production").stdout
    assert [line.split()[:3] for line in only.splitlines()[1:]] == [["3", "production", "current"]]
    shown = command("releases", "show", "2")
    assert "from:      newest" in shown.stdout
    assert second in shown.stdout
    assert command("releases", "show", "1", "--json").json["state"] == "superseded"
    assert command("releases", "diff", "1", "2", "--json").json == {
        "changes": [{"image": "node", "architecture": "x86_64", "from": first, "to": second}]
    }
    assert first in command("releases", "diff", "1", "2").stdout
    assert command("releases", "diff", "2", "3").stderr == "The same AMIs.\n"
    assert command("releases", "show", "9").code == ExitCode.USAGE

    back = command("rollback", "--channel", "staging", "--yes", "--json")
    assert (back.code, back.json["number"], back.json["state"]) == (ExitCode.DONE, 1, "current")
    assert command("releases", "show", "2", "--json").json["state"] == "rolled back"
    before = command("rollback", "--channel", "staging", "--yes")
    assert before.stdout == "channel staging is back to what it started before its first release\n"
    assert command("status", "--json").json["channels"][0] == {
        "name": "staging",
        "release": None,
        "since": None,
    }


def test_failed_and_rolled_back_and_half_done_end_with_codes_of_their_own(
    staging: Any, command: Callable[..., Any]
) -> None:
    staging.build("node")
    (staging.root / "unwell").touch()
    ran = command("promote", "--channel", "staging", "--yes", "--json")
    assert ran.code == ExitCode.ROLLED_BACK
    assert "channel staging is back the way it was" in ran.error
    assert (ran.json["number"], ran.json["state"]) == (1, "failed")
    assert ran.json["failure"] == "fleet node: /usr/bin/test failed (1)"

    staging.ask(
        "POST",
        "failures",
        {"operation": "UpdateAutoScalingGroup", "code": "AccessDenied", "times": 9, "nth": 2},
    )
    ran = command("promote", "--channel", "staging", "--yes", "--json")
    assert ran.code == ExitCode.HALF_DONE
    assert "channel staging: NOT back the way it was" in ran.error
    assert (ran.json["number"], ran.json["state"]) == (2, "in progress")
    staging.ask("DELETE", "failures")
    assert "promote under way" in command("status").stdout

    ran = command("promote", "--channel", "staging", "--yes")
    assert ran.code == ExitCode.ROLLED_BACK  # the same command goes on, the way it was going
    status = command("status", "--json").json
    assert status["fleets"][0]["ami_id"] == staging.settings.source_ami_id
    assert status["channels"][0]["release"] is None


def test_an_unfinished_promotion_can_be_taken_back_by_a_rollback(
    staging: Any, command: Callable[..., Any]
) -> None:
    staging.build("node")
    (staging.root / "unwell").touch()
    staging.ask(
        "POST",
        "failures",
        {"operation": "UpdateAutoScalingGroup", "code": "AccessDenied", "times": 9, "nth": 2},
    )
    assert command("promote", "--channel", "staging", "--yes").code == ExitCode.HALF_DONE
    staging.ask("DELETE", "failures")
    ran = command("rollback", "--channel", "staging", "--yes")
    assert ran.code == ExitCode.DONE
    status = command("status", "--json").json
    assert status["fleets"][0]["ami_id"] == staging.settings.source_ami_id
    assert command("releases", "show", "1", "--json").json["state"] == "failed"


def test_a_lock_is_seen_and_taken_away_with_a_reason(staging: Any, command: Callable[..., Any]) -> None:
    staging.build("node")
    staging.workshop(staging.kept).channels.lock("staging", "somebody@host (process 7)")
    ran = command("promote", "--channel", "staging", "--yes")
    assert ran.code == ExitCode.REFUSED
    assert "channel staging is being changed by somebody@host (process 7)" in ran.error
    assert "somebody@host" in command("status").stdout
    assert command("unlock", "staging", "--reason", "it hangs").code == ExitCode.REFUSED
    assert command("unlock", "staging", "--reason", "it hangs", "--yes").code == ExitCode.DONE
    assert command("unlock", "staging", "--reason", "again").stderr == "channel staging is not locked\n"
    (entry,) = staging.workshop(staging.kept).channels.state("staging").unlocked
    assert (entry.owner, entry.reason) == ("somebody@host (process 7)", "it hangs")
    assert command("promote", "--channel", "staging", "--yes").code == ExitCode.DONE


def test_fleets_are_shown_as_aws_has_them_with_what_stands_in_the_way(
    staging: Any, command: Callable[..., Any]
) -> None:
    ran = command("fleets", "--json")
    assert ran.code == ExitCode.DONE
    node, customers = ran.json["fleets"]
    assert node["capacity"] == {"desired": 1, "min": 0, "max": 4}
    assert [template["version"] for template in node["templates"]] == ["1"]
    assert [refusal["reason"] for refusal in node["blocked"]] == ["no-build"]
    assert customers["exists"] is True
    staging.build("node")
    table = command("fleets")
    assert table.stdout.splitlines()[1].split()[:6] == [
        *("node", "ci-node", "ci-node", "1", staging.settings.source_ami_id, "x86_64")
    ]
    assert "no-build" not in table.stdout
