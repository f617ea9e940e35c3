"""What the blocks of ``factory.hcl`` and ``image.hcl`` are made of: the base model, its keys, their types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    StringConstraints,
)

from amifactory.config import grammar
from amifactory.domain.model import Architecture


class Model(BaseModel):
    """A block of a configuration file: frozen, and knowing every key it may have."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_alias=True, validate_by_name=True)


class KeyConflictError(ValueError):
    """One key of a block does not go with its others: the problem stands at that key, not at the block.

    Attributes:
        place: The key, as the file has it; inside a block of the block, that block's name first.
    """

    def __init__(self, message: str, *place: str) -> None:
        super().__init__(message)
        self.place = place


def key(
    description: str,
    *,
    example: object = None,
    default: Any = ...,
    default_text: str | None = None,
    type_text: str | None = None,
    label: bool = False,
    **constraints: Any,
) -> Any:
    """One key of a block: what the generated documentation says of it, and its default."""
    extra: dict[str, Any] = {"since": "0.1", "label": label}
    if default_text is not None:
        extra["default_text"] = default_text
    if type_text is not None:
        extra["type_text"] = type_text
    examples = None if example is None else [example]
    return Field(default, description=description, examples=examples, json_schema_extra=extra, **constraints)


def matching(pattern: str, example: str) -> AfterValidator:
    """Returns a check that the whole value matches ``pattern``; ``example`` is shown when it does not."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f'"{value}" does not look like "{example}"')
        return value

    return AfterValidator(check)


def percent(lowest: int, highest: int) -> BeforeValidator:
    """Returns the reader of a whole percentage from ``lowest`` to ``highest``: ``90%`` is 90."""

    def read(value: object) -> int:
        found = grammar.whole_percentage(value)
        if not lowest <= found <= highest:
            raise ValueError(f'"{value}" is out of range; it can be "{lowest}%" to "{highest}%"')
        return found

    return BeforeValidator(read)


def at_most(longest: timedelta, words: str) -> AfterValidator:
    """Returns a check that a duration is no longer than ``longest``, which ``words`` writes."""

    def check(value: timedelta) -> timedelta:
        if value > longest:
            raise ValueError(f"is too long; AWS takes at most {words}")
        return value

    return AfterValidator(check)


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else grammar.parse_duration(value)


def _wait(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else grammar.parse_wait(value)


def _for_every_architecture(value: object) -> object:
    return dict.fromkeys(Architecture, value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Wait = Annotated[timedelta, BeforeValidator(_wait)]
"""A duration that may be none at all."""
Name = Annotated[StrictStr, AfterValidator(grammar.name)]
Url = Annotated[StrictStr, AfterValidator(grammar.url)]
Text = Annotated[StrictStr, StringConstraints(min_length=1)]
InstanceType = Annotated[StrictStr, matching(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "t3.large")]
InstanceTypes = Annotated[Mapping[Architecture, InstanceType], BeforeValidator(_for_every_architecture)]

ONE_OR_EACH = "string, or object of string"
