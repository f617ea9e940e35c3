"""Carries out a promotion or a rollback: under the channel's lock, on record, all fleets or none."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from amifactory.domain.cancellation import CancelledError
from amifactory.domain.release import (
    Change,
    ChangeKind,
    ChannelState,
    FleetRecord,
    Release,
    ReleaseState,
    Step,
)
from amifactory.errors import AmifactoryError, HalfDoneError, RefusedError, RolledBackError
from amifactory.operations.channel_lock import LostLockError
from amifactory.operations.move_fleet import Moves, undone
from amifactory.operations.move_fleets import Convoy, verify_fleets
from amifactory.operations.publish import publish, published, published_by
from amifactory.operations.refresh_options import options_back, refresh_deadline, refresh_options
from amifactory.operations.release_document import ReleaseDocument
from amifactory.operations.stale_plan import refuse_stale_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from amifactory.domain.cancellation import Cancellation
    from amifactory.domain.promotion import Promotion
    from amifactory.operations.channel_lock import ChannelLock
    from amifactory.operations.move_fleets import FleetProgress
    from amifactory.operations.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who makes a change.

    Attributes:
        owner: Unique to this run: person, machine, process.
        by: ARN of the credentials.
        commit: Git commit of the factory; None outside Git.
    """

    owner: str
    by: str
    commit: str | None


