"""HCL is read with lines, literals are told from expressions, and broken text is explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.config.hcl import Block, Body, Expression, HclError, Value, parse, tables_file


def value(text: str) -> object:
    return parse(f"a = {text}\n".encode()).keys["a"].data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"x"', "x"),
        ('""', ""),
        ("3", 3),
        ("-3", -3),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("(4)", 4),
        (r'"a \"b\" \\ \n \u00e9"', 'a "b" \\ \n é'),
        ('"$${x} %%{y}"', "${x} %{y}"),
        ("<<-END\n    a\n      b\n    END", "a\n  b\n"),
        ("<<END\n  a\nEND", "  a\n"),
    ],
)
def test_literals(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize(
    "text", ["var.x", "foo", "1 + 2", 'file("x")', "[for x in y : x]", "a ? b : c", '"a ${b}"', "-x", "!true"]
)
def test_expressions_keep_their_text(text: str) -> None:
    assert value(text) == Expression(text)


def test_a_heredoc_with_a_template_is_an_expression() -> None:
    assert value("<<END\n${a}\nEND") == Expression("${a}\n")


def test_every_line_is_known() -> None:
    body = parse(b'# note\na = [\n  "x",\n  "y",\n]\n\nb "l" m {\n  c = {\n    d = 1\n  }\n}\n')
    assert body == Body(
        {"a": Value(2, (Value(3, "x"), Value(4, "y")))},
        (Block(7, "b", ("l", "m"), Body({"c": Value(8, {"d": Value(9, 1)})}, ())),),
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a = 1\n}\n", 2, "unexpected '}'"),
        ("a = [1, 2\nb = 3\n", 2, "unexpected 'b'"),
        ("a {\n  b = 1\n", 2, 'unexpected end of file; a closing "}", "]" or a value is missing'),
        ("a = \n1\n", 1, "the line ends before its value"),
        ('a = 1\nb = "x\nc = "y"\n', 2, "a string that starts on this line is not closed"),
        ('a = "x\ny"\n', 1, "a string that starts on this line is not closed"),
        ("a = 1\n<<<<<<< HEAD\n", 2, "a merge conflict is not resolved"),
        ("a = 1 b = 2\n", 1, "each key and each block needs a line of its own"),
        ("v { a = 1 } w {\n}\n", 1, "each key and each block needs a line of its own"),
        ("a = 1\nb = 2\na = 3\n", 3, '"a" is given twice; the first is on line 1'),
        ("a = {\n  b = 1\n  b = 2\n}\n", 3, '"b" is given twice; the first is on line 2'),
        ("\ufeffa = 1\n", 1, "starts with a byte order mark; save the file as UTF-8 without one"),
    ],
)
def test_broken_text_is_explained(text: str, line: int, message: str) -> None:
    with pytest.raises(HclError) as caught:
        parse(text.encode())
    assert caught.value.problems == [(line, message)]


def test_bytes_that_are_not_utf8() -> None:
    with pytest.raises(HclError) as caught:
        parse(b'a = 1\nb = "\xff"\n')
    assert caught.value.problems == [(2, "not UTF-8 text; save the file as UTF-8")]


def test_operators_do_not_swallow_the_next_line() -> None:
    assert list(parse(b"a = b + 1\nc = 2\n").keys) == ["a", "c"]


@given(st.text())
def test_any_text_is_read_or_explained(text: str) -> None:
    problems: list[tuple[int, str]] = []
    try:
        parse(text.encode("utf-8", "surrogatepass"))
    except HclError as error:
        problems = error.problems
    assert all(line >= 1 and message for line, message in problems)


@given(st.text(st.characters(exclude_characters='"\\${}%', exclude_categories=("Cc", "Cs", "Zl", "Zp"))))
def test_plain_strings_come_back_as_they_were(text: str) -> None:
    assert value(f'"{text}"') == text


def test_parser_tables_go_where_they_can_be_written(tmp_path: Path) -> None:
    packaged, own = tmp_path / "tables", tmp_path / "own"
    nowhere = Path("/proc/no-such-folder/tables")
    assert tables_file(packaged, own) == packaged
    assert tables_file(nowhere, own) == own
    assert tables_file(nowhere, None) is None
