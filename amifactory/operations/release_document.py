"""The document of a release while it is made: one writer, many fleets."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from amifactory.aws.state_documents import StaleDocumentError
from amifactory.operations.channel_lock import lost_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.domain.release import Release
    from amifactory.operations.releases import Releases


class ReleaseDocument:
    """A release that is being made or undone; safe from several threads.

    Args:
        releases: Where it is kept.
        release: As it is now.
        etag: The version it was read or written at.
    """

    def __init__(self, releases: Releases, release: Release, etag: str) -> None:
        self._releases = releases
        self._etag = etag
        self._mutex = threading.Lock()
        self.release = release

    def update(self, change: Callable[[Release], Release]) -> Release:
        """Keeps the release with a change.

        Raises:
            LostLockError: Somebody else wrote it, who holds the channel's lock then.
            AwsError: The call was refused.
        """
        with self._mutex:
            changed = change(self.release)
            if changed != self.release:
                try:
                    self._etag = self._releases.write(changed, self._etag)
                except StaleDocumentError as error:
                    raise lost_lock(changed.channel) from error
                self.release = changed
            return changed
