"""pytest plugin for specs: what amifactory knows of the build, and skipping what a build left out.

::

    def test_node_is_the_pinned_version(host, facts):
        assert host.check_output("node --version") == f"v{facts.tools['node']}"

    @pytest.mark.needs_tool("helm")
    def test_helm_answers(host): ...

A run stops at the first test that fails because the connection to the instance broke, and says so in the file
that ``AMIFACTORY_CONNECTION_LOST`` names: that test says nothing of the build.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testinfra.backend import BACKENDS

from amifactory.spec.backend import SpecConnectionError, SpecSshBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

LEFT_OUT = "/etc/amifactory/left-out"
"""On the instance: a line ``<tool>: <why>`` for each tool the build went without."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the build was made to be; for its ancestors' tools and images too.

    Attributes:
        offline: Built from distribution packages only.
        tools: Tool to pinned version.
        prepull: Container reference to digest.
        left_out: Tool to the reason why it is not there.
    """

    image: str
    architecture: str
    offline: bool
    tools: Mapping[str, str]
    prepull: Mapping[str, str]
    left_out: Mapping[str, str]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known, and has testinfra use our SSH."""
    BACKENDS["ssh"] = f"{SpecSshBackend.__module__}.{SpecSshBackend.__name__}"
    config.addinivalue_line(
        "markers", "needs_tool(name): skipped where the build left the tool out, and said so"
    )


def pytest_exception_interact(node: pytest.Item | pytest.Collector, call: pytest.CallInfo[object]) -> None:
    """Notes that a test failed, or a file could not be collected, for a broken connection."""
    cause = call.excinfo.value if call.excinfo else None
    while cause is not None and not isinstance(cause, SpecConnectionError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        if file := os.environ.get("AMIFACTORY_CONNECTION_LOST"):
            Path(file).write_text(f"{cause}\n", "utf-8")
        node.session.shouldfail = str(cause)


@pytest.fixture(scope="session")
def facts(request: pytest.FixtureRequest) -> Facts:
    """What amifactory knows of the build under test."""
    file = os.environ.get("AMIFACTORY_FACTS")
    if file is None:
        raise pytest.UsageError("AMIFACTORY_FACTS is not set; run specs with: amifactory verify IMAGE")
    known = json.loads(Path(file).read_text("utf-8"))
    if "left_out" not in known:
        known["left_out"] = _left_out(request.config)
    return Facts(**{name: known[name] for name in Facts.__dataclass_fields__})


@pytest.fixture(autouse=True)
def _skip_left_out(request: pytest.FixtureRequest) -> None:
    for marker in request.node.iter_markers("needs_tool"):
        build: Facts = request.getfixturevalue("facts")
        for tool in marker.args:
            if tool in build.left_out:
                pytest.skip(f"{tool} was left out: {build.left_out[tool]}")


def parse_left_out(text: str) -> dict[str, str]:
    """Returns the tools and reasons in the text of `LEFT_OUT`."""
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return {tool.strip(): why.strip() for tool, _, why in pairs}


def _left_out(config: Any) -> dict[str, str]:
    import testinfra  # noqa: PLC0415 - only where a spec asks

    host = testinfra.get_host(config.option.hosts, ssh_config=config.option.ssh_config)
    found = host.run("cat %s", LEFT_OUT)
    return parse_left_out(found.stdout) if found.rc == 0 else {}
