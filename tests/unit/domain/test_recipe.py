"""Fingerprints: equal content gives equal digits, any difference gives others."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.model import Architecture, Recipe

TEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4)
RECIPES = st.builds(
    Recipe,
    architecture=st.sampled_from(Architecture),
    files=TEXTS,
    variables=TEXTS,
    prepull=TEXTS,
    parent=st.text(max_size=8),
)


@given(RECIPES, RECIPES)
def test_recipes_are_equal_exactly_when_their_fingerprints_are(one: Recipe, other: Recipe) -> None:
    assert (one == other) is (one.fingerprint == other.fingerprint)


@given(RECIPES)
def test_the_order_of_entries_does_not_matter(recipe: Recipe) -> None:
    turned = replace(recipe, files=dict(reversed(list(recipe.files.items()))))
    assert turned.fingerprint == recipe.fingerprint


@given(RECIPES, st.text(max_size=8))
def test_moving_a_value_from_one_part_to_another_changes_it(recipe: Recipe, key: str) -> None:
    in_files = replace(recipe, files={key: "v"}, variables={})
    in_variables = replace(recipe, files={}, variables={key: "v"})
    assert in_files.fingerprint != in_variables.fingerprint
