"""A factory with the images base, left, right and some more."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
