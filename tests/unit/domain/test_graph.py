"""The image graph, held against what order, cycle and descendant mean."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.graph import descendants, find_cycle, order

if TYPE_CHECKING:
    from random import Random

NAMES = [f"i{number}" for number in range(12)]
any_graph = st.dictionaries(st.sampled_from(NAMES), st.none() | st.sampled_from(NAMES))


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, str | None]:
    names = draw(st.permutations(NAMES))[: draw(st.integers(0, len(NAMES)))]
    graph = {
        name: draw(st.none() | st.sampled_from(names[:place])) if place else None
        for place, name in enumerate(names)
    }
    return dict(draw(st.permutations(list(graph.items()))))


def climb(parents: dict[str, str | None], image: str) -> list[str]:
    found: list[str] = []
    parent = parents.get(image)
    while parent is not None and parent not in found:
        found.append(parent)
        parent = parents.get(parent)
    return found


@given(acyclic())
def test_everything_comes_once_and_after_its_parent(parents: dict[str, str | None]) -> None:
    ordered = order(parents)
    assert sorted(ordered) == sorted(parents)
    for image, parent in parents.items():
        assert parent is None or ordered.index(parent) < ordered.index(image)


@given(acyclic(), st.randoms())
def test_the_order_does_not_depend_on_how_the_graph_was_written(
    parents: dict[str, str | None], random: Random
) -> None:
    shuffled = list(parents.items())
    random.shuffle(shuffled)
    assert order(dict(shuffled)) == order(parents)


@given(any_graph)
def test_a_cycle_is_found_exactly_when_there_is_one(parents: dict[str, str | None]) -> None:
    cycle = find_cycle(parents)
    exists = any(image in climb(parents, image) for image in parents)
    assert (cycle is not None) is exists
    if cycle is None:
        order(parents)
        return
    assert cycle[0] == cycle[-1] == min(cycle)
    assert len(set(cycle)) == len(cycle) - 1
    assert all(parents[child] == parent for child, parent in pairwise(cycle))
    with pytest.raises(ValueError, match=" -> "):
        order(parents)


@given(any_graph, st.sampled_from(NAMES))
def test_descendants_are_those_whose_parents_lead_here(parents: dict[str, str | None], image: str) -> None:
    found = descendants(parents, image)
    assert sorted(found) == sorted(
        other for other in parents if other != image and image in climb(parents, other)
    )
    for child in found:
        parent = parents[child]
        assert parent == image or found.index(str(parent)) < found.index(child)


def test_a_cycle_reads_from_child_to_parent() -> None:
    assert find_cycle({"node": "java", "java": "node", "base": None}) == ("java", "node", "java")
    assert find_cycle({"a": "a"}) == ("a", "a")
    assert find_cycle({}) is None


def test_siblings_come_by_name() -> None:
    assert order({"z": "base", "a": "base", "base": None}) == ("base", "a", "z")


@pytest.mark.parametrize("shape", ["chain", "star"])
def test_tens_of_thousands_of_images_take_no_time(shape: str) -> None:
    size = 20_000
    parents: dict[str, str | None] = {"i0": None}
    for number in range(1, size):
        parents[f"i{number}"] = f"i{number - 1}" if shape == "chain" else "i0"
    began = time.process_time()
    assert len(order(parents)) == size
    assert find_cycle(parents) is None
    assert len(descendants(parents, "i0")) == size - 1
    assert time.process_time() - began < 1
