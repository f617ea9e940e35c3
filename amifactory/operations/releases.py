"""Releases as they are kept: one numbered document each, in the state bucket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from amifactory.aws.state_documents import StaleDocumentError
from amifactory.domain.release import Release
from amifactory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from amifactory.aws.state_documents import StateDocuments

PREFIX = "releases/"


class Releases:
    """The releases of a factory, of all its channels."""

    def __init__(self, documents: StateDocuments) -> None:
        self._documents = documents

    def numbers(self) -> tuple[int, ...]:
        """Returns the numbers of all releases, in order.

        Raises:
            AwsError: The call was refused.
        """
        keys = self._documents.keys(PREFIX)
        return tuple(int(key.removeprefix(PREFIX).removesuffix(".json")) for key in keys)

    def get(self, number: int) -> Release:
        """Returns a release.

        Raises:
            UsageError: There is none of that number.
            AwsError: The call was refused.
        """
        return self.stored(number)[0]

    def stored(self, number: int) -> tuple[Release, str]:
        """Returns a release and the version its document was read at.

        Raises:
            UsageError: There is none of that number.
            AwsError: The call was refused.
        """
        found = self._documents.read(_key(number))
        if found is None:
            raise UsageError(f"there is no release {number}", hint="Run: amifactory releases")
        return Release.from_json(found.content), found.etag

    def all(self, numbers: Collection[int] | None = None) -> tuple[Release, ...]:
        """Returns releases by number, or all, oldest first; a call each, several at a time.

        Raises:
            AwsError: A call was refused.
        """
        wanted = sorted(self.numbers() if numbers is None else numbers)
        with ThreadPoolExecutor(max_workers=8, thread_name_prefix="releases") as pool:
            return tuple(pool.map(self.get, wanted))

    def create(self, release: Release) -> tuple[Release, str]:
        """Keeps a new release under the next free number; returns it with that number, and its version.

        Raises:
            AwsError: The call was refused.
        """
        number = max(self.numbers(), default=0) + 1
        while True:
            numbered = replace(release, number=number)
            try:
                return numbered, self._documents.write(_key(number), numbered.as_json(), etag=None)
            except StaleDocumentError:
                number += 1  # another channel took it

    def write(self, release: Release, etag: str) -> str:
        """Keeps a release as it is now; returns the document's new version.

        Raises:
            StaleDocumentError: Somebody else wrote it.
            AwsError: The call was refused.
        """
        return self._documents.write(_key(release.number), release.as_json(), etag=etag)


def _key(number: int) -> str:
    return f"{PREFIX}{number:08}.json"
