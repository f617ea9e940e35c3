"""Recipes, reports and registry credentials: what is stored where, and what their absence means."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from botocore.response import StreamingBody

from amifactory.aws.secrets import Secrets
from amifactory.aws.state_bucket import StateBucket
from amifactory.domain.model import Architecture, Recipe
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession

RECIPE = Recipe(
    architecture=Architecture.ARM64,
    files={"build.pkr.hcl": "aa"},
    variables={"tools": {"node": "22"}, "offline": False},
    prepull={"node:22": "sha256:11"},
    parent="ami-source",
)
KEY = f"recipes/{RECIPE.fingerprint}.json"


def test_a_recipe_is_stored_under_its_own_hash_and_comes_back_equal(s3: Stubber, session: AwsSession) -> None:
    body = RECIPE.canonical_json().encode()
    s3.add_response(
        "put_object", {}, {"Bucket": "b", "Key": KEY, "Body": body, "ContentType": "application/json"}
    )
    bucket = StateBucket(session, "b")
    bucket.put_recipe(RECIPE)
    s3.add_response(
        "get_object", {"Body": StreamingBody(io.BytesIO(body), len(body))}, {"Bucket": "b", "Key": KEY}
    )
    assert bucket.recipe(RECIPE.fingerprint) == RECIPE


def test_a_recipe_that_is_not_kept_is_none(s3: Stubber, session: AwsSession) -> None:
    s3.add_client_error("get_object", "NoSuchKey")
    assert StateBucket(session, "b").recipe(RECIPE.fingerprint) is None


@pytest.mark.parametrize(("operation", "code"), [("get_object", "NoSuchBucket"), ("head_bucket", "404")])
def test_a_missing_bucket_is_answered_with_how_to_make_it(
    s3: Stubber, session: AwsSession, operation: str, code: str
) -> None:
    s3.add_client_error(operation, code)
    bucket = StateBucket(session, "b")
    with pytest.raises(AwsError, match='state_bucket "b" does not exist') as caught:
        bucket.check() if operation == "head_bucket" else bucket.recipe(RECIPE.fingerprint)
    assert caught.value.hint == "Run: aws s3 mb s3://b --region eu-central-1"


def test_a_denied_head_bucket_names_the_permission_that_exists(s3: Stubber, session: AwsSession) -> None:
    s3.add_client_error("head_bucket", "403")
    with pytest.raises(AwsError, match="denied s3:ListBucket"):
        StateBucket(session, "b").check()


def test_missing_secrets_are_all_named(secrets_manager: Stubber, session: AwsSession) -> None:
    secrets_manager.add_client_error("describe_secret", "ResourceNotFoundException")
    secrets_manager.add_response("describe_secret", {}, {"SecretId": "there"})
    secrets_manager.add_client_error("describe_secret", "ResourceNotFoundException")
    with pytest.raises(AwsError, match='no such secret in Secrets Manager: "absent", "zero"'):
        Secrets(session).check(["zero", "there", "absent"])


def test_credentials_are_read_and_a_malformed_secret_is_not_quoted(
    secrets_manager: Stubber, session: AwsSession
) -> None:
    for text in ('{"username": "ci", "password": "hunter2"}', "hunter2", '{"password": "hunter2"}'):
        secrets_manager.add_response("get_secret_value", {"SecretString": text})
    secrets = Secrets(session)
    assert secrets.credentials("ci/registry") == ("ci", "hunter2")
    for _ in range(2):
        with pytest.raises(AwsError, match='"ci/registry" is not of the form') as caught:
            secrets.credentials("ci/registry")
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
