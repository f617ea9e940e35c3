"""How package managers order versions, as sort keys: a version is newer when its key is greater.

Debian: deb-version(7), "Sorting algorithm". rpm: rpm-version(7), "Version comparison".
"""

from __future__ import annotations

import re

_NUMBER_AFTER_TEXT = re.compile(r"([^0-9]*)([0-9]*)")
_RPM_SEGMENT = re.compile(r"[0-9]+|[a-zA-Z]+|~|\^")
_RPM_END = (1,)

SortKey = tuple[object, ...]


def deb_key(version: str) -> SortKey:
    """Returns the sort key of ``[epoch:]upstream[-revision]``."""
    epoch, rest = _epoch(version)
    upstream, dash, revision = rest.rpartition("-")
    return epoch, _deb_part(upstream if dash else rest), _deb_part(revision if dash else "0")


def rpm_key(version: str) -> SortKey:
    """Returns the sort key of ``[epoch:]version[-release]``."""
    epoch, rest = _epoch(version)
    upstream, _, release = rest.partition("-")
    return epoch, _rpm_part(upstream), _rpm_part(release)


def _epoch(version: str) -> tuple[int, str]:
    epoch, colon, rest = version.partition(":")
    return (int(epoch), rest) if colon and epoch.isdecimal() else (0, version)


def _deb_part(text: str) -> SortKey:
    """Returns text and number in turns, and last an empty pair: where a shorter version ends."""
    return tuple(
        ((*map(_deb_order, characters), 0), int(digits or "0"))
        for characters, digits in _NUMBER_AFTER_TEXT.findall(text)
    )


def _deb_order(character: str) -> int:
    """Returns the place of a character: a tilde before even the end, which is 0, letters before the rest."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _rpm_part(text: str) -> SortKey:
    """Returns the segments: a tilde before the end, then a caret, then letters, then numbers."""
    return (*map(_rpm_order, _RPM_SEGMENT.findall(text)), _RPM_END)


def _rpm_order(segment: str) -> SortKey:
    if segment.isdecimal():
        return 4, int(segment)
    return {"~": (0,), "^": (2,)}.get(segment, (3, segment))
