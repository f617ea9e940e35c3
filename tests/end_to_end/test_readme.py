"""The README's commands do what it says, in the order in which it says them, with the images it ships."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amifactory.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
IMAGES = {"base-docker", "infra-tools", "java", "node"}
WORKERS = {"docker", "infra-tools", "java", "node"}
"""The fleets of the channel ``production``."""


def commands(chapter: str) -> list[list[str]]:
    """Returns the amifactory commands in a chapter's shell blocks, without their comments."""
    text = README.partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line[1:] for line in lines if line[:1] == ["amifactory"]]


def demo_steps() -> list[list[str]]:
    """Returns the amifactory commands with which ``make demo`` uses the factory as it is."""
    lines = re.findall(r"^factory (.+?)(?: \|\| .*)?$", (ROOT / ".ci/demo").read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.fixture
def checkout(tmp_path: Path, make_cli: Any) -> Iterator[Path]:
    root = tmp_path / "checkout"
    root.mkdir()
    shutil.copy(ROOT / "factory.hcl", root)
    for folder in ("images", "hooks"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    yield root
    make_cli(root=root, sandbox=False).run("sandbox", "down").expect(0)


def left_of(sandbox: dict[str, Any]) -> list[str]:
    """Returns what there is of a sandbox: processes, Docker's objects, firewall rules, its state."""
    label = ["--filter", f"label=amifactory.sandbox={sandbox['id']}", "--quiet"]
    queries = (["ps", "--all"], ["network", "ls"], ["volume", "ls"], ["image", "ls"])
    found = [line for query in queries for line in output("docker", *query, *label)]
    rules = [line for line in output("iptables-save") if sandbox["id"] in line or sandbox["network"] in line]
    command = Path(f"/proc/{sandbox['pid']}/cmdline")  # empty once it ended, until its parent has noticed
    process = [command.read_text()] if command.exists() else []
    return [*found, *rules, *filter(None, process)]


def output(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_chapter_to_try_it(checkout: Path, make_cli: Any) -> None:
    cli = make_cli(root=checkout, sandbox=False)
    recipe = (ROOT / "Makefile").read_text().partition("\ndemo:")[2].partition("\n\n")[0]
    assert "\n\t@.ci/demo" in recipe
    build, to_staging, to_production, *_, take_back = (
        step for step in demo_steps() if step[0] in {"build", "promote", "rollback"}
    )
    first = cli.run("--sandbox", *build, "--json").expect(0)
    assert set(first.builds) == IMAGES
    assert {build["action"] for build in first.builds.values()} == {"built"}
    base = first.builds["base-docker"]["ami_id"]
    assert {build["parent"] for name, build in first.builds.items() if name != "base-docker"} == {base}

    assert to_staging[:3] == ["promote", "--channel", "staging"]
    assert to_production[:3] == ["promote", "--channel", "production"]
    for step in (to_staging, to_production):
        cli.run("--sandbox", *step).expect(0)

    ends = {tuple(command): cli.run(*command).expect(0) for command in commands("Try it")}
    assert "Nothing to do." in ends["--sandbox", "plan"].stdout
    assert ends["--sandbox", "build"].stdout.count("reused") == len(IMAGES)
    assert ends["--sandbox", "images"].stdout.count("verified") == len(IMAGES)
    assert "verified" in ends["--sandbox", "verify", "node"].stdout
    assert "4 images are valid" in ends["validate",].stdout
    assert "http://127.0.0.1:" in ends["sandbox", "status"].stdout
    shown = [line.split() for line in ends["--sandbox", "status"].stdout.splitlines()]
    assert {line[0] for line in shown if line[1:3] == ["production", "2"]} == WORKERS
    assert ends["--sandbox", "releases"].stdout.count("current") == len(("staging", "production"))

    assert take_back[:3] == ["rollback", "--channel", "staging"]
    cli.run("--sandbox", *take_back).expect(0)
    channels = cli.run("--sandbox", "status", "--json").expect(0).json["channels"]
    assert [channel["release"] for channel in channels] == [None, 2]

    script = checkout / "images/node/provision/install-node.sh"
    script.write_text(script.read_text() + "\n# changed\n")
    steps = cli.run("--sandbox", "plan", "--json").expect(0).steps
    assert [name for name, step in steps.items() if step["action"] != "reuse"] == ["node"]
    assert steps["node"]["reasons"] == ["recipe changed: provision/install-node.sh"]

    sandbox = cli.run("sandbox", "status", "--json").expect(0).json["state"]
    assert left_of(sandbox)
    cli.run("sandbox", "down").expect(0)
    assert left_of(sandbox) == []


def test_the_chapter_with_an_account(tmp_path: Path, make_cli: Any) -> None:
    (tmp_path / "factory.hcl").write_text("")  # -C must find the new factory, not this one
    cli = make_cli(root=tmp_path, sandbox=False)
    init, validate, doctor, build = commands("With an AWS account")
    cli.run(*init).expect(0)
    cli.run("-C", "ci-images", *validate[2:]).expect(0)
    nobody = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    seen = cli.run("-C", "ci-images", *doctor[2:], **nobody).expect(ExitCode.AWS_REFUSED)
    assert "no AWS credentials" in seen.stdout
    refused = cli.run("-C", "ci-images", *build[2:], **nobody).expect(ExitCode.AWS_REFUSED)
    assert "no AWS credentials" in refused.stderr


def test_the_table_of_exit_codes_is_complete() -> None:
    table = README.partition("| exit code |")[2].partition("\n\n")[0]
    listed = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(",")
    }
    assert listed == {code.value for code in ExitCode}


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
