"""A comparison as people, merge requests and programs read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from click.testing import CliRunner

from amifactory.cli.diff import comparison_json
from amifactory.cli.diff_markdown import markdown
from amifactory.cli.diff_table import print_comparison
from amifactory.cli.main import cli
from amifactory.domain.comparison import BuildFacts, compare
from amifactory.domain.inventory import ContainerImage, Inventory, OperatingSystem, Package, Port
from amifactory.domain.model import AmiId, Architecture, Build, Recipe, Target, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
DIGESTS = tuple(f"sha256:{digit * 64}" for digit in "12")
RECIPE = Recipe(
    architecture=Architecture.X86_64,
    files={"install-node.sh": "1"},
    variables={"image_name": "node"},
    prepull={},
    parent="ami-source",
)


def facts(
    ami_id: str, *, curl: str, digest: str, node: str, ready: float, outcome: str, port: Port
) -> BuildFacts:
    made = replace(RECIPE, files={"install-node.sh": node})
    return BuildFacts(
        build=Build(
            target=Target(image="node", architecture=Architecture.X86_64),
            ami_id=AmiId(ami_id),
            name=ami_id,
            region="eu-central-1",
            fingerprint=made.fingerprint,
            parent=AmiId("ami-source"),
            verdict=Verdict.VERIFIED if outcome == "passed" else Verdict.REJECTED,
            created_at=NOW,
        ),
        inventory=Inventory(
            os=OperatingSystem(id="debian", version="12", name="Debian 12"),
            kernel="6.1",
            packages=(Package(name="curl", version=curl, architecture="amd64", manager="deb"),),
            container_images=(
                ContainerImage(reference="alpine:3.20", digest=digest, image_id=digest, size=7),
            ),
            ports=(port,),
        ),
        recipes=(made,),
        tests={"test_node.py::test_version": outcome},
        cold_start={"ready": ready},
        disk_used=2e9,
        instance_type="t3.large",
    )


SSHD = Port(protocol="tcp", address="::", port=22, program="sshd")
ODD = Port(protocol="tcp", address="::", port=80, program="a|b`c\x1b[2J")
BEFORE = facts("ami-1", curl="8.0-9", digest=DIGESTS[0], node="1", ready=20.0, outcome="passed", port=SSHD)
AFTER = facts("ami-2", curl="8.0-10", digest=DIGESTS[1], node="2", ready=25.0, outcome="failed", port=ODD)
COMPARISON = compare(BEFORE, AFTER)


@click.command()
def shown() -> None:
    """Prints the comparison."""
    print_comparison(COMPARISON)


def test_table_says_what_differs_what_does_not_and_what_was_measured() -> None:
    assert (
        CliRunner().invoke(shown).output
        == """\
        IMAGE  ARCH    AMI    VERDICT   BUILT             VERIFIED ON
before  node   x86_64  ami-1  verified  2026-01-15 12:00  t3.large
after   node   x86_64  ami-2  rejected  2026-01-15 12:00  t3.large

Recipe
  recipe changed: install-node.sh

Packages: 1 up
  up  curl  8.0-9 → 8.0-10

Container images: 1 changed
  changed  alpine:3.20  sha256:111111111111 → sha256:222222222222

Ports: 1 new, 1 gone
  gone  tcp [::]:22  sshd
  new   tcp [::]:80  a|b`c�[2J

Spec: 1 changed
  changed  test_node.py::test_version  passed → failed

Measured
  ready      20.0 s → 25.0 s (+25 %)
  disk used  2.0 GB → 2.0 GB

No difference in: tools, system, users, units.
"""
    )


def test_table_has_colours_on_a_terminal() -> None:
    output = CliRunner().invoke(shown, color=True).output
    assert f"{click.style('up', fg='green')}  curl" in output
    assert f"{click.style('passed', fg='green')} → {click.style('failed', fg='red')}" in output


def test_builds_that_do_not_differ_are_said_not_to(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(compare(BEFORE, BEFORE))
    assert capsys.readouterr().out.endswith("\nNo difference.\n")


def test_markdown_has_a_heading_and_tables() -> None:
    lines = markdown(COMPARISON).splitlines()
    assert lines[0] == "### node/x86_64: changes"
    assert "| after | node/x86_64 | `ami-2` | rejected | 2026-01-15 12:00 UTC | t3.large |" in lines
    assert "- `recipe changed: install-node.sh`" in lines
    assert "**Packages**: 1 up" in lines
    assert "| up | `curl` | `8.0-9` | `8.0-10` |" in lines
    assert "| changed | `test_node.py::test_version` | `passed` | `failed` |" in lines
    assert "|  | `ready` | `20.0 s` | `25.0 s (+25 %)` |" in lines


def test_markdown_lets_nothing_from_an_instance_become_mark_up() -> None:
    assert "| new | `tcp [::]:80` |  | `` a\\|b`c�[2J `` |" in markdown(COMPARISON).splitlines()


def test_markdown_folds_long_lists() -> None:
    many = tuple(
        Package(name=f"lib{number}", version="1", architecture="amd64", manager="deb") for number in range(40)
    )
    text = markdown(compare(BEFORE, replace(BEFORE, inventory=replace(BEFORE.inventory, packages=many))))
    assert "<details><summary><b>Packages</b>: 40 new, 1 gone</summary>\n\n| | |" in text
    assert text.count("<details>") == text.count("\n</details>") == 1


def test_markdown_of_no_difference_says_so() -> None:
    assert markdown(compare(BEFORE, BEFORE)).startswith("### node/x86_64: no changes\n")


def test_json_has_every_change_in_full() -> None:
    document = comparison_json(COMPARISON)
    assert document["different"] is True
    assert document["container_images"] == [
        {"name": "alpine:3.20", "change": "changed", "before": DIGESTS[0], "after": DIGESTS[1]}
    ]
    assert document["packages"] == [{"name": "curl", "change": "up", "before": "8.0-9", "after": "8.0-10"}]
    assert document["units"] == []
    assert document["cold_start"] == [{"name": "ready", "before": 20.0, "after": 25.0, "percent": 25.0}]
    assert document["disk_used_bytes"] == {"name": "disk used", "before": 2e9, "after": 2e9, "percent": 0.0}
    after = document["after"]
    assert isinstance(after, dict)
    assert (after["ami_id"], after["verdict"], after["not_listed"]) == ("ami-2", "rejected", [])


def test_more_than_two_builds_are_refused() -> None:
    result = CliRunner().invoke(cli, ["diff", "a", "b", "c"])
    assert result.exit_code == 2
    assert "one or two builds are compared, not 3" in result.output


def test_images_and_verified_amis_are_completed(tmp_path: Path) -> None:
    (tmp_path / "images/ami-lover").mkdir(parents=True)
    (tmp_path / "images/ami-lover/image.hcl").touch()
    for ami_id in ("ami-1", "ami-2"):
        (tmp_path / ".amifactory/reports" / ami_id).mkdir(parents=True)
    (tmp_path / "factory.hcl").touch()
    asked = CliRunner().invoke(
        cli,
        env={
            "_AMIFACTORY_COMPLETE": "bash_complete",
            "COMP_WORDS": f"amifactory -C {tmp_path} diff ami",
            "COMP_CWORD": "4",
        },
        prog_name="amifactory",
    )
    assert asked.output.split() == ["plain,ami-lover", "plain,ami-1", "plain,ami-2"]