@dataclass(frozen=True, kw_only=True)
class ChannelChange:
    """Carries out one change of a channel.

    Attributes:
        parallel: How many fleets are moved at once.
        cancelled: The person's wish to stop; what is under way is left on record.
    """

    workshop: Workshop
    author: Author
    progress: FleetProgress
    cancelled: Cancellation
    parallel: int = 4

    def promote(self, promotion: Promotion) -> Release:
        """Makes a new release the channel's current one.

        Returns:
            The release, closed.

        Raises:
            RefusedError: The channel is locked, or has changed since the plan was made.
            RolledBackError: It failed, and all fleets are back.
            HalfDoneError: It failed, and they are not; or the lock was lost.
            CancelledError: It was told to stop; it can be gone on with.
            AwsError: A call was refused before anything was changed.
        """
        with self._locked(promotion) as lock:
            refuse_stale_plan(self.workshop, promotion, lock.state)
            self._close_abandoned(lock.state)
            now = self.workshop.now()
            release, etag = self.workshop.releases.create(
                Release(
                    number=0,
                    channel=promotion.channel,
                    state=ReleaseState.IN_PROGRESS,
                    source=promotion.source,
                    created_at=now,
                    by=self.author.by,
                    commit=self.author.commit,
                    previous=promotion.release,
                    fleets=tuple(plan.record for plan in promotion.fleets),
                    parameters=published(self.workshop, promotion.parameters),
                )
            )
            change = Change(
                kind=ChangeKind.PROMOTE, release=release.number, started_at=now, by=self.author.by
            )
            lock.write(replace(lock.state, change=change))
            document = ReleaseDocument(self.workshop.releases, release, etag)
            return self._forward(lock, document, resumed=False)

    def roll_back(self, promotion: Promotion) -> Release | None:
        """Makes an earlier release the channel's current one again.

        Returns:
            That release; None when there was none before.

        Raises:
            RefusedError: The channel is locked, or has changed since the plan was made.
            HalfDoneError: It could not be done, and is to be gone on with; or the lock was lost.
            CancelledError: It was told to stop; it can be gone on with.
            AwsError: A call was refused before anything was changed.
        """
        with self._locked(promotion) as lock:
            refuse_stale_plan(self.workshop, promotion, lock.state)
            change = Change(
                kind=ChangeKind.ROLLBACK,
                release=int(str(promotion.release)),
                to=promotion.to,
                started_at=self.workshop.now(),
                by=self.author.by,
            )
            lock.write(replace(lock.state, change=change))
            return self._back(lock, promotion)

    def resume(self, promotion: Promotion) -> Release | None:
        """Goes on with a change that was cut off, whichever way it was going.

        Args:
            promotion: What is left of it, as `amifactory.operations.resume` planned it.

        Returns:
            The release that is current then; None when there is none.

        Raises:
            RefusedError: The channel is locked, or somebody else has finished it.
            RolledBackError: A promotion failed, and all fleets are back.
            HalfDoneError: It failed again.
        """
        with self._locked(promotion) as lock:
            change = _unfinished(lock.state)
            if change.kind is ChangeKind.ROLLBACK:
                return self._back(lock, promotion)
            document = self._document(change.release)
            if document.release.failure is not None:
                raise self._restored(lock, document)
            return self._forward(lock, document, resumed=True)

    def give_up(self, promotion: Promotion) -> Release | None:
        """Takes back a promotion that was cut off.

        Args:
            promotion: What is to be taken back, as `amifactory.operations.resume` planned it.

        Returns:
            The release that stays the current one; None when there is none.

        Raises:
            RefusedError: The channel is locked, or somebody else has finished it.
            HalfDoneError: It failed.
        """
        with self._locked(promotion) as lock:
            document = self._document(_unfinished(lock.state).release)
            failure = document.release.failure or f"given up by {self.author.by}"
            document.update(lambda release: replace(release, failure=failure))
            self._restored(lock, document)
            number = lock.state.release
            return self.workshop.releases.get(number) if number is not None else None

    def _close_abandoned(self, state: ChannelState) -> None:
        """Closes the channel's newest release if its run ended before the channel told of it."""
        for number in reversed(self.workshop.releases.numbers()):
            if number <= (state.release or 0):
                return
            document = self._document(number)
            if document.release.channel == state.name:
                if document.release.state is ReleaseState.IN_PROGRESS:
                    self._close(document, failure="its run ended before anything was changed")
                return

    def _close(self, document: ReleaseDocument, *, failure: str | None = None) -> None:
        """Closes a release that failed."""
        now = self.workshop.now()
        document.update(
            lambda release: replace(
                release, state=ReleaseState.FAILED, failure=failure or release.failure, closed_at=now
            )
        )

    def _document(self, number: int) -> ReleaseDocument:
        release, etag = self.workshop.releases.stored(number)
        return ReleaseDocument(self.workshop.releases, release, etag)

    @contextmanager
    def _locked(self, promotion: Promotion) -> Iterator[ChannelLock]:
        """Holds the channel's lock; gives it back however the block ends, unless it is lost."""
        lock = self.workshop.channels.lock(promotion.channel, self.author.owner)
        try:
            yield lock
        except LostLockError:
            raise
        except BaseException:
            self._give_back(lock)
            raise

    def _give_back(self, lock: ChannelLock) -> None:
        if lock.state.lock is None:
            return
        try:
            lock.release()
        except AmifactoryError as error:
            self.workshop.warn(f"The lock of channel {lock.state.name} was not given back: {error.message}")

    def _forward(self, lock: ChannelLock, document: ReleaseDocument, *, resumed: bool) -> Release:
        release = document.release
        convoy = self._convoy(lock, f"release {release.number}", document_of=document, resumed=resumed)
        try:
            convoy.move(
                [fleet for fleet in release.fleets if fleet.step is not Step.DONE],
                last=self._boot_seconds(lock.state.release),
            )
            verify_fleets(self.workshop, document.release.fleets)
            publish(self.workshop, published_by(document.release, self.workshop.factory), check=lock.check)
            lock.check()
            closed = document.update(
                lambda release: replace(
                    release, state=ReleaseState.CURRENT, closed_at=release.closed_at or self.workshop.now()
                )
            )
        except (LostLockError, CancelledError):
            raise
        except AmifactoryError as error:
            raise self._failed(lock, document, error) from error
        self._finish(lock, release=closed.number, since=closed.closed_at)
        return closed

    def _failed(
        self, lock: ChannelLock, document: ReleaseDocument, error: AmifactoryError
    ) -> RolledBackError:
        """Records why a promotion failed, puts every fleet back, and returns the error that says so.

        Raises:
            HalfDoneError: They could not be put back.
        """
        self.workshop.warn(f"Failed: {error.message}\nPutting every fleet back the way it was.")
        try:
            document.update(lambda release: replace(release, failure=error.message))
        except LostLockError:
            raise
        except AmifactoryError as second:
            raise self._half_done(lock, _not_back(error.message, second)) from second
        return self._restored(lock, document)

    def _restored(self, lock: ChannelLock, document: ReleaseDocument) -> RolledBackError:
        """Puts the fleets of a failed release back the way they were; returns the error that says so.

        Raises:
            HalfDoneError: They are not back.
        """
        release = document.release
        failure = str(release.failure)
        convoy = self._convoy(
            lock, f"release {release.number}", document_of=document, resumed=True, back=True
        )
        try:
            convoy.restore([fleet for fleet in release.fleets if fleet.step is not Step.RESTORED])
            verify_fleets(self.workshop, [undone(fleet) for fleet in release.fleets])
            publish(self.workshop, release.parameters, check=lock.check)
            lock.check()
            self._close(document)
            lock.write(replace(lock.state, change=None, lock=None))
        except (LostLockError, CancelledError):
            raise
        except AmifactoryError as error:
            raise self._half_done(lock, _not_back(failure, error)) from error
        return RolledBackError(
            f"release {release.number} failed; channel {release.channel} is back the way it was: {failure}",
            hint=f"More: amifactory releases show {release.number}",
            release=release.number,
        )

    def _back(self, lock: ChannelLock, promotion: Promotion) -> Release | None:
        document = self._document(int(str(promotion.release)))
        left = document.release
        moved: list[FleetRecord] = []
        convoy = self._convoy(
            lock, f"rollback of release {left.number}", finished=moved.append, resumed=True, back=True
        )
        try:
            convoy.move([plan.record for plan in promotion.fleets])
            verify_fleets(self.workshop, moved)
            publish(self.workshop, promotion.parameters, check=lock.check)
            lock.check()
            target = self._made_anew(promotion, moved)
            document.update(
                lambda release: replace(
                    release,
                    state=ReleaseState.ROLLED_BACK,
                    failure=release.failure or f"rolled back by {self.author.by}",
                )
            )
        except (LostLockError, CancelledError):
            raise
        except AmifactoryError as error:
            raise self._half_done(lock, _not_back(f"rollback of release {left.number}", error)) from error
        since = self.workshop.now() if promotion.to is not None else None
        self._finish(lock, release=promotion.to, since=since)
        return target

    def _finish(self, lock: ChannelLock, *, release: int | None, since: datetime | None) -> None:
        """Makes a release the channel's current one, with nothing under way and no lock: one write.

        Raises:
            LostLockError: The lock is somebody else's.
            HalfDoneError: It could not be written; all else is done.
        """
        try:
            lock.write(replace(lock.state, release=release, since=since, change=None, lock=None))
        except LostLockError:
            raise
        except AmifactoryError as error:
            raise self._half_done(
                lock, f"all fleets are there, but it is not on record: {error.message}"
            ) from error

    def _made_anew(self, promotion: Promotion, moved: Collection[FleetRecord]) -> Release | None:
        """Returns the release that is current again, with versions that had to be made anew."""
        if promotion.to is None:
            return None
        return self._document(promotion.to).update(
            lambda release: replace(release.with_versions_of(moved), state=ReleaseState.CURRENT, failure=None)
        )

    def _convoy(
        self,
        lock: ChannelLock,
        what: str,
        *,
        document_of: ReleaseDocument | None = None,
        finished: Callable[[FleetRecord], object] | None = None,
        resumed: bool,
        back: bool = False,
    ) -> Convoy:
        """Returns what moves fleets; each that is finished is kept in a release's document, or told.

        Args:
            back: They are taken back to where they have been.
        """

        def check() -> None:
            self.cancelled.check()
            lock.check()

        def keep(record: FleetRecord) -> None:
            if document_of is not None:
                document_of.update(lambda release: release.with_fleet(record))

        configuration = self.workshop.configuration
        options = options_back if back else refresh_options
        return Convoy(
            moves=Moves(
                workshop=self.workshop,
                label=f"{self.workshop.factory} {what}",
                check=check,
                options=lambda record: options(configuration, record),
                deadline=lambda fleet: refresh_deadline(configuration, fleet),
                say=self.progress.step,
                resumed=resumed,
            ),
            progress=self.progress,
            parallel=self.parallel,
            finished=finished or keep,
        )

    def _boot_seconds(self, number: int | None) -> dict[str, float | None]:
        if number is None:
            return {}
        return {fleet.fleet: fleet.boot_seconds for fleet in self.workshop.releases.get(number).fleets}

    def _half_done(self, lock: ChannelLock, what: str) -> HalfDoneError:
        change = lock.state.change
        kind = change.kind if change else ChangeKind.PROMOTE
        return HalfDoneError(
            f"channel {lock.state.name}: {what}",
            hint=f"Mend the cause, then go on: amifactory {kind} --channel {lock.state.name} --resume",
            release=change.release if change else None,
        )


def _not_back(first: str, then: AmifactoryError) -> str:
    return f"NOT back the way it was. First: {first}. Then: {then.message}"


def _unfinished(state: ChannelState) -> Change:
    """Returns what is under way in a channel.

    Raises:
        RefusedError: Nothing is.
    """
    if state.change is None:
        raise RefusedError(f"channel {state.name}: somebody else has finished that change")
    return state.change
