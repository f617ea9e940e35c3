"""One change of a channel at a time: a lease on the channel's own document, with a fencing number."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from amifactory.aws.state_documents import StaleDocumentError
from amifactory.domain.release import ChannelState, Lock, Unlocked
from amifactory.errors import HalfDoneError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from amifactory.aws.state_documents import StateDocuments

LEASE = timedelta(minutes=5)
"""How long a lock outlives its owner's last sign of life: longer than a call that AWS throttles."""
LOOK = timedelta(seconds=1)
"""How long a look at the lock is good for: whose lock a person takes away goes on for no longer than that."""


class LostLockError(HalfDoneError):
    """The lock is somebody else's by now: nothing more may be changed."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A channel's document and the version it was read or written at."""

    state: ChannelState
    etag: str | None


class Channels:
    """The documents of all channels.

    Args:
        documents: The state bucket's.
        now: The time, UTC.
        lease: How long a lock lasts without renewal.
    """

    def __init__(
        self, documents: StateDocuments, *, now: Callable[[], datetime], lease: timedelta = LEASE
    ) -> None:
        self._documents = documents
        self._now = now
        self._lease = lease

    def state(self, name: str) -> ChannelState:
        """Returns what a channel is at; one that was never promoted to has no release.

        Raises:
            AwsError: The call was refused.
        """
        return self.read(name).state

    def read(self, name: str) -> Held:
        """Returns a channel's document with its version.

        Raises:
            AwsError: The call was refused.
        """
        found = self._documents.read(_key(name))
        if found is None:
            return Held(state=ChannelState(name=name), etag=None)
        return Held(state=ChannelState.from_json(found.content), etag=found.etag)

    def lock(self, name: str, owner: str) -> ChannelLock:
        """Takes a channel's lock, also from an owner whose lease has run out.

        Raises:
            RefusedError: Somebody holds it.
            AwsError: A call was refused.
        """
        held = self.read(name)
        now = self._now()
        if held.state.lock is not None and held.state.lock.expires_at > now:
            raise locked(held.state, now)
        taken = replace(
            held.state,
            lock=Lock(owner=owner, acquired_at=now, expires_at=now + self._lease),
            fence=held.state.fence + 1,
        )
        try:
            etag = self._documents.write(_key(name), taken.as_json(), etag=held.etag)
        except StaleDocumentError:
            found = self.read(name).state
            if found.lock is None:  # taken and given back meanwhile
                return self.lock(name, owner)
            raise locked(found, now) from None
        return ChannelLock(self._documents, Held(state=taken, etag=etag), now=self._now, lease=self._lease)

    def unlock(self, name: str, *, by: str, reason: str) -> Lock | None:
        """Takes a lock away from its owner, who is stopped by it; returns it, None when there was none.

        Raises:
            StaleDocumentError: The owner renewed it at this moment.
            AwsError: A call was refused.
        """
        held = self.read(name)
        lock = held.state.lock
        if lock is None:
            return None
        entry = Unlocked(at=self._now(), by=by, owner=lock.owner, reason=reason)
        freed = replace(
            held.state, lock=None, fence=held.state.fence + 1, unlocked=(*held.state.unlocked, entry)
        )
        self._documents.write(_key(name), freed.as_json(), etag=held.etag)
        return lock


class ChannelLock:
    """A lock that is held; safe from several threads. Every write of the channel goes through it."""

    def __init__(
        self,
        documents: StateDocuments,
        held: Held,
        *,
        now: Callable[[], datetime],
        lease: timedelta,
    ) -> None:
        self._documents = documents
        self._held = held
        self._now = now
        self._lease = lease
        self._mutex = threading.RLock()
        self._lost = False
        self._seen = now()

    @property
    def state(self) -> ChannelState:
        """Returns the channel as we last wrote it."""
        return self._held.state

    def check(self) -> None:
        """Raises unless the lock is ours for a good while yet; renews it when a third of the lease is over.

        To be called before every change of AWS, and while waiting. Makes a call a second at most, as a
        hundred fleets ask at once.

        Raises:
            LostLockError: Somebody else holds it, or took it away.
            AwsError: It could not be read or renewed.
        """
        with self._mutex:
            self._refuse_if_lost()
            lock, now = self.state.lock, self._now()
            if lock is not None and lock.expires_at - now < self._lease * 2 / 3:
                self.write(replace(self.state, lock=self._renewed(lock)))
            elif now - self._seen >= LOOK:
                self._look(now)

    def write(self, state: ChannelState) -> None:
        """Writes the channel's document.

        Raises:
            LostLockError: The lock is not ours any more.
            AwsError: The call was refused.
        """
        with self._mutex:
            self._refuse_if_lost()
            try:
                etag = self._documents.write(_key(state.name), state.as_json(), etag=self._held.etag)
            except StaleDocumentError as error:
                self._lost = True
                raise lost_lock(self.state.name) from error
            self._held = Held(state=state, etag=etag)
            self._seen = self._now()

    def release(self) -> None:
        """Gives the lock back; a change that is not finished stays on record.

        Raises:
            LostLockError: It is not ours any more.
            AwsError: The call was refused; then the lease runs out by itself.
        """
        self.write(replace(self.state, lock=None))

    def _look(self, now: datetime) -> None:
        found = self._documents.read(_key(self.state.name))
        if found is None or found.etag != self._held.etag:
            self._lost = True
            raise lost_lock(self.state.name)
        self._seen = now

    def _renewed(self, lock: Lock) -> Lock:
        return replace(lock, expires_at=self._now() + self._lease)

    def _refuse_if_lost(self) -> None:
        if self._lost:
            raise lost_lock(self.state.name)


def lost_lock(channel: str) -> LostLockError:
    """Returns the error of a run that somebody else has taken a channel's lock from."""
    return LostLockError(
        f"channel {channel}: the lock was taken away from this run, so it stops here and changes nothing "
        "more",
        hint="See who goes on: amifactory status",
    )


def locked(state: ChannelState, now: datetime) -> RefusedError:
    """Returns the error that says who holds a channel's lock, and for how long."""
    lock = state.lock
    owner = lock.owner if lock else "somebody"
    left = max(0, round((lock.expires_at - now).total_seconds())) if lock else 0
    return RefusedError(
        f"channel {state.name} is being changed by {owner}",
        hint=f"Wait for it; if it has died, its lock runs out in {left} s, or take it away now: "
        f'amifactory unlock {state.name} --reason "…"',
    )


def _key(name: str) -> str:
    return f"channels/{name}.json"
