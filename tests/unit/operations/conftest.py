"""A factory with the images base, left, right and some more; a state bucket that is only remembered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.aws.session import AwsSession
from amifactory.aws.state_documents import Document, StaleDocumentError, StateDocuments
from amifactory.config.load import load

if TYPE_CHECKING:
    from amifactory.config.models import Configuration

FAMILY = Path(__file__).parents[2] / "factories/family"


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """Returns it as its files have it."""
    folder = tmp_path_factory.mktemp("factory")
    shutil.copytree(FAMILY, folder, dirs_exist_ok=True)
    return load(folder)


class RememberedDocuments(StateDocuments):
    """Documents in memory, with S3's conditions.

    Attributes:
        writes: Keys, in the order of the writes that were done.
    """

    def __init__(self) -> None:
        nobody = AwsSession(region="eu-central-1", credentials=("AKIAEXAMPLE", "secret"))
        super().__init__(nobody, "b", pause=lambda _: None)
        self.kept: dict[str, tuple[str, str]] = {}
        self.writes: list[str] = []

    def read(self, key: str) -> Document | None:
        """Returns a document, None when there is none."""
        if key not in self.kept:
            return None
        text, etag = self.kept[key]
        return Document(content=json.loads(text), etag=etag)

    def write(self, key: str, content: Any, *, etag: str | None) -> str:
        """Writes it, unless somebody else did since it was read."""
        if self.kept.get(key, ("", None))[1] != etag:
            raise StaleDocumentError(f"{key} was written by somebody else meanwhile")
        self.writes.append(key)
        self.kept[key] = (json.dumps(content), f'"{len(self.writes)}"')
        return self.kept[key][1]

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Returns the keys below a prefix, in order."""
        return tuple(sorted(key for key in self.kept if key.startswith(prefix)))


@pytest.fixture
def documents() -> RememberedDocuments:
    """Returns an empty state bucket."""
    return RememberedDocuments()
