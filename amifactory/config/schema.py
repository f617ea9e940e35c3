"""What a model's keys are in HCL: plain keys, blocks, labels."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, get_args, get_origin

from amifactory.config.fields import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class BlockType:
    """One kind of block inside another: its model, and whether it may come more than once."""

    model: type[Model]
    repeated: bool


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The names a block may hold, and the field its label is stored in."""

    keys: tuple[str, ...]
    blocks: Mapping[str, BlockType]
    label: str | None


@lru_cache
def schema_of(model: type[Model]) -> Schema:
    """Returns the names ``model`` has in a configuration file."""
    keys: list[str] = []
    blocks: dict[str, BlockType] = {}
    label: str | None = None
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        extra = field.json_schema_extra
        extra = extra if isinstance(extra, dict) else {}
        block = _block_type(field.annotation)
        if extra.get("hidden"):
            continue
        if extra.get("label"):
            label = name
        elif block is not None:
            blocks[name] = block
        else:
            keys.append(name)
    return Schema(keys=tuple(keys), blocks=blocks, label=label)


def _block_type(annotation: object) -> BlockType | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return BlockType(model=annotation, repeated=False)
    first = next(iter(get_args(annotation)), None)
    if isinstance(first, type) and issubclass(first, Model):
        return BlockType(model=first, repeated=get_origin(annotation) is tuple)
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns ``; did you mean "…"?`` for the nearest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
