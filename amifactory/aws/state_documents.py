"""JSON documents in the state bucket that are only ever written by whoever has seen their last version."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.aws.session import error_code
from amifactory.aws.state_bucket import bucket_errors
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.aws.session import AwsSession

ATTEMPTS = 5
"""How often a write is tried that met another one in flight (S3 user guide, "Conditional writes": 409)."""
CONFLICT_SECONDS = 0.5


class StaleDocumentError(AwsError):
    """Somebody else wrote the document since it was read, or made it first."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document and the version it was read at."""

    content: Any
    etag: str


class StateDocuments:
    """Documents of one state bucket.

    Args:
        session: The account and region.
        bucket: The bucket's name.
        pause: Sleeps that many seconds.
    """

    def __init__(self, session: AwsSession, bucket: str, *, pause: Callable[[float], object]) -> None:
        self._session = session
        self._bucket = bucket
        self._pause = pause

    def read(self, key: str) -> Document | None:
        """Returns a document, None when there is none.

        Raises:
            AwsError: The call was refused.
        """
        try:
            with bucket_errors(self._bucket, self._session.region):
                answer = self._session.s3.get_object(Bucket=self._bucket, Key=key)
                return Document(content=json.loads(answer["Body"].read()), etag=answer["ETag"])
        except AwsError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise

    def write(self, key: str, content: Any, *, etag: str | None) -> str:
        """Writes a document and returns its new version.

        Args:
            etag: The version it was read at; None: it must not exist yet.

        Raises:
            StaleDocumentError: It is not that version any more.
            AwsError: The call was refused.
        """
        # Not indented, which only Python's slow encoder does: a release of 100 fleets is written 100 times.
        body = json.dumps(content, sort_keys=True).encode()
        condition: dict[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        for attempt in range(ATTEMPTS):
            try:
                with bucket_errors(self._bucket, self._session.region):
                    return self._session.s3.put_object(
                        Bucket=self._bucket,
                        Key=key,
                        Body=body,
                        ContentType="application/json",
                        **condition,
                    )["ETag"]
            except AwsError as error:
                code = error_code(error)
                if code == "PreconditionFailed" or (code == "NoSuchKey" and etag):
                    return self._own(key, content, error)
                if code != "ConditionalRequestConflict" or attempt == ATTEMPTS - 1:
                    raise
            self._pause(CONFLICT_SECONDS)
        raise AssertionError  # the last attempt returns or raises

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Returns the keys below a prefix, in order.

        Raises:
            AwsError: The call was refused.
        """
        with bucket_errors(self._bucket, self._session.region):
            paginator = self._session.s3.get_paginator("list_objects_v2")
            pages = paginator.paginate(Bucket=self._bucket, Prefix=prefix)
            return tuple(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def _own(self, key: str, content: Any, error: AwsError) -> str:
        """Returns the version of a write of ours whose answer was lost and that was then repeated."""
        found = self.read(key)
        if found is None or found.content != json.loads(json.dumps(content)):
            raise StaleDocumentError(f"{key} was written by somebody else meanwhile") from error
        return found.etag
