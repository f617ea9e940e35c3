"""Mistakes in Packer's language that can be told without Packer: unknown blocks, references to nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from amifactory.config.hcl import Block, Body, Expression, Value
from amifactory.config.schema import did_you_mean
from amifactory.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

TOP_BLOCKS = frozenset({"build", "data", "local", "locals", "packer", "source", "variable", "variables"})
BUILD_BLOCKS = frozenset(
    {
        "error-cleanup-provisioner",
        "hcp_packer_registry",
        "post-processor",
        "post-processors",
        "provisioner",
        "source",
    }
)
_REFERENCE = re.compile(r"(?<![\w.])(var|local)\.([A-Za-z_][\w-]*)")


def check_blocks(file: Path, body: Body) -> Iterator[Problem]:
    """Yields the blocks of a template that Packer does not know."""
    yield from _unknown(file, body.blocks, TOP_BLOCKS)
    for block in body.blocks:
        if block.type == "build":
            yield from _unknown(file, block.body.blocks, BUILD_BLOCKS)


def _unknown(file: Path, blocks: Iterable[Block], known: frozenset[str]) -> Iterator[Problem]:
    for block in blocks:
        if block.type not in known:
            message = f'unknown block "{block.type}"{did_you_mean(block.type, known)}'
            yield Problem(file=file, line=block.line, message=message)


def check_references(templates: Sequence[tuple[Path, Body]]) -> Iterator[Problem]:
    """Yields each ``var.x`` and ``local.x`` that no template of an image declares."""
    declared: Mapping[str, set[str]] = {"var": set(), "local": set()}
    for _, body in templates:
        for block in body.blocks:
            kind = "var" if block.type.startswith("variable") else "local"
            if block.type in {"variable", "local"}:
                declared[kind].update(block.labels)
            elif block.type in {"variables", "locals"}:
                declared[kind].update(block.body.keys)
    for file, body in templates:
        for line, kind, name in _references(body):
            if name not in declared[kind]:
                near = did_you_mean(name, declared[kind])
                yield Problem(file=file, line=line, message=f'"{kind}.{name}" is not declared{near}')


def _references(body: Body) -> Iterator[tuple[int, str, str]]:
    for value in body.keys.values():
        yield from _in_value(value)
    for block in body.blocks:
        yield from _references(block.body)


def _in_value(value: Value) -> Iterator[tuple[int, str, str]]:
    match value.data:
        case Expression(text):
            for match in _REFERENCE.finditer(text):
                yield value.line + text.count("\n", 0, match.start()), match[1], match[2]
        case tuple(items):
            for item in items:
                yield from _in_value(item)
        case dict() as items:
            for item in items.values():
                yield from _in_value(item)
