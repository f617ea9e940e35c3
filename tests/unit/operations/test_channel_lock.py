"""A channel's lock: a lease that is renewed and taken over, and a fence for who wakes late."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amifactory.domain.release import Change, ChangeKind
from amifactory.errors import RefusedError
from amifactory.operations.channel_lock import LEASE, LOOK, Channels, LostLockError

KEY = "channels/staging.json"


@dataclass
class Clock:
    """Time that passes when it is told to."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def wait(self, time: timedelta) -> None:
        """Passes time."""
        self.at += time


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def channels(documents: Any, now: Clock) -> Channels:
    return Channels(documents, now=now)


def test_a_channel_that_was_never_promoted_to(channels: Channels) -> None:
    state = channels.state("staging")
    assert (state.name, state.release, state.lock, state.fence) == ("staging", None, None, 0)


def test_the_second_owner_is_told_who_holds_it_and_for_how_long(channels: Channels, now: Clock) -> None:
    lock = channels.lock("staging", "first@host (process 1)")
    now.wait(timedelta(seconds=20))
    with pytest.raises(
        RefusedError, match=r"channel staging is being changed by first@host \(process 1\)"
    ) as caught:
        channels.lock("staging", "second")
    assert "its lock runs out in 280 s" in str(caught.value.hint)
    assert 'amifactory unlock staging --reason "…"' in str(caught.value.hint)
    channels.lock("production", "second")

    lock.release()
    assert channels.state("staging").lock is None
    assert channels.lock("staging", "second").state.fence == 2


def test_a_lease_that_ran_out_is_taken_over_with_a_higher_fence(channels: Channels, now: Clock) -> None:
    dead = channels.lock("staging", "dead")
    change = Change(kind=ChangeKind.PROMOTE, release=3, started_at=now(), by="somebody")
    dead.write(replace(dead.state, change=change))
    now.wait(LEASE - timedelta(seconds=1))
    with pytest.raises(RefusedError):
        channels.lock("staging", "next")
    now.wait(timedelta(seconds=1))
    taken = channels.lock("staging", "next")
    assert taken.state.fence == dead.state.fence + 1
    assert taken.state.change == change  # what the dead one had begun stays on record


def test_who_wakes_after_that_can_change_nothing_more(channels: Channels, now: Clock, documents: Any) -> None:
    woken = channels.lock("staging", "paused")
    now.wait(LEASE)
    taken = channels.lock("staging", "next")
    written = list(documents.writes)
    with pytest.raises(LostLockError, match="the lock was taken away from this run"):
        woken.check()
    for late in (woken.check, woken.release, lambda: woken.write(replace(woken.state, release=9))):
        with pytest.raises(LostLockError):
            late()
    assert documents.writes == written
    taken.check()
    assert channels.state("staging").release is None


def test_a_lock_is_renewed_once_a_third_of_its_lease_is_over(
    channels: Channels, now: Clock, documents: Any
) -> None:
    lock = channels.lock("staging", "first")
    now.wait(LEASE / 3)
    lock.check()
    assert len(documents.writes) == 1
    now.wait(timedelta(seconds=1))
    lock.check()
    assert len(documents.writes) == 2
    kept = channels.state("staging").lock
    assert kept is not None
    assert kept.expires_at == now() + LEASE

    for _ in range(20):  # checked often enough, it outlives any number of leases
        now.wait(LEASE / 2)
        lock.check()
    with pytest.raises(RefusedError):
        channels.lock("staging", "second")


def test_a_lock_that_a_person_takes_away_is_lost_at_the_next_look(
    channels: Channels, now: Clock, documents: Any
) -> None:
    lock = channels.lock("staging", "first")
    taken = channels.unlock("staging", by="arn:aws:iam::123456789012:user/somebody", reason="it hangs")
    assert taken is not None
    assert taken.owner == "first"
    now.wait(LOOK)
    with pytest.raises(LostLockError):
        lock.check()
    state = channels.state("staging")
    assert state.lock is None
    (entry,) = state.unlocked
    assert (entry.owner, entry.by, entry.reason, entry.at) == (
        "first",
        "arn:aws:iam::123456789012:user/somebody",
        "it hangs",
        now() - LOOK,
    )
    assert channels.unlock("staging", by="somebody", reason="again") is None
    assert len(documents.writes) == 2


def test_who_is_overtaken_between_reading_and_writing_is_refused(now: Clock, documents: Any) -> None:
    """S3 keeps the first of two writes that have seen the same version."""
    winner = Channels(documents, now=now)

    class Overtaken(type(documents)):  # type: ignore[misc]
        """Lets the other one go first, once."""

        def write(self, key: str, content: Any, *, etag: str | None) -> str:
            if not documents.writes:
                winner.lock("staging", "winner")
            return str(documents.write(key, content, etag=etag))

        def read(self, key: str) -> Any:
            return documents.read(key)

    with pytest.raises(RefusedError, match="channel staging is being changed by winner"):
        Channels(Overtaken(), now=now).lock("staging", "loser")
    assert documents.writes == [KEY]
