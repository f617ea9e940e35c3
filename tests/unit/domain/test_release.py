"""Releases and channels come back from their documents as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as some

from amifactory.domain.fleet import Pointer, TemplateId
from amifactory.domain.model import AmiId, Architecture
from amifactory.domain.release import (
    Change,
    ChangeKind,
    ChannelState,
    FleetRecord,
    Lock,
    Placement,
    Release,
    ReleaseState,
    Rollout,
    Start,
    Step,
    Unlocked,
)

words = some.text(max_size=8)
dates = some.datetimes(timezones=some.just(UTC))
amis = words.map(AmiId)
numbers = some.integers(min_value=1, max_value=99)
seconds = some.none() | some.floats(min_value=0, max_value=1e6)
starts = some.builds(Start, ami_id=amis, version=some.none() | numbers)
placements = some.builds(
    Placement,
    architecture=some.sampled_from(Architecture),
    template_id=words.map(TemplateId),
    template_name=words,
    pointer=some.sampled_from(Pointer),
    before=starts,
    after=starts,
    parameter=some.none() | words,
    instance_type=some.none() | words,
)
records = some.builds(
    FleetRecord,
    fleet=words,
    image=words,
    group=words,
    rollout=some.sampled_from(Rollout),
    canary=some.booleans(),
    placements=some.lists(placements, max_size=2).map(tuple),
    last_refresh=some.none() | words,
    step=some.sampled_from(Step),
    workers=numbers,
    seconds=seconds,
    boot_seconds=seconds,
)
releases = some.builds(
    Release,
    number=numbers,
    channel=words,
    state=some.sampled_from(ReleaseState),
    source=words,
    created_at=dates,
    by=words,
    commit=some.none() | words,
    fleets=some.lists(records, max_size=2).map(tuple),
    previous=some.none() | numbers,
    closed_at=some.none() | dates,
    failure=some.none() | words,
    parameters=some.dictionaries(words, some.none() | words, max_size=2),
)
channels = some.builds(
    ChannelState,
    name=words,
    release=some.none() | numbers,
    since=some.none() | dates,
    change=some.none()
    | some.builds(
        Change,
        kind=some.sampled_from(ChangeKind),
        release=numbers,
        started_at=dates,
        by=words,
        to=some.none() | numbers,
    ),
    lock=some.none() | some.builds(Lock, owner=words, acquired_at=dates, expires_at=dates),
    fence=some.integers(min_value=0, max_value=99),
    unlocked=some.lists(some.builds(Unlocked, at=dates, by=words, owner=words, reason=words), max_size=2).map(
        tuple
    ),
)


@given(releases)
def test_a_release_comes_back_from_its_document(release: Release) -> None:
    assert Release.from_json(json.loads(json.dumps(release.as_json()))) == release


@given(channels)
def test_a_channel_comes_back_from_its_document(state: ChannelState) -> None:
    assert ChannelState.from_json(json.loads(json.dumps(state.as_json()))) == state


PLACEMENT = Placement(
    architecture=Architecture.ARM64,
    template_id=TemplateId("lt-1"),
    template_name="node",
    pointer=Pointer.NUMBER,
    before=Start(ami_id=AmiId("ami-1"), version=1),
    after=Start(ami_id=AmiId("ami-2"), version=2),
)
RECORD = FleetRecord(
    fleet="node",
    image="node",
    group="ci-node",
    rollout=Rollout.PASSIVE,
    canary=False,
    placements=(PLACEMENT,),
)
RELEASE = Release(
    number=1,
    channel="staging",
    state=ReleaseState.CURRENT,
    source="newest",
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
    by="arn:aws:iam::123456789012:user/somebody",
    commit=None,
    fleets=(RECORD, replace(RECORD, fleet="java", image="java")),
)


def test_the_document_holds_words_and_numbers_only() -> None:
    kept = RELEASE.as_json()
    assert kept["state"] == "current"
    assert kept["created_at"] == "2026-11-01T00:00:00+00:00"
    placement = kept["fleets"][0]["placements"][0]
    assert placement["pointer"] == "pinned"
    assert placement["after"] == {"ami_id": "ami-2", "version": 2}


def test_a_fleets_record_is_replaced_and_the_others_stay() -> None:
    done = replace(RECORD, step=Step.DONE)
    changed = RELEASE.with_fleet(done)
    assert changed.fleet("node") == done
    assert changed.fleet("java") == RELEASE.fleet("java")
    assert changed.fleet("absent") is None


def test_the_amis_of_a_release_by_image_and_architecture() -> None:
    assert RELEASE.amis() == {
        ("node", Architecture.ARM64): "ami-2",
        ("java", Architecture.ARM64): "ami-2",
    }
