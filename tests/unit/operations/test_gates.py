"""What is judged of an examination, and how it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from amifactory.domain.cold_start import Budget, ColdStart, EarlierStart
from amifactory.domain.inventory import Inventory, OperatingSystem
from amifactory.domain.model import AmiId
from amifactory.operations.examination import Examination, NotBooted, Start
from amifactory.operations.gates import judge_examination
from amifactory.spec.result import SpecResult

GATES = ["boot", "ready", "prepull", "spec", "leaks", "cold-start"]
COLD_START = ColdStart(ssh=5.0, docker=6.0, ready=7.0, first_run={"alpine:3.20": 1.5})
FINE = Start(cold_start=COLD_START, not_ready=None, prepull_problems={}, cut_off=(), disk_used=None)
CLEAN: dict[str, list[Any]] = {"findings": [], "allowed": [], "unread": []}

INVENTORY = Inventory(os=OperatingSystem(id="debian", version="12", name="Debian 12"), kernel="6.1")


def start(**changes: Any) -> Start:
    return Start(**{**vars(FINE), **changes})


def judged(
    budget: Budget | None = None,
    previous: EarlierStart | None = None,
    median: ColdStart = COLD_START,
    **changes: Any,
) -> dict[str, str | None]:
    """Returns the gates of an examination that is fine but for some changes, with their problems."""
    fine = {"starts": (FINE,), "spec": SpecResult(passed=3), "leaks": CLEAN, "inventory": INVENTORY}
    found = Examination(**{**fine, **changes})
    gates = judge_examination(found, budget=budget or Budget(), median=median, previous=previous)
    return {gate.name: gate.problem for gate in gates}


def test_all_gates_pass() -> None:
    assert judged() == dict.fromkeys(GATES)


def test_nothing_else_is_judged_of_what_did_not_boot() -> None:
    (gate,) = judge_examination(NotBooted(problem="no answer"), budget=Budget(), median=None, previous=None)
    assert (gate.name, gate.problem) == ("boot", "no answer")


@pytest.mark.parametrize(
    ("changes", "gate", "problem"),
    [
        ({"starts": (start(not_ready="docker: down"),)}, "ready", "it is not ready for jobs: docker: down"),
        (
            {"starts": (FINE, start(not_ready="docker: down"))},
            "ready",
            "instance 2 is not ready for jobs: docker: down",
        ),
        (
            {"starts": (start(prepull_problems={"b:1": "is gone", "a:1": "does not run"}),)},
            "prepull",
            "a:1: does not run; b:1: is gone",
        ),
        ({"spec": SpecResult(failed=1, problem="1 of 1 tests failed: x")}, "spec", "1 of 1 tests failed: x"),
        (
            {"leaks": {**CLEAN, "findings": [{"kind": "private-key", "file": "/root/key"}]}},
            "leaks",
            "private-key in /root/key",
        ),
        (
            {"leaks": {**CLEAN, "unread": ["token: /etc/token cannot be read"]}},
            "leaks",
            "a secret could not be looked for: token: /etc/token cannot be read",
        ),
    ],
)
def test_one_gate_fails_and_says_why(changes: dict[str, Any], gate: str, problem: str) -> None:
    assert judged(**changes) == {**dict.fromkeys(GATES), gate: problem}


def test_many_findings_are_counted() -> None:
    findings = [{"kind": "log", "file": f"/var/log/{number}"} for number in range(7)]
    problem = judged(leaks={**CLEAN, "findings": findings})["leaks"]
    assert problem is not None
    assert problem.startswith("log in /var/log/0; ")
    assert problem.endswith("; log in /var/log/4; and 2 more")


def test_a_start_over_the_limit_and_over_the_build_before() -> None:
    before = ColdStart(ssh=2.0, docker=3.0, ready=4.0, first_run={})
    previous = EarlierStart(ami_id=AmiId("ami-before"), cold_start=before)
    problem = judged(Budget(ready_within=6.0, regression=0.5), previous)["cold-start"]
    assert problem is not None
    assert "ready after 7.0 s, limit 6 s" in problem
    assert "ami-before" in problem


def test_waiting_for_the_account_rejects_nothing_however_long() -> None:
    waited = replace(COLD_START, ready=307.0, waited_for_account=300.0)
    assert judged(Budget(ready_within=7.0), median=waited) == dict.fromkeys(GATES)
    previous = EarlierStart(ami_id=AmiId("ami-before"), cold_start=COLD_START)
    assert judged(Budget(regression=0.05), previous, median=waited) == dict.fromkeys(GATES)
