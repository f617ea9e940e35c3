"""The digest of the specs a build was verified with, so that a changed spec is noticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LENGTH = 16


def spec_digest(folders: Iterable[Path], *, known: dict[Path, str] | None = None) -> str:
    """Returns the first 16 hexadecimal digits of a SHA-256 over all files in the spec folders.

    Args:
        folders: ``…/<image>/spec``; order does not matter. Where the factory lies does not matter either.
        known: Folder to digest. Given to all images of a run, each folder is read once.
    """
    known = {} if known is None else known
    for folder in (folders := sorted(folders)):
        if folder not in known:
            known[folder] = _folder_digest(folder)
    lines = sorted(f"{folder.parent.name} {known[folder]}\n" for folder in folders)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:_LENGTH]


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        if file.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
