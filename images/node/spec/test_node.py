"""Node.js and its package managers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

    from amifactory.spec.plugin import Facts

INSTALL_LOCAL_PACKAGE = """
set -e
work=$(mktemp -d)
mkdir $work/local
cd $work
echo '{"name": "local", "version": "1.0.0"}' > local/package.json
echo '{"dependencies": {"local": "file:local"}}' > package.json
npm install --offline --no-audit --no-fund
test -e node_modules/local/package.json
rm -r $work
"""


def test_node_is_the_pinned_version(host: Host, facts: Facts) -> None:
    """Offline it is the distribution's, whichever that is."""
    version = host.check_output("node --version")
    assert version.startswith("v") if facts.offline else version == f"v{facts.tools['node']}"


def test_node_runs_a_program(host: Host) -> None:
    assert host.check_output("node --print '6 * 7'") == "42"


def test_npm_installs_a_package(host: Host) -> None:
    with host.sudo("gitlab-runner"):
        host.check_output(INSTALL_LOCAL_PACKAGE)


@pytest.mark.needs_tool("pnpm")
def test_pnpm_is_the_pinned_version(host: Host, facts: Facts) -> None:
    assert host.check_output("sudo --login --user gitlab-runner pnpm --version") == _version(facts, "pnpm")


@pytest.mark.needs_tool("yarn")
def test_yarn_is_the_pinned_version(host: Host, facts: Facts) -> None:
    assert host.check_output("sudo --login --user gitlab-runner yarn --version") == _version(facts, "yarn")


def _version(facts: Facts, tool: str) -> str:
    """A pinned version without the checksum after it."""
    return facts.tools[tool].partition("+")[0]
