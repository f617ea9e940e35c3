"""Releases: numbered over all channels, never twice, written by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from amifactory.aws.state_documents import StaleDocumentError
from amifactory.domain.release import Release, ReleaseState
from amifactory.errors import UsageError
from amifactory.operations.channel_lock import LostLockError
from amifactory.operations.release_document import ReleaseDocument
from amifactory.operations.releases import Releases

RELEASE = Release(
    number=0,
    channel="staging",
    state=ReleaseState.IN_PROGRESS,
    source="newest",
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
    by="arn:aws:iam::123456789012:user/somebody",
    commit=None,
    fleets=(),
)


@pytest.fixture
def releases(documents: Any) -> Releases:
    return Releases(documents)


def test_they_are_numbered_over_all_channels(releases: Releases) -> None:
    first, _ = releases.create(RELEASE)
    second, _ = releases.create(replace(RELEASE, channel="production"))
    assert (first.number, second.number, releases.numbers()) == (1, 2, (1, 2))
    assert releases.get(2) == second
    assert releases.all() == (first, second)
    assert releases.all([2]) == (second,)
    with pytest.raises(UsageError, match="there is no release 3"):
        releases.get(3)


def test_numbers_stay_in_order_past_nine(releases: Releases) -> None:
    for _ in range(11):
        releases.create(RELEASE)
    assert releases.numbers() == tuple(range(1, 12))


def test_a_number_that_another_channel_takes_meanwhile_is_passed_over(
    releases: Releases, documents: Any
) -> None:
    class Overtaken(type(documents)):  # type: ignore[misc]
        """Lists the keys as they were before another channel's release."""

        def write(self, key: str, content: Any, *, etag: str | None) -> str:
            return str(documents.write(key, content, etag=etag))

    releases.create(replace(RELEASE, channel="production"))
    mine, _ = Releases(Overtaken()).create(RELEASE)
    assert mine.number == 2
    assert [release.channel for release in releases.all()] == ["production", "staging"]


def test_who_has_not_seen_the_last_version_does_not_write(releases: Releases) -> None:
    made, etag = releases.create(RELEASE)
    current = replace(made, state=ReleaseState.CURRENT)
    releases.write(current, etag)
    with pytest.raises(StaleDocumentError):
        releases.write(made, etag)
    assert releases.get(1) == current


def test_a_document_is_written_when_something_changed_only(releases: Releases, documents: Any) -> None:
    made, etag = releases.create(RELEASE)
    document = ReleaseDocument(releases, made, etag)
    document.update(lambda release: release)
    assert len(documents.writes) == 1
    document.update(lambda release: replace(release, failure="a"))
    document.update(lambda release: replace(release, state=ReleaseState.FAILED))
    assert releases.get(1) == document.release == replace(made, failure="a", state=ReleaseState.FAILED)


def test_a_document_that_somebody_else_wrote_means_a_lost_lock(releases: Releases) -> None:
    made, etag = releases.create(RELEASE)
    document = ReleaseDocument(releases, made, etag)
    releases.write(replace(made, failure="theirs"), etag)
    with pytest.raises(LostLockError):
        document.update(lambda release: replace(release, failure="ours"))
    assert releases.get(1).failure == "theirs"
