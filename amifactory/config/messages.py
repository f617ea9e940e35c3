"""pydantic's findings in the words of the person who wrote the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from amifactory.config.fields import KeyConflictError
from amifactory.config.schema import did_you_mean, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError

    from amifactory.config.fields import Model

_KINDS = {
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "mapping_type": 'an object, { key = "value" }',
    "dict_type": 'an object, { key = "value" }',
    "tuple_type": 'a list, ["value"]',
}

_LIMITS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def explain(error: ValidationError, model: type[Model]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yields where each error stands and what is wrong there."""
    details = error.errors(include_url=False)
    for detail in details:
        place = tuple(part for part in detail["loc"] if part != "[key]")
        inner = any(
            other["loc"][: len(place)] == place and other["loc"] != detail["loc"] for other in details
        )
        if detail["type"] == "too_short" and inner:
            continue  # it is only short of the items that are wrong themselves
        block = schema_of(model).blocks.get(str(place[0])) if len(place) == 1 else None
        if block is not None and detail["type"] == "missing":
            label = schema_of(block.model).label
            yield place, f'missing block {place[0]} "{label}" {{ … }}'
        elif "[key]" in detail["loc"]:
            yield place, _sentence(dict(detail), _key(place[:-1], model))
        else:
            yield (*place, *_within(dict(detail))), _sentence(dict(detail), _key(place, model))


def _within(detail: dict[str, Any]) -> tuple[str, ...]:
    """Returns which key of a block a finding about the whole block is about, if it says so."""
    error = detail.get("ctx", {}).get("error")
    return error.place if isinstance(error, KeyConflictError) else ()


def _key(place: tuple[str | int, ...], model: type[Model]) -> str:
    """Returns the key as its block sees it: ``mode`` for ``("secret", 0, "mode")``, ``tools.node``."""
    if place == ("name",) and schema_of(model).label != "name":
        return "folder name"
    words: list[str] = []
    for part in place:
        block = schema_of(model).blocks.get(str(part))
        if block is not None and not words:
            model = block.model
        elif isinstance(part, str):
            words.append(part)
    return ".".join(words)


def _sentence(detail: dict[str, Any], key: str) -> str:
    """Returns what is wrong with ``key``, in one sentence."""
    context, given = detail.get("ctx", {}), detail["input"]
    match detail["type"]:
        case "missing":
            sentence = f'missing key "{key}"'
        case "value_error":
            sentence = f"{key} {context['error']}".lstrip()
        case "enum" | "literal_error":
            sentence = f'"{key}" must be {_choices(context["expected"], given)}'
        case ("greater_than_equal" | "less_than_equal") as kind:
            words, limit = _LIMITS[kind]
            sentence = f'"{key}" must be {words} {context[limit]}, not {given}'
        case "too_short" | "string_too_short":
            sentence = f'"{key}" must not be empty'
        case "too_long" | "string_too_long":
            sentence = f'"{key}" is too long: at most {context["max_length"]}, not {len(given)}'
        case kind:
            sentence = f'"{key}" must be {_KINDS.get(kind, detail["msg"])}, not {_described(given)}'
    return sentence


def _choices(expected: str, given: object) -> str:
    words = expected.replace("'", "").replace(" or ", ", ").split(", ")
    near = did_you_mean(str(given), words)
    return f"{' or '.join(json.dumps(word) for word in words)}, not {_described(given)}{near}"


def _described(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, dict):
        return "an object"
    return "a list"
