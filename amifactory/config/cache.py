"""Parse results kept between runs, so that only changed files are parsed again.

python-hcl2 takes 4 ms per kilobyte and 0.1 s to start: seconds for a large factory on every command. A
result is kept under the SHA-256 of the file's content, so a hit cannot be out of date; the whole cache is
thrown away when python-hcl2's grammar or the code that reads it changes, or when its check sum is wrong.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amifactory.config import hcl
from amifactory.config.hcl import Block, Body, Expression, Value, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GRAMMAR_CACHE = "hcl2-tables"
"""File in the machine's cache directory for the HCL parser's tables."""


class Parser:
    """Parses HCL, remembering results in ``file``.

    Args:
        file: The cache; None parses everything anew.
        grammar_cache: See `amifactory.config.hcl.parse`.
    """

    def __init__(self, file: Path | None, *, grammar_cache: Path | None = None) -> None:
        self._file = file
        self._grammar_cache = grammar_cache
        self._known = _read(file) if file else {}
        self._used: dict[str, Any] = {}
        self._changed = False

    def parse(self, content: bytes) -> Body:
        """Returns ``content`` as data.

        Raises:
            HclError: It is not HCL. Such results are not remembered.
        """
        key = hashlib.sha256(content).hexdigest()
        known = self._used.get(key) or self._known.get(key)
        if known is not None:
            self._used[key] = known
            return _decode(known)
        body = parse(content, grammar_cache=self._grammar_cache)
        self._used[key] = _encode(body)
        self._changed = True
        return body

    def save(self) -> None:
        """Keeps what was parsed since this object was made, and drops what was not asked for.

        A cache that cannot be written only costs time, so that is not an error.
        """
        if self._file is None or not self._changed:
            return
        payload = json.dumps(self._used, separators=(",", ":"))
        try:
            _write(self._file, f"{_stamp(payload)}\n{payload}")
        except OSError:
            return
        self._changed = False


def _read(file: Path) -> Mapping[str, Any]:
    try:
        stamp, payload = file.read_text("utf-8").split("\n", 1)
    except (OSError, ValueError):
        return {}
    if stamp != _stamp(payload):
        return {}
    found: dict[str, Any] = json.loads(payload)
    return found


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(file)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _stamp(payload: str) -> str:
    digest = hashlib.sha256(payload.encode())
    for source in (Path(__file__), Path(hcl.__file__), *_grammar()):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def _grammar() -> Iterator[Path]:
    """Yields python-hcl2's grammar, found without the 60 ms that importing it takes."""
    spec = importlib.util.find_spec("hcl2")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).with_name("hcl2.lark")


def _encode(body: Body) -> list[Any]:
    return [
        {name: _encode_value(value) for name, value in body.keys.items()},
        [[block.line, block.type, block.labels, _encode(block.body)] for block in body.blocks],
    ]


def _encode_value(value: Value) -> list[Any]:
    match value.data:
        case Expression(text):
            return [value.line, "e", text]
        case tuple(items):
            return [value.line, "t", [_encode_value(item) for item in items]]
        case None | str() | int() | float():
            return [value.line, "l", value.data]
        case mapping:
            return [value.line, "o", {key: _encode_value(item) for key, item in mapping.items()}]


def _decode(data: list[Any]) -> Body:
    keys, blocks = data
    return Body(
        {name: _decode_value(value) for name, value in keys.items()},
        tuple(Block(line, kind, tuple(labels), _decode(body)) for line, kind, labels, body in blocks),
    )


def _decode_value(data: list[Any]) -> Value:
    line, kind, content = data
    match kind:
        case "e":
            return Value(line, Expression(content))
        case "t":
            return Value(line, tuple(_decode_value(item) for item in content))
        case "o":
            return Value(line, {key: _decode_value(item) for key, item in content.items()})
        case _:
            return Value(line, content)
