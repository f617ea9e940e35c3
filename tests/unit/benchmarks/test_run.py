"""What `make bench` can be asked for is there."""

from __future__ import annotations

from importlib import import_module

import pytest
from run import BENCHMARKS


@pytest.mark.parametrize("module", BENCHMARKS.values())
def test_each_benchmark_can_be_measured(module: str) -> None:
    assert callable(import_module(module).measure)
