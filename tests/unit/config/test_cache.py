"""The parse cache saves time and never changes an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.config.cache import Parser, _decode, _encode
from amifactory.config.hcl import Block, Body, Expression, HclError, Value

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b'a = ["x", var.y, { z = null }]\nb "l" {\n  c = 1.5\n}\n'

names = st.text("abc", min_size=1, max_size=3)
scalars = st.none() | st.booleans() | st.integers() | st.text() | names.map(Expression)
lines = st.integers(1, 99)
values = st.recursive(
    st.builds(Value, lines, scalars),
    lambda inner: st.builds(Value, lines, st.lists(inner).map(tuple) | st.dictionaries(names, inner)),
    max_leaves=8,
)
bodies = st.recursive(
    st.builds(Body, st.dictionaries(names, values, max_size=3), st.just(())),
    lambda inner: st.builds(
        Body,
        st.dictionaries(names, values, max_size=3),
        st.lists(st.builds(Block, lines, names, st.lists(names).map(tuple), inner), max_size=2).map(tuple),
    ),
    max_leaves=4,
)


def remembered(file: Path) -> Parser:
    parser = Parser(file)
    parser.parse(TEXT)
    parser.save()
    return Parser(file)


@given(bodies)
def test_what_is_remembered_is_what_was_parsed(body: Body) -> None:
    assert _decode(_encode(body)) == body


def test_a_second_run_gives_the_same_answer(tmp_path: Path) -> None:
    file = tmp_path / "cache/config.json"
    parser = remembered(file)
    before = file.stat()
    assert parser.parse(TEXT) == Parser(None).parse(TEXT)
    parser.save()
    assert file.stat().st_ino == before.st_ino, "nothing changed, so nothing is written"


def test_a_changed_file_is_parsed_anew(tmp_path: Path) -> None:
    assert remembered(tmp_path / "c").parse(b"a = 2\n").keys["a"].data == 2


@pytest.mark.parametrize("damage", ["", "\n", "0\n{}", "not a cache", '{"a": 1}'])
def test_a_damaged_cache_is_ignored(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "c"
    parser = remembered(file)
    expected = parser.parse(TEXT)
    file.write_text(damage)
    assert Parser(file).parse(TEXT) == expected


def test_an_edited_cache_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "c"
    expected = remembered(file).parse(TEXT)
    file.write_text(file.read_text().replace('"x"', '"evil"'))
    assert Parser(file).parse(TEXT) == expected


def test_what_is_no_longer_there_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "c"
    parser = remembered(file)
    parser.parse(b"new = 1\n")
    parser.save()
    assert "new" in file.read_text()
    assert "var.y" not in file.read_text()


def test_errors_are_not_remembered(tmp_path: Path) -> None:
    file = tmp_path / "c"
    parser = Parser(file)
    with pytest.raises(HclError):
        parser.parse(b"a = \n")
    parser.save()
    assert not file.exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    parser = Parser(tmp_path / "file/cache")
    parser.parse(TEXT)
    parser.save()
