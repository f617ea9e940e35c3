"""One channel after the other, forward and back: every kind of group ends where its release says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.release import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {
    "pinned": "workers = 2",
    "default": 'version = "$Default"\nworkers = 1',
    "attributes": "attributes = true\nworkers = 1",
    "parameter": 'version = "parameter"\nworkers = 1',
    "empty": "",
}


def fleet(name: str, sandbox: str, *, channel: str = "staging", rollout: str = "refresh") -> str:
    return f"""
fleet "{name}" {{
  image   = "node"
  group   = "ci-{name}"
  channel = "{channel}"
  rollout = "{rollout}"
  sandbox {{
    {sandbox}
  }}
}}
"""


@pytest.fixture
def staging(account: Any, groups: Callable[[], None]) -> Any:
    account.image("node")
    account.configure('channel "staging" {}\n' + "".join(fleet(*kind) for kind in KINDS.items()))
    groups()
    return account


def amis(account: Any) -> dict[str, tuple[str, int, int]]:
    return {row.fleet.name: (row.ami_id, row.current, row.old) for row in account.status().fleets}


def test_promote_twice_and_roll_back(staging: Any) -> None:
    first = staging.build("node")
    release = staging.promote("staging")
    assert (release.number, release.state) == (1, ReleaseState.CURRENT)
    staging.settle()
    workers = {"pinned": 2, "default": 1, "attributes": 1, "parameter": 1, "empty": 0}
    assert amis(staging) == {name: (first, number, 0) for name, number in workers.items()}

    second = staging.build("node")
    assert staging.promote("staging").number == 2
    staging.settle()
    assert amis(staging) == {name: (second, number, 0) for name, number in workers.items()}

    back = staging.roll_back("staging")
    staging.settle()
    assert back.number == 1
    assert amis(staging) == {name: (first, number, 0) for name, number in workers.items()}
    assert staging.workshop().releases.get(2).state is ReleaseState.ROLLED_BACK
    assert not any(row.drift for row in staging.status().fleets)
    assert staging.warnings == []
