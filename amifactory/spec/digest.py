"""The digest of what a build was verified by, so that a changed spec or limit is noticed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from amifactory.domain.staleness import LIMITS_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from amifactory.domain.cold_start import Budget

_LENGTH = 16
_LIMITS_LENGTH = 8


def verification_digest(
    folders: Iterable[Path],
    *,
    budget: Budget,
    allow_leaks: Iterable[str],
    known: dict[Path, str] | None = None,
) -> str:
    """Returns the digest of the specs, and after `LIMITS_MARK` that of the limits, unless nothing is limited.

    Args:
        folders: As for `spec_digest`.
        budget: The limits that a build's cold start is judged by.
        allow_leaks: Findings of the leak scan to live with; order does not matter.
        known: As for `spec_digest`.
    """
    return spec_digest(folders, known=known) + _limits_digest(budget, sorted(set(allow_leaks)))


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


def _limits_digest(budget: Budget, allow_leaks: list[str]) -> str:
    given = {**asdict(budget), "allow_leaks": allow_leaks or None}
    limits = {name: value for name, value in given.items() if value is not None}
    if not limits:
        return ""
    text = json.dumps(limits, sort_keys=True)
    return LIMITS_MARK + hashlib.sha256(text.encode()).hexdigest()[:_LIMITS_LENGTH]


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        if file.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
