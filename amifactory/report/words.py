"""How numbers are written: for people, in one way everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

NONE = "-"
_MINUTE = 60
_HOUR = 3600
_IN_SECONDS = 100


def seconds(value: float | None) -> str:
    """Returns a length of time: ``0.4 s``, ``71.2 s``, ``4 min 12 s``, ``1 h 05 min``."""
    if value is None:
        return NONE
    if round(value, 1) < _IN_SECONDS:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def limit(value: float | None) -> str:
    """Returns a limit as its owner would write it: ``60 s``."""
    return NONE if value is None else f"{value:g} s"


def clock(value: float) -> str:
    """Returns a time since the beginning: ``0:07``, ``12:30``."""
    return f"{int(value) // _MINUTE}:{int(value) % _MINUTE:02}"


def size(value: float | None) -> str:
    """Returns a number of bytes in decimal units, as disks are sold: ``512 B``, ``4.1 GB``."""
    if value is None:
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 - what "kilo" means
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def change(now: float | None, before: float | None) -> str:
    """Returns how much more or less it is than before: ``+3.1 s, +8 %``; nothing without both."""
    if now is None or before is None:
        return NONE
    difference = round(now - before, 1)
    if not difference:
        return "same"
    part = f", {percent(100 * (now - before) / before)}" if before > 0 else ""
    return f"{_signed(difference)} s{part}"


def percent(value: float) -> str:
    """Returns a change in whole percent with its sign: ``+8 %``."""
    return f"{_signed(round(value))} %"


def _signed(number: float) -> str:
    return f"+{number}" if number >= 0 else str(number)


def moment(when: datetime) -> str:
    """Returns a date and time to the minute, with its zone: ``2026-11-22 01:19 UTC``."""
    return f"{when:%Y-%m-%d %H:%M %Z}".strip()


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Returns a number with its noun: ``1 file``, ``61,204 files``, ``no files``."""
    noun = thing if number == 1 else things or f"{thing}s"
    return f"{number:,} {noun}" if number else f"no {noun}"
