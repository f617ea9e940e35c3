"""The factory's S3 bucket: recipes of builds, and reports on them. Tags are the truth; this is detail."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from amifactory.aws.session import aws_errors, error_code
from amifactory.domain.model import Architecture, Fingerprint, Recipe
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from amifactory.aws.session import AwsSession


class StateBucket:
    """Objects of one factory; recipes are named by the fingerprint that their content has."""

    def __init__(self, session: AwsSession, bucket: str) -> None:
        self._session = session
        self._bucket = bucket

    def put_recipe(self, recipe: Recipe) -> None:
        """Stores what decided a build's content, so that a later plan can say what changed.

        Raises:
            AwsError: The bucket is missing or the call was refused.
        """
        self._put(f"recipes/{recipe.fingerprint}.json", recipe.canonical_json().encode(), "application/json")

    def recipe(self, fingerprint: Fingerprint) -> Recipe | None:
        """Returns the recipe of an earlier build; None when it is not kept (any more).

        Raises:
            AwsError: The bucket is missing or the call was refused.
        """
        found = self._get(f"recipes/{fingerprint}.json")
        if found is None:
            return None
        fields = json.loads(found)
        return Recipe(**{**fields, "architecture": Architecture(fields["architecture"])})

    def put_report(self, ami_id: str, file: Path) -> None:
        """Stores one file of what is known of a build.

        Raises:
            AwsError: The bucket is missing or the call was refused.
        """
        kind = "application/json" if file.suffix == ".json" else "application/xml"
        self._put(_report_key(ami_id, file.name), file.read_bytes(), kind)

    def report(self, ami_id: str, name: str) -> bytes | None:
        """Returns one file of what is known of a build, such as ``report.json``; None when there is none.

        Raises:
            AwsError: The bucket is missing or the call was refused.
        """
        return self._get(_report_key(ami_id, name))

    def delete_report(self, ami_id: str, file: Path) -> None:
        """Removes one file of a verification report, if it is there.

        Raises:
            AwsError: The bucket is missing or the call was refused.
        """
        with self._explaining():
            self._session.s3.delete_object(Bucket=self._bucket, Key=_report_key(ami_id, file.name))

    def check(self) -> None:
        """Raises unless the bucket exists and may be used.

        Raises:
            AwsError: It is missing, or it belongs to somebody else.
        """
        with self._explaining():
            self._session.s3.head_bucket(Bucket=self._bucket)

    def _get(self, key: str) -> bytes | None:
        try:
            with self._explaining():
                answer = self._session.s3.get_object(Bucket=self._bucket, Key=key)
                return answer["Body"].read()
        except AwsError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise

    def _put(self, key: str, body: bytes, content_type: str) -> None:
        with self._explaining():
            self._session.s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def _explaining(self) -> AbstractContextManager[None]:
        return bucket_errors(self._bucket, self._session.region)


@contextmanager
def bucket_errors(bucket: str, region: str) -> Iterator[None]:
    """Turns S3's errors into `AwsError`, its words for a missing bucket into what to do about it.

    Raises:
        AwsError: The call failed.
    """
    try:
        with aws_errors("s3"):
            yield
    except AwsError as error:
        if error_code(error) not in {"NoSuchBucket", "404"}:
            raise
        raise AwsError(
            f'state_bucket "{bucket}" does not exist',
            hint=f"Run: aws s3 mb s3://{bucket} --region {region}",
        ) from error


def _report_key(ami_id: str, name: str) -> str:
    return f"reports/{ami_id}/{name}"
