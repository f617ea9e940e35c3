"""Parsed HCL to a validated model, remembering where everything stood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from amifactory.config.hcl import Expression
from amifactory.config.messages import explain
from amifactory.config.schema import did_you_mean, schema_of
from amifactory.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from amifactory.config.fields import Model
    from amifactory.config.hcl import Block, Body, Value
    from amifactory.config.schema import BlockType

    M = TypeVar("M", bound=Model)

Place = tuple[str | int, ...]
"""Where a value stands: ``("secret", 0, "mode")``."""


class Reader:
    """Reads one file into a model; every problem found on the way is in ``problems``."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.data: dict[str, Any] = {}
        self._lines: dict[Place, int] = {}
        self._broken: set[Place] = set()

    def has(self, *place: str | int) -> bool:
        """Says whether the file gives this key or block, right or wrong."""
        return place in self._lines

    def line(self, *place: str | int) -> int | None:
        """Returns the line of a key, or of the innermost thing around it that has one."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place)

    def complain(self, message: str, *place: str | int) -> None:
        """Adds a problem, at the line of ``place``."""
        self.problems.append(Problem(file=self.file, line=self.line(*place), message=message))

    def read(self, body: Body, model: type[M], given: Mapping[str, object] | None = None) -> M | None:
        """Returns the model, or None when anything is wrong.

        Args:
            body: The parsed file.
            model: What the file has to be.
            given: Fields that do not come from the file, such as an image's name.
        """
        self.data = self._block(body, model, ())
        try:
            found = model.model_validate({**self.data, **(given or {})})
        except ValidationError as error:
            for place, message in explain(error, model):
                if place not in self._broken:
                    self.complain(message, *place)
            return None
        return None if self.problems else found

    def _block(self, body: Body, model: type[Model], at: Place) -> dict[str, Any]:
        schema = schema_of(model)
        data: dict[str, Any] = {}
        for name, value in body.keys.items():
            place = (*at, name)
            self._lines[place] = value.line
            if name in schema.keys:
                self._key(data, name, value, place)
            elif name in schema.blocks:
                self._broken.add(place)
                self.complain(f'"{name}" is a block; write {name} {{ … }} without "="', *place)
            else:
                near = did_you_mean(name, (*schema.keys, *schema.blocks))
                self.complain(f'unknown key "{name}"{near}', *place)
        for block in body.blocks:
            known = schema.blocks.get(block.type)
            if known is None:
                self._unknown_block(block, schema.keys, tuple(schema.blocks))
            elif known.repeated:
                self._repeated(data, block, known, at)
            else:
                self._single(data, block, known, at)
        return data

    def _key(self, data: dict[str, Any], name: str, value: Value, place: Place) -> None:
        expression = self._expression(value, place)
        if expression is not None:
            self._broken.add(place)
            self.problems.append(
                Problem(
                    file=self.file,
                    line=expression[0],
                    message=f'"{name}" is computed by {expression[1]}; only plain values can stand here',
                )
            )
            return
        plain = _plain(value)
        if plain is not None:
            data[name] = plain

    def _expression(self, value: Value, place: Place) -> tuple[int, str] | None:
        """Returns the first expression inside ``value``; notes the lines of all items on the way."""
        self._lines[place] = value.line
        if isinstance(value.data, Expression):
            return value.line, value.data.text
        items: list[tuple[str | int, Value]] = []
        if isinstance(value.data, dict):
            items = list(value.data.items())
        elif isinstance(value.data, tuple):
            items = list(enumerate(value.data))
        found = [self._expression(item, (*place, key)) for key, item in items]
        return next((expression for expression in found if expression), None)

    def _unknown_block(self, block: Block, keys: tuple[str, ...], blocks: tuple[str, ...]) -> None:
        if block.type in keys:
            message = f'"{block.type}" is a key; write {block.type} = …'
        else:
            message = f'unknown block "{block.type}"{did_you_mean(block.type, (*blocks, *keys))}'
        self.problems.append(Problem(file=self.file, line=block.line, message=message))

    def _single(self, data: dict[str, Any], block: Block, known: BlockType, at: Place) -> None:
        place = (*at, block.type)
        if place in self._lines:
            message = f'block "{block.type}" is given twice; the first is on line {self._lines[place]}'
            self.problems.append(Problem(file=self.file, line=block.line, message=message))
            return
        self._lines[place] = block.line
        data[block.type] = self._labelled(block, known, place)

    def _repeated(self, data: dict[str, Any], block: Block, known: BlockType, at: Place) -> None:
        blocks = data.setdefault(block.type, [])
        place = (*at, block.type, len(blocks))
        self._lines[place] = block.line
        label = schema_of(known.model).label
        earlier = [number for number, other in enumerate(blocks) if (other.get(label),) == block.labels]
        if earlier:
            first = self.line(*at, block.type, earlier[0])
            what = f'{block.type} "{block.labels[0]}"'
            self.complain(f"{what} is given twice; the first is on line {first}", *place)
        blocks.append(self._labelled(block, known, place))

    def _labelled(self, block: Block, known: BlockType, place: Place) -> dict[str, Any]:
        data = self._block(block.body, known.model, place)
        label = schema_of(known.model).label
        wanted = 0 if label is None else 1
        if len(block.labels) != wanted:
            shape = f'{block.type} "{label}" {{ … }}' if wanted else f"{block.type} {{ … }}"
            self.complain(f"write this block as {shape}", *place)
            self._broken.add((*place, label or ""))
        elif label is not None:
            data[label] = block.labels[0]
        return data


def _plain(value: Value) -> Any:
    if isinstance(value.data, tuple):
        return [_plain(item) for item in value.data]
    if isinstance(value.data, dict):
        return {key: _plain(item) for key, item in value.data.items()}
    return value.data
