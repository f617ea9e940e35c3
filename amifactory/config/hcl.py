"""HCL text to plain data, with the line of every block, key and value.

python-hcl2 does the lexing and parsing. Its parse tree is read here directly, because its dictionaries
lose what an error message needs: lines, whether a value was a literal or an expression, and which key was
given twice (it keeps the last). Three things Packer and Terraform refuse and python-hcl2 lets through are
refused here too: a repeated key, two keys on one line, a string that runs over a line end.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lark import Lark, Tree
    from lark.exceptions import UnexpectedInput

Literal = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Expression:
    """Something to be computed, which the configuration files do not do: its source text."""

    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """A literal, an expression, a list or an object, and the line it starts on."""

    line: int
    data: Literal | Expression | tuple[Value, ...] | Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Block:
    """A block: ``type "label" { … }``."""

    line: int
    type: str
    labels: tuple[str, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Body:
    """What stands between braces, or in a file."""

    keys: Mapping[str, Value]
    blocks: tuple[Block, ...]


class HclError(Exception):
    """The text is not HCL.

    Attributes:
        problems: (line, message) pairs.
        body: What could be read all the same, so that more can be said of it; None after a syntax error.
    """

    def __init__(self, problems: list[tuple[int, str]], body: Body | None = None) -> None:
        super().__init__(problems)
        self.problems = problems
        self.body = body


def parse(content: bytes, *, grammar_cache: Path | None = None) -> Body:
    """Returns the file's content as data.

    Args:
        content: The file's bytes, UTF-8.
        grammar_cache: Where to keep the parser's tables when python-hcl2's own folder is read-only.

    Raises:
        HclError: With every problem that could be told apart.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise HclError([(line, "not UTF-8 text; save the file as UTF-8")]) from None
    if text.startswith("\ufeff"):
        raise HclError([(1, "starts with a byte order mark; save the file as UTF-8 without one")])
    return _Reader(text).read(_tree(text, grammar_cache))


def _tree(text: str, grammar_cache: Path | None) -> Tree[Any]:
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - costs 60 ms and is not needed on a warm run

    try:
        return _parser(grammar_cache).parse(text + "\n")
    except UnexpectedInput as error:
        raise HclError([_explain(error, text)]) from None


@lru_cache(maxsize=1)
def _parser(grammar_cache: Path | None) -> Lark:
    """Builds python-hcl2's parser as it does itself, but with tables kept where they can be kept.

    python-hcl2 keeps them beside its own code. Where that is read-only it computes them anew on every
    run, which takes a second.
    """
    import hcl2.parser as packaged  # noqa: PLC0415
    from hcl2.postlexer import PostLexer  # noqa: PLC0415
    from lark import Lark  # noqa: PLC0415

    tables = tables_file(packaged.PARSER_FILE, grammar_cache)
    if tables is not None:
        tables.parent.mkdir(parents=True, exist_ok=True)
    return Lark.open(
        "hcl2.lark",
        parser="lalr",
        cache=str(tables) if tables else False,
        rel_to=packaged.__file__,
        propagate_positions=True,
        postlex=PostLexer(),
    )


def tables_file(packaged: Path, own: Path | None) -> Path | None:
    """Returns where the parser's tables are kept: ``packaged`` unless it is absent and cannot be made."""
    usable = packaged.exists() or os.access(packaged.parent, os.W_OK)
    return packaged if usable else own


def _explain(error: UnexpectedInput, text: str) -> tuple[int, str]:
    """Turns a parser error into the line and sentence that help the most."""
    lines = text.splitlines()
    token = getattr(error, "token", None)
    at_end = token is None or token.type == "$END"
    line = len(lines) if at_end else error.line
    if lines and lines[min(line, len(lines)) - 1].startswith(("<<<<<<<", "=======", ">>>>>>>")):
        return line, "a merge conflict is not resolved"
    for number in range(min(line, len(lines)), 0, -1):
        if _has_open_string(lines[number - 1]):
            return number, "a string that starts on this line is not closed"
    if at_end or token is None:
        return max(line, 1), 'unexpected end of file; a closing "}", "]" or a value is missing'
    found = str(token).strip("\r\t ").split("\n", 1)[0].strip()
    return line, f"unexpected {found!r}" if found else "the line ends before its value"


def _has_open_string(line: str) -> bool:
    if line.lstrip().startswith(("#", "//")):
        return False
    return re.sub(r"\\.", "", line).count('"') % 2 == 1


