"""Finds many texts at once, however they are written.

However many there are, in however many forms, it costs little: text is *folded*, to lower case without
white space, quotes and the punctuation of base64. What occurs in a text also occurs folded in the folded
text, however it was wrapped. Where it does, its exact forms decide.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import string
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FOLD = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_FOLDED_AWAY = b" \t\r\n\\\"'+/-_"
_INSIGNIFICANT = b" \t\r\n\\"
_SHORTEST_FOLDED = 4
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_WORD = 8
_STRIDES = (0, 1, 2, 3, 4)
_FIND_COST, _WORDS_COST = 0.3, 4.5
"""Seconds for 1 GB: to find one text, and to look up all its words. Measured; only the ratio matters."""


def fold(text: bytes) -> bytes:
    """Returns what is left of a text whichever way it was written."""
    return text.translate(_FOLD, _FOLDED_AWAY)


def forms_of(part: bytes) -> set[bytes]:
    """Returns how a part of a secret may be written: as it is, in JSON, in an address, in base64."""
    text = part.decode("utf-8", "surrogateescape")
    in_json = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    in_json |= {re.sub("[<>&]", _as_go_does, one) for one in in_json}
    in_address = {quote(part, safe=""), quote(part), quote_plus(part)}
    in_address |= {re.sub("%..", lambda m: m[0].lower(), one) for one in in_address}
    forms = {part, *(one.encode("utf-8", "surrogateescape") for one in in_json | in_address)}
    for before in range(3):  # bytes of other text, which with this part's first ones are the same characters
        first, last = -(-before * 8 // 6), (before + len(part)) * 8 // 6
        encoded = base64.b64encode(b"\0" * before + part)[first:last]
        forms |= {encoded, encoded.translate(_URL_SAFE)}
    return forms


def _as_go_does(found: re.Match[str]) -> str:
    """Returns a character as Go has it in JSON (encoding/json, HTMLEscape)."""
    return f"\\u{ord(found[0]):04x}"


class Needles:
    """Finds which of many parts occur in a text, in whatever form.

    Short ones are looked for one by one. For the long ones it is faster to take every n-th word (of eight
    bytes) of the text and look each up: they contain one in full, wherever they begin.
    """

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._exact: dict[bytes, list[tuple[bytes, bytes]]] = {}
        """Folded form to its exact forms, each with the part it is of."""
        self._unfoldable: list[tuple[bytes, bytes]] = []
        for part in parts:
            for form in forms_of(part):
                exact, folded = form.translate(None, _INSIGNIFICANT), fold(form)
                if len(folded) >= _SHORTEST_FOLDED:
                    self._exact.setdefault(folded, []).append((exact, part))
                elif exact:
                    self._unfoldable.append((exact, part))
        self._stride = min(_STRIDES, key=lambda stride: _cost(stride, self._exact))
        self._short = [one for one in self._exact if not _has_words(one, self._stride)]
        self._words: dict[int, list[bytes]] = {}
        for one in self._exact.keys() - self._short:
            middle = (len(one) - _reach(self._stride)) // 2
            for start in range(middle, middle + self._stride * _WORD):
                word = int.from_bytes(one[start : start + _WORD], sys.byteorder)
                self._words.setdefault(word, []).append(one)

    def within(self, raw: bytes, folded: bytes) -> set[bytes]:
        """Returns the parts that occur in a text, given it and what it is folded."""
        suspects = {one for one in itertools.chain(self._short, self._long_in(folded)) if one in folded}
        if not suspects and not self._unfoldable:
            return set()
        text = raw.translate(None, _INSIGNIFICANT)
        exact = itertools.chain(self._unfoldable, *(self._exact[one] for one in suspects))
        return {part for form, part in exact if form in text}

    def _long_in(self, folded: bytes) -> Iterator[bytes]:
        """Yields the long ones of which there is a word."""
        if self._words:
            words = memoryview(folded)[: len(folded) // _WORD * _WORD].cast("Q")[:: self._stride]
            if not self._words.keys().isdisjoint(words):
                for word in self._words.keys() & set(words):
                    yield from self._words[word]


def _reach(stride: int) -> int:
    """Returns how long a text must be to contain one of every ``stride`` words in full."""
    return (stride + 1) * _WORD - 1


def _has_words(folded: bytes, stride: int) -> bool:
    return stride > 0 and len(folded) >= _reach(stride)


def _cost(stride: int, texts: Iterable[bytes]) -> float:
    short = sum(not _has_words(one, stride) for one in texts)
    return short * _FIND_COST + (_WORDS_COST / stride if stride else 0)
