"""Keeps the values of secrets out of what people read: logs, reports, the terminal.

A value is looked for whole and in parts, as programs print it: escaped, one line of it, or cut anywhere.
Words that many files share, such as ``apiVersion: v1``, stay readable.
"""

from __future__ import annotations

import html
import json
import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASKED = "•••"
PIECE = 12
"""From how many characters on a piece of a part is masked, wherever it was cut."""
_SHORTEST = 8
"""What is shorter also occurs where no secret is; the leak scan does not look for it either."""
_LONG = 20

_ENTRY = re.compile(r"""[\s-]*["']?(?P<key>[\w.-]+)["']?(?::(?:\s+|$)|\s*=\s*)(?P<of>.*)""")
"""``key: value`` as YAML and JSON have it, or ``key=value``; the value may be missing."""
_OF_A_SECRET = re.compile(r"pass|secret|token|key|auth(?!ority$)|cred|data", re.IGNORECASE)
_TOKEN = re.compile(r"""[^\s"',]+""")


class _Cut(Enum):
    """Which pieces of a part are masked where it was cut."""

    NONE = auto()
    DISTINCTIVE = auto()
    ALL = auto()


class Mask:
    """Replaces values, and what of them can be told from other text, by ``•••``.

    Args:
        values: Whole files, such as a kubeconfig, or single words. Shorter than 8 characters is left alone.
    """

    def __init__(self, values: Iterable[str]) -> None:
        exact: set[str] = set()
        self._pieces: set[str] = set()
        self._telling: set[str] = set()
        for value in values:
            for part, cut in _parts(value):
                forms = _forms(part)
                exact |= forms
                self._learn(forms, cut)
        longest_first = sorted(exact, key=len, reverse=True)
        self._exact = re.compile("|".join(map(re.escape, longest_first)) if exact else r"(?!)")

    def __call__(self, text: str) -> str:
        """Returns the text, which may be a line or a whole file, without the secrets."""
        text = self._exact.sub(MASKED, text)
        kept, end = [], 0
        for start, stop in self._runs(text):
            kept += [text[end:start], MASKED]
            end = stop
        return "".join([*kept, text[end:]])

    def _learn(self, forms: Iterable[str], cut: _Cut) -> None:
        for form in forms if cut is not _Cut.NONE else ():
            pieces = {form[at : at + PIECE] for at in range(len(form) - PIECE + 1)}
            self._pieces |= pieces
            self._telling |= pieces if cut is _Cut.ALL else set(filter(_is_distinctive, pieces))

    def _runs(self, text: str) -> Iterator[tuple[int, int]]:
        """Yields where pieces follow each other, if one of them at least is no ordinary word."""
        start, telling = None, False
        for at in range(len(text) - PIECE + 2):
            piece = text[at : at + PIECE]
            if piece in self._pieces:
                start = at if start is None else start
                telling = telling or piece in self._telling
            elif start is not None:
                if telling:
                    yield start, at - 1 + PIECE
                start, telling = None, False


def _parts(value: str) -> Iterator[tuple[str, _Cut]]:
    value = value.strip()
    if len(value) < _SHORTEST:
        return
    lines, leaves = value.splitlines(), _leaves(value)
    yield value, _Cut.ALL if len(lines) == 1 and not leaves else _Cut.NONE
    for line in lines:
        yield from _parts_of_line(line.strip())
    for key, leaf in leaves:
        yield from _parts_of_entry(key, leaf)
        if "\n" in leaf:
            yield from _parts(leaf)


def _parts_of_line(line: str) -> Iterator[tuple[str, _Cut]]:
    entry = _ENTRY.fullmatch(line)
    if entry:
        yield from _parts_of_entry(entry["key"], entry["of"].strip(" \t,\"'"))
    elif len(line) >= PIECE:
        yield line, _Cut.NONE
    for token in _TOKEN.findall(line):
        if len(token) >= PIECE and _is_distinctive(token):
            yield token, _Cut.DISTINCTIVE


def _parts_of_entry(key: str, text: str) -> Iterator[tuple[str, _Cut]]:
    if len(text) < _SHORTEST:
        return
    if _OF_A_SECRET.search(key):
        yield text, _Cut.ALL
    elif _is_distinctive(text) or len(text) >= _LONG:
        yield text, _Cut.DISTINCTIVE


def _leaves(value: str) -> list[tuple[str, str]]:
    """Returns the strings in a JSON text, each with the name it goes by."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return []
    return list(_strings("", document)) if isinstance(document, dict | list) else []


def _strings(key: str, node: Any) -> Iterator[tuple[str, str]]:
    match node:
        case dict():
            for name, inner in node.items():
                yield from _strings(name, inner)
        case list():
            for inner in node:
                yield from _strings(key, inner)
        case str():
            yield key, node


def _forms(part: str) -> set[str]:
    """Returns a text as Python, JSON and XML write it, and as XML writes what these wrote."""
    quoted = part + '"'  # has Python escape the other quote; whether it does depends on the text around
    python = {repr(quoted)[1:-2], ascii(quoted)[1:-2], repr(quoted.encode(errors="replace"))[2:-2]}
    written = {part, json.dumps(part)[1:-1], *python, *(text.replace("\\'", "'") for text in python)}
    escaped = {html.escape(text, quote=False) for text in written}
    return written | escaped | {text.replace('"', "&quot;") for text in escaped}


def _is_distinctive(text: str) -> bool:
    """Returns whether it has digits, or capitals elsewhere than in front, as ordinary words have not."""
    has_lower = any(character.islower() for character in text)
    return any(character.isdigit() for character in text) or (
        has_lower and any(character.isupper() for character in text[1:])
    )