class _Reader:
    """Walks one parse tree; collects problems instead of stopping at the first."""

    def __init__(self, text: str) -> None:
        self.text = text + "\n"
        self.problems: list[tuple[int, str]] = []

    def read(self, tree: Tree[Any]) -> Body:
        body = self.body(tree.children[0])
        if self.problems:
            raise HclError(self.problems, body)
        return body

    def body(self, tree: Any) -> Body:
        keys: dict[str, Value] = {}
        blocks: list[Block] = []
        end: int | None = None
        for item in _trees(tree, "attribute", "block"):
            if end is not None and "\n" not in self.text[end : item.meta.start_pos]:
                self.problems.append((item.meta.line, "each key and each block needs a line of its own"))
            end = item.meta.start_pos + len(self.source(item))
            if item.data == "block":
                blocks.append(self.block(item))
                continue
            name = self.source(item.children[0])
            if name in keys:
                self.problems.append(
                    (item.meta.line, f'"{name}" is given twice; the first is on line {keys[name].line}')
                )
            keys[name] = self.value(item.children[-1], line=item.meta.line)
        return Body(keys, tuple(blocks))

    def block(self, tree: Any) -> Block:
        *head, body = _trees(tree, "identifier", "keyword", "literal_value", "string", "body")
        kind, *labels = (self.source(part).strip('"') for part in head)
        return Block(tree.meta.line, kind, tuple(labels), self.body(body))

    def value(self, tree: Any, *, line: int | None = None) -> Value:
        line = line or tree.meta.line
        inner = tree
        while inner.data == "expr_term":
            children = _trees(inner)
            if len(children) != 1:
                break
            inner = children[0]
        match inner.data:
            case "tuple":
                return Value(line, tuple(self.value(item) for item in _trees(inner)))
            case "object":
                return Value(line, self.object(inner))
            case "string":
                return Value(line, self.string(inner))
            case "heredoc_template" | "heredoc_template_trim":
                return Value(line, self.heredoc(inner))
            case "int_lit" | "float_lit" | "literal_value" | "unary_op":
                return Value(line, self.scalar(inner))
            case _:
                return Value(line, Expression(self.source(tree)))

    def object(self, tree: Any) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for element in _trees(tree, "object_elem"):
            key = self.source(element.children[0]).strip('"')
            if key in found:
                self.problems.append(
                    (element.meta.line, f'"{key}" is given twice; the first is on line {found[key].line}')
                )
            found[key] = self.value(element.children[-1], line=element.meta.line)
        return found

    def string(self, tree: Any) -> str | Expression:
        raw = self.text[tree.meta.start_pos : tree.meta.end_pos]
        if any(not isinstance(child, str) for part in _trees(tree) for child in part.children):
            return Expression(raw)
        if "\n" in raw:
            self.problems.append((tree.meta.line, "a string that starts on this line is not closed"))
        return _unescape(raw[1:-1])

    def heredoc(self, tree: Any) -> str | Expression:
        first, *lines, _ = self.source(tree).split("\n")
        if first.startswith("<<-"):
            indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
            lines = [line[min(indents, default=0) :] for line in lines]
        text = "".join(f"{line}\n" for line in lines)
        return Expression(text) if re.search(r"(?<![$%])[$%]\{", text) else text

    def scalar(self, tree: Any) -> Literal | Expression:
        text = self.source(tree)
        if tree.data == "literal_value":
            return {"true": True, "false": False}.get(text)
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            return Expression(text)

    def source(self, tree: Any) -> str:
        return self.text[tree.meta.start_pos : tree.meta.end_pos].rstrip()


def _trees(tree: Any, *kinds: str) -> list[Any]:
    return list(_iterate(tree, kinds))


def _iterate(tree: Any, kinds: tuple[str, ...]) -> Iterator[Any]:
    for child in tree.children:
        data = getattr(child, "data", None)
        if data is not None and data != "new_line_or_comment" and (not kinds or data in kinds):
            yield child


_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|\$(\$\{)|%(%\{)')
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


def _unescape(raw: str) -> str:
    if "\\" not in raw and "{" not in raw:
        return raw

    def decoded(match: re.Match[str]) -> str:
        simple, short, long, dollar, percent = match.groups()
        if simple:
            return _CONTROL.get(simple, simple)
        if short or long:
            point = int(short or long, 16)
            return chr(point) if point <= sys.maxunicode else match[0]
        return str(dollar or percent)

    return _ESCAPE.sub(decoded, raw)
