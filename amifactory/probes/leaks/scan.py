"""Looks for all kinds of leaks in files, and in their names."""

from __future__ import annotations

import itertools
import os
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from amifactory.probes.leaks.disk import CHUNK, chunks_of
from amifactory.probes.leaks.identities import identity_of
from amifactory.probes.leaks.kinds import kinds_within
from amifactory.probes.leaks.needles import Needles, fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from amifactory.probes.leaks.instance import File, Instance
    from amifactory.probes.leaks.values import Secrets

_AHEAD = 32
"""So many files are asked for ahead: a disk made from a snapshot answers slowly, but many at once."""
_PROGRAM = b"\x7fELF"
"""What keys are compiled into it, its makers have given to everybody."""


class Finding(NamedTuple):
    """A leak; ``secret`` names which secret, if it is one's value."""

    kind: str
    file: str
    secret: str = ""

    def as_json(self) -> dict[str, str]:
        """Returns what is reported."""
        return {name: value for name, value in self._asdict().items() if value}


class Scanned(NamedTuple):
    """What came of some files."""

    findings: set[Finding]
    files: int
    read: int
    unreadable: int


class Scan:
    """Looks for all kinds of leaks in files."""

    def __init__(self, instance: Instance, secrets: Secrets) -> None:
        self._instance = instance
        self._secrets = secrets
        self._needles = Needles(secrets.names)

    def run(self, files: Sequence[File]) -> Scanned:
        """Returns what is in some files, and in their names."""
        findings = set(self._in_names(files))
        size = unreadable = 0
        for file, later in itertools.zip_longest(files, files[_AHEAD:]):
            if later:
                self._read_ahead(later)
            try:
                findings.update(self._in_file(file))
                size += min(file.status.st_size, file.status.st_blocks * 512)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was there a moment ago
            except (OSError, EOFError, zlib.error):
                unreadable += 1
        shown = {one._replace(file=self._shown(one.file)) for one in findings}
        return Scanned(shown, len(files), size, unreadable)

    def _in_file(self, file: File) -> Iterator[Finding]:
        own = self._secrets.own.get(file.path) if file.status.st_nlink == 1 else None
        has_kinds = own is None
        with self._opened(file) as descriptor:
            for number, raw in enumerate(chunks_of(file, descriptor)):
                if not number:
                    identity = identity_of(file, raw, self._instance)
                    yield from [Finding(identity, file.path)] if identity else []
                    has_kinds = has_kinds and not raw.startswith(_PROGRAM)
                folded = fold(raw)
                for part in self._needles.within(raw, folded) - (own or frozenset()):
                    yield Finding("secret-value", file.path, self._secrets.names[part])
                kinds = kinds_within(file, raw, folded, self._instance) if has_kinds else set()
                yield from (Finding(kind, file.path) for kind in kinds)

    def _in_names(self, files: Sequence[File]) -> Iterator[Finding]:
        """Looks at all names at once first, as there is hardly ever anything in them."""
        together = b"\n".join(os.fsencode(file.path) for file in files)
        if self._needles.within(together, fold(together)):
            for file in files:
                name = os.fsencode(file.path)
                for part in self._needles.within(name, fold(name)):
                    yield Finding("secret-value", file.path, self._secrets.names[part])

    def _shown(self, path: str) -> str:
        """Returns a path without the secrets in it."""
        names = [os.fsencode(name) for name in path.split("/")]
        shown = b"/".join(b"***" if self._needles.within(name, fold(name)) else name for name in names)
        if self._needles.within(shown, fold(shown)):
            shown = b"/***"
        return shown.decode("utf-8", "backslashreplace")

    @contextmanager
    def _opened(self, file: File) -> Iterator[int]:
        """Opens what was a regular file a moment ago, and does not wait for what it may be by now."""
        path = f"{self._instance.root}{file.path}"
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _read_ahead(self, file: File) -> None:
        with suppress(OSError), self._opened(file) as descriptor:
            os.posix_fadvise(descriptor, 0, CHUNK, os.POSIX_FADV_WILLNEED)
