"""Why an instance is not ready, and whose fault that is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from amifactory.probes.measure.instance import Ended
from amifactory.probes.measure.readiness import READY_PROGRAM

if TYPE_CHECKING:
    from tests.unit.probes.measure.conftest import MadeUp


def test_settings_that_the_hooks_do_not_know_of_are_told(here: MadeUp) -> None:
    here.settings = {"/etc/amifactory/secrets.json": '[{"name": "known"}]'}
    assert here.measured(secrets=["known"])["ready_problem"] is None
    problem = here.measured(secrets=["known", "token"], drains=True)["ready_problem"]
    assert problem["of"] == "image"
    assert problem["why"].startswith('the instance knows nothing of secret "token", drain: ')


DRAIN, FETCH, REFRESH = "amifactory-drain.service", "amifactory-secrets.service", "amifactory-secrets.timer"


@pytest.mark.parametrize(
    ("states", "needs", "problem"),
    [
        ({DRAIN: "enabled"}, {"drains"}, None),
        ({DRAIN: "disabled"}, {"drains"}, f"{DRAIN} is disabled"),
        ({DRAIN: "masked"}, set(), None),
        ({}, {"drains"}, f"{DRAIN} is not there"),
        ({FETCH: "enabled", REFRESH: "enabled"}, {"boot_secrets"}, None),
        ({FETCH: "enabled", REFRESH: "disabled"}, {"boot_secrets"}, f"{REFRESH} is disabled"),
        (
            {FETCH: "masked", REFRESH: "static", DRAIN: "enabled"},
            {"boot_secrets", "drains"},
            f"{FETCH} is masked, {REFRESH} is static",
        ),
    ],
)
def test_units_that_settings_need_have_to_start_with_the_instance(
    here: MadeUp, states: dict[str, str], needs: set[str], problem: str | None
) -> None:
    here.settings, here.unit_files = {"/etc/amifactory/drain.json": "{}"}, states
    found = here.measured(boot_secrets="boot_secrets" in needs, drains="drains" in needs)["ready_problem"]
    assert (found and found["why"].partition(":")[0]) == problem
    assert found is None or found["of"] == "image"


def waiting(*reasons: tuple[str, str, str, bool]) -> Ended:
    listed = [dict(zip(("what", "why", "of", "final"), reason, strict=True)) for reason in reasons]
    return Ended(1, json.dumps({"ready": False, "at": None, "waiting": listed}), "")


DENIED, BROKEN = ("secret x", "denied", "account", True), ("Docker", "failed", "image", True)
FETCHING, STARTING = ("secret y", "is fetched", "account", False), ("Docker", "starts", "image", False)
NOT_INSTALLED = (
    f"{READY_PROGRAM} is not on the instance: shared/provision/install-hooks.sh puts it there, "
    "and build.pkr.hcl has to run that"
)
NOT_UNDERSTOOD = "and said nothing that is understood"


@pytest.mark.parametrize(
    ("said", "why", "whose"),
    [
        (Ended(127, "", ""), NOT_INSTALLED, "image"),
        (Ended(None, "", ""), f"{READY_PROGRAM} did not end by itself within 120 s", "image"),
        (Ended(1, "Trace", ""), f"{READY_PROGRAM} ended with exit status 1 {NOT_UNDERSTOOD}", "image"),
        (
            Ended(0, '{"ready": true, "at": null}', ""),
            f"{READY_PROGRAM} ended with exit status 0 {NOT_UNDERSTOOD}",
            "image",
        ),
        (waiting(DENIED), "secret x: denied", "account"),
        (waiting(DENIED, BROKEN), "secret x: denied; Docker: failed", "image"),
        (waiting(STARTING, DENIED), "secret x: denied", "account"),
        (waiting(FETCHING, BROKEN), "Docker: failed", "image"),
        (waiting(FETCHING, STARTING), "secret y: is fetched; Docker: starts", "image"),
        (waiting(FETCHING), "secret y: is fetched", "account"),
        (waiting(), "it does not say for what it waits", "image"),
    ],
)
def test_why_it_is_not_ready_and_whose_fault_that_is(here: MadeUp, said: Ended, why: str, whose: str) -> None:
    here.ready = said
    found = here.measured()
    assert found["ready_at"] is None
    assert found["ready_problem"] == {"why": why, "of": whose}
