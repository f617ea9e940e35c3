"""Reading a file that another program still writes, and a log for people made of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Self

from amifactory.errors import AmifactoryError
from amifactory.packer.machine_readable import Ui, Unstructured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from amifactory.packer.machine_readable import Event


class LineReader:
    """Yields the lines that have been completed since it was last asked."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unfinished = b""

    def lines(self) -> Iterator[str]:
        """Yields each line that is complete now."""
        while chunk := self._file.read(1 << 16):
            *complete, self._unfinished = (self._unfinished + chunk).split(b"\n")
            for line in complete:
                yield line.decode(errors="replace")

    def rest(self) -> Iterator[str]:
        """Yields what is left when nobody writes any more, a last unfinished line included."""
        yield from self.lines()
        if self._unfinished:
            yield self._unfinished.decode(errors="replace")
            self._unfinished = b""


class ReadableLog:
    """Writes what Packer says for people, with seconds since the start.

    Raises:
        AmifactoryError: The file cannot be written, as when the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._told():
            self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._told():
            self._file.close()

    def add(self, event: Event, *, seconds: float) -> None:
        """Writes the event, if it is one to read."""
        if isinstance(event, (Ui, Unstructured)):
            with self._told():
                self._file.write(f"{seconds:8.1f}s  {event.text}\n")

    def flush(self) -> None:
        """Makes what was written visible to who follows the log."""
        with self._told():
            self._file.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AmifactoryError(f"cannot write {self._path}: {error.strerror}") from error
