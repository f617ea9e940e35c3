r"""Reads what ``packer build -machine-readable`` prints, line by line.

A line is ``timestamp,target,type,data…``. Within a value a comma is ``%!(PACKER_COMMA)`` and a line
break ``\n`` or ``\r``. Packer does not escape backslashes, so a ``\n`` that a program printed as two
characters reads as a line break too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from amifactory.domain.model import AmiId
from amifactory.packer.steps import Step, read_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COMMA = "%!(PACKER_COMMA)"
_FEWEST_VALUES = 3
_PREFIX = re.compile(r"(?:==>|-->|   ) [\w.-]+: ?")
_LEFT_OUT = re.compile(r"amifactory:left-out:(?P<tool>[^:\s]+):\s*(?P<why>.*)")
_INSTANCE = re.compile(r"Instance ID: (?P<id>i-[0-9a-f]+)")
_AMI = re.compile(r"(?P<region>[a-z0-9-]+):(?P<id>ami-[0-9a-f]+)")


class UiKind(StrEnum):
    """How Packer means a line; what a provisioner writes to stderr comes as an error."""

    SAY = "say"
    MESSAGE = "message"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Ui:
    """A line meant for people, without Packer's ``==> source.name:`` before it."""

    kind: UiKind
    text: str


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A provisioner left a tool out of the image, and says why."""

    tool: str
    why: str


@dataclass(frozen=True, kw_only=True)
class InstanceLaunched:
    """The build instance exists; until Packer terminates it, it costs money."""

    instance_id: str


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An AMI that the build made."""

    ami_id: AmiId
    region: str


@dataclass(frozen=True, kw_only=True)
class ErrorEvent:
    """Why a build failed, in Packer's words."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Unstructured:
    """A line that is not in the format: a crash, or a program that wrote past Packer."""

    text: str


Event = Ui | Step | LeftOut | InstanceLaunched | Artifact | ErrorEvent | Unstructured


def read_line(line: str) -> tuple[Event, ...]:
    """Returns what one line of output says; a line can be several events, or none of interest."""
    line = line.rstrip("\r\n")
    timestamp, _, rest = line.partition(",")
    values = rest.split(",")
    if not (timestamp.isascii() and timestamp.isdigit()) or len(values) < _FEWEST_VALUES - 1:
        return (Unstructured(text=line),) if line.strip() else ()
    kind, data = values[1], [unescape(value) for value in values[2:]]
    return tuple(_read_values(kind, data))


def escape(text: str) -> str:
    """Returns the text as Packer writes it into a value."""
    return text.replace(",", _COMMA).replace("\r", "\\r").replace("\n", "\\n")


def unescape(value: str) -> str:
    """Returns the text that Packer wrote into a value."""
    return value.replace(_COMMA, ",").replace("\\n", "\n").replace("\\r", "\r")


def _read_values(kind: str, data: Sequence[str]) -> Iterator[Event]:
    match kind, *data:
        case "ui", "say" | "message" | "error" as ui_kind, text:
            yield from _read_ui(UiKind(ui_kind), text)
        case "artifact", _, "id", text:
            for match in _AMI.finditer(text):
                yield Artifact(ami_id=AmiId(match["id"]), region=match["region"])
        case "error", text:
            yield ErrorEvent(text=text.strip())


def _read_ui(kind: UiKind, text: str) -> Iterator[Event]:
    for line in text.strip("\n").split("\n"):
        bare = _PREFIX.sub("", line, count=1) if _PREFIX.match(line) else line
        if kind is UiKind.SAY and line.startswith("==> ") and (step := read_step(bare)):
            yield step
        yield Ui(kind=kind, text=bare.rstrip())
        if match := _LEFT_OUT.match(bare):
            yield LeftOut(tool=match["tool"], why=match["why"].strip())
        if match := _INSTANCE.match(bare):
            yield InstanceLaunched(instance_id=match["id"])
