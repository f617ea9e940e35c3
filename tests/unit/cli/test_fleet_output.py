"""Plans, releases and states as a person reads them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from amifactory.cli.fleet_output import print_promotion, print_release, shown_state
from amifactory.cli.fleet_progress import FleetLines
from amifactory.domain.fleet import Pointer, TemplateId
from amifactory.domain.model import AmiId, Architecture
from amifactory.domain.promotion import FleetPlan, Promotion, Replacement
from amifactory.domain.refusals import Reason, Refusal
from amifactory.domain.release import (
    ChangeKind,
    FleetRecord,
    Placement,
    Release,
    ReleaseState,
    Rollout,
    Start,
)

PLACEMENT = Placement(
    architecture=Architecture.X86_64,
    template_id=TemplateId("lt-1"),
    template_name="node",
    pointer=Pointer.NUMBER,
    before=Start(ami_id=AmiId("ami-1"), version=4),
    after=Start(ami_id=AmiId("ami-2"), version=None),
)
RECORD = FleetRecord(
    fleet="node",
    image="node",
    group="ci-node",
    rollout=Rollout.REFRESH,
    canary=False,
    placements=(PLACEMENT,),
)
PLAN = FleetPlan(record=RECORD, replacement=Replacement.DESIRED, current=1, old=2, protected=1, seconds=240.0)
RELEASE = Release(
    number=7,
    channel="staging",
    state=ReleaseState.CURRENT,
    source="newest",
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
    by="arn:aws:iam::123456789012:user/somebody",
    commit=None,
    fleets=(RECORD,),
)


def promotion(plan: FleetPlan, *refusals: Refusal) -> Promotion:
    return Promotion(
        kind=ChangeKind.PROMOTE,
        channel="staging",
        source="newest",
        release=6,
        fleets=(plan,),
        untouched=("java",),
        refusals=refusals,
    )


def shown(capsys: pytest.CaptureFixture[str], plan: FleetPlan, *refusals: Refusal) -> str:
    print_promotion(promotion(plan, *refusals), err=False)
    return capsys.readouterr().out


def test_a_plan_says_what_moves_where_and_whom(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, PLAN)
    assert text.startswith("promote of channel staging: newest\n")
    for words in ("ami-1", "ami-2", "4 -> new", "2 of 3 (1 protected)", PLAN.replacement.value, "240 s"):
        assert words in text
    assert "stays as it is, as that release has not got it, or its group is gone: java" in text


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        (replace(PLACEMENT, pointer=Pointer.DEFAULT), "$Default 4 -> new"),
        (replace(PLACEMENT, parameter="/ci/node"), "by /ci/node"),
        (replace(PLACEMENT, after=PLACEMENT.before), "unchanged"),
    ],
)
def test_how_a_version_changes(capsys: pytest.CaptureFixture[str], placement: Placement, words: str) -> None:
    plan = replace(PLAN, record=replace(RECORD, placements=(placement,)), seconds=None)
    text = shown(capsys, plan)
    assert words in text
    assert "unknown" in text


def test_reasons_against_it_come_last_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = Refusal(reason=Reason.SOAK, message="release 6 has not soaked", hint="Wait.")
    text = shown(capsys, replace(PLAN, record=replace(RECORD, placements=())), refusal)
    assert text.endswith("\nRefused: release 6 has not soaked\n  Wait.\n")


@pytest.mark.parametrize(
    ("state", "current", "words"),
    [
        (ReleaseState.CURRENT, 7, "current"),
        (ReleaseState.CURRENT, 8, "superseded"),
        (ReleaseState.CURRENT, None, "superseded"),
        (ReleaseState.FAILED, 7, "failed"),
        (ReleaseState.ROLLED_BACK, 6, "rolled back"),
    ],
)
def test_the_state_of_a_release(state: ReleaseState, current: int | None, words: str) -> None:
    assert shown_state(replace(RELEASE, state=state), {"staging": current}) == words


def test_a_release_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(RELEASE, state=ReleaseState.FAILED, failure="fleet node: an alarm", commit="abc-dirty")
    print_release(failed, "failed")
    lines = capsys.readouterr().out.splitlines()
    assert "release:   7" in lines
    assert "made:      2026-11-01 00:00:00 UTC by arn:aws:iam::123456789012:user/somebody" in lines
    assert "commit:    abc-dirty" in lines
    assert "failure:   fleet node: an alarm" in lines
    assert not any(line.startswith("closed:") for line in lines)


def test_progress_tells_each_step_once() -> None:
    said: list[str] = []
    with FleetLines(said.append, lambda: 0.0) as progress:
        for what in ("instance refresh, 0 %", "instance refresh, 0 %", "instance refresh, 50 %"):
            progress.step("node", what)
        progress.step("java", "instance refresh, 0 %")
        progress.finished("node", "done")
    assert [line.partition("] ")[2] for line in said] == [
        "node: instance refresh, 0 %",
        "node: instance refresh, 50 %",
        "java: instance refresh, 0 %",
        "node: done",
    ]
