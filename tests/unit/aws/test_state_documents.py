"""Documents that only who has seen their last version may write."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY

from amifactory.aws.state_documents import ATTEMPTS, Document, StaleDocumentError, StateDocuments
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession

KEY = "channels/staging.json"
CONTENT = {"release": 1}


@pytest.fixture
def documents(session: AwsSession, clock: Any) -> StateDocuments:
    return StateDocuments(session, "b", pause=clock.pause)


def stored(s3: Stubber, content: object, etag: str = '"2"') -> None:
    body = json.dumps(content).encode()
    answer = {"Body": StreamingBody(io.BytesIO(body), len(body)), "ETag": etag}
    s3.add_response("get_object", answer, {"Bucket": "b", "Key": KEY})


def wanted(**condition: str) -> dict[str, Any]:
    return {"Bucket": "b", "Key": KEY, "Body": ANY, "ContentType": "application/json", **condition}


def test_a_document_is_read_with_its_version(s3: Stubber, documents: StateDocuments) -> None:
    stored(s3, CONTENT)
    assert documents.read(KEY) == Document(content=CONTENT, etag='"2"')
    s3.add_client_error("get_object", "NoSuchKey")
    assert documents.read(KEY) is None
    s3.add_client_error("get_object", "AccessDenied")
    with pytest.raises(AwsError):
        documents.read(KEY)


@pytest.mark.parametrize(("etag", "condition"), [(None, {"IfNoneMatch": "*"}), ('"1"', {"IfMatch": '"1"'})])
def test_each_write_has_its_condition(
    s3: Stubber, documents: StateDocuments, etag: str | None, condition: dict[str, str]
) -> None:
    """S3 user guide, "Add preconditions to S3 operations with conditional requests"."""
    s3.add_response("put_object", {"ETag": '"2"'}, wanted(**condition))
    assert documents.write(KEY, CONTENT, etag=etag) == '"2"'


@pytest.mark.parametrize("code", ["PreconditionFailed", "NoSuchKey"])
def test_what_somebody_else_wrote_is_not_overwritten(
    s3: Stubber, documents: StateDocuments, code: str
) -> None:
    s3.add_client_error("put_object", code)
    stored(s3, {"release": 2})
    with pytest.raises(StaleDocumentError, match="was written by somebody else meanwhile"):
        documents.write(KEY, CONTENT, etag='"1"')


def test_what_somebody_else_deleted_is_stale(s3: Stubber, documents: StateDocuments) -> None:
    s3.add_client_error("put_object", "NoSuchKey")
    s3.add_client_error("get_object", "NoSuchKey")
    with pytest.raises(StaleDocumentError):
        documents.write(KEY, CONTENT, etag='"1"')


def test_a_write_whose_answer_was_lost_is_known_again_by_its_content(
    s3: Stubber, documents: StateDocuments
) -> None:
    """The client repeats it by itself, and the condition then meets what the first attempt wrote."""
    s3.add_client_error("put_object", "PreconditionFailed")
    stored(s3, CONTENT, etag='"3"')
    assert documents.write(KEY, CONTENT, etag=None) == '"3"'


def test_a_conflict_with_a_write_in_flight_is_tried_again(
    s3: Stubber, documents: StateDocuments, clock: Any
) -> None:
    """S3 user guide: 409 ConditionalRequestConflict; "retry the upload"."""
    s3.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    s3.add_response("put_object", {"ETag": '"2"'}, wanted(IfMatch='"1"'))
    assert documents.write(KEY, CONTENT, etag='"1"') == '"2"'
    assert clock.seconds == 0.5

    for _ in range(ATTEMPTS):
        s3.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    with pytest.raises(AwsError, match="ConditionalRequestConflict"):
        documents.write(KEY, CONTENT, etag='"1"')


def test_keys_of_all_pages_in_order(s3: Stubber, documents: StateDocuments) -> None:
    pages: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"Contents": [{"Key": "releases/1"}], "IsTruncated": True, "NextContinuationToken": "more"}, {}),
        ({"Contents": [{"Key": "releases/2"}]}, {"ContinuationToken": "more"}),
    ]
    for page, more in pages:
        s3.add_response("list_objects_v2", page, {"Bucket": "b", "Prefix": "releases/", **more})
    assert documents.keys("releases/") == ("releases/1", "releases/2")
