"""How much later an instance was ready because of its account, and when that is not the account's doing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.probes.measure.waiting import DOCKER, READY, SECRETS, waited_for_account

if TYPE_CHECKING:
    from tests.unit.probes.measure.conftest import MadeUp

HOOK = "mount-cache.service"
UP, DONE = "ActiveEnterTimestampMonotonic", "InactiveEnterTimestampMonotonic"
PASSED_OVER = "ConditionTimestampMonotonic"


def micro(seconds: float) -> int:
    return round(seconds * 1e6)


def listed(here: MadeUp, *waits: tuple[float, float] | None) -> None:
    """Lists a secret for each, which was in place after that wait."""
    names = [f"secret-{number}" for number in range(len(waits))]
    here.settings["/etc/amifactory/secrets.json"] = json.dumps([{"name": name} for name in names])
    for name, wait in zip(names, waits, strict=True):
        waited = {"since": wait[0], "until": wait[1]} if wait else None
        state = {"name": name, "version": "v1", "waited": waited}
        here.settings[f"/run/amifactory/secrets/{name}.json"] = json.dumps(state)


def install(here: MadeUp, name: str, properties: dict[str, Any]) -> None:
    hooks = here.settings.get("/etc/amifactory/hooks", "")
    here.settings["/etc/amifactory/hooks"] = f"{hooks}{name}\n"
    here.shown[name] = {"UnitFileState": "enabled", "After": "basic.target", **properties}


@pytest.fixture
def booted(here: MadeUp) -> MadeUp:
    """Returns an instance whose Docker was up after 12 s, and a secret waited for from 10 to 40 s."""
    listed(here, (10.0, 40.0))
    here.shown = {DOCKER: {UP: micro(12)}}
    install(here, SECRETS, {UP: micro(41)})
    install(here, READY, {UP: micro(42)})
    return here


def test_what_only_the_account_was_waited_for(booted: MadeUp) -> None:
    assert waited_for_account(booted) == 28.0
    found = booted.measured(secrets=["secret-0"])
    assert (found["waited_for_account"], found["ready_problem"]) == (28.0, None)


@pytest.mark.parametrize(
    ("waits", "seconds"),
    [
        ([], 0.0),
        ([None], 0.0),
        ([None, (20.0, 30.0)], 10.0),
        ([(20.0, 30.0), (20.0, 31.5)], 11.5),
        ([(20.0, 30.0), (25.0, 35.0), (22.0, 24.0)], 15.0),
        ([(20.0, 30.0), (50.0, 55.25)], 15.25),
        ([(1.0, 12.0)], 0.0),
        ([(1.0, 15.0), (2.0, 11.0)], 3.0),
    ],
)
def test_time_counts_once_and_only_after_all_else_was_up(
    booted: MadeUp, waits: list[tuple[float, float] | None], seconds: float
) -> None:
    listed(booted, *waits)
    assert waited_for_account(booted) == seconds


@pytest.mark.parametrize(
    ("hook", "seconds"),
    [
        ({UP: micro(25)}, 15.0),
        ({UP: 0, DONE: micro(30.5), PASSED_OVER: micro(8)}, 9.5),
        ({UP: micro(90)}, 0.0),
        ({PASSED_OVER: micro(11)}, 28.0),
        ({UP: micro(25), "UnitFileState": "disabled"}, 28.0),
        ({UP: micro(25), "UnitFileState": "static"}, 28.0),
        ({UP: micro(45), "After": f"basic.target {SECRETS}"}, 28.0),
        ({UP: micro(45), "After": f"{READY} basic.target"}, 28.0),
    ],
)
def test_a_hook_that_was_not_up_either_is_the_images(
    booted: MadeUp, hook: dict[str, Any], seconds: float
) -> None:
    """But for one that is not waited for, and one that waited for the secrets itself."""
    install(booted, HOOK, hook)
    assert waited_for_account(booted) == seconds


def test_an_instance_without_docker_waits_for_secrets_alone(booted: MadeUp) -> None:
    booted.shown[DOCKER] = {UP: 0}
    assert waited_for_account(booted) == 30.0


def test_a_secret_of_which_nothing_is_known_was_not_waited_for(here: MadeUp) -> None:
    here.settings["/etc/amifactory/secrets.json"] = '[{"name": "token"}]'
    assert waited_for_account(here) == 0.0
    assert here.said == []
