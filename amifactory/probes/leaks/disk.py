"""Which files there are on an instance's disks, and what is in them."""

from __future__ import annotations

import errno
import gzip
import os
import re
import stat
from typing import TYPE_CHECKING

from amifactory.probes.leaks.instance import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from amifactory.probes.leaks.instance import Instance

CHUNK = 1 << 20
OVERLAP = 1 << 14
"""How many bytes of a chunk are looked at again with the next: more than anything looked for is long."""
_ON_DISK = {"btrfs", "zfs"}
"""File systems on disks though they have no device number of one."""
_PACKED = {"squashfs", "iso9660"}
"""Nobody can have written to these; a snap is one."""
_VOLATILE_LOGS = "run/log"
"""Where the journal is when it does not survive a reboot. A secret that is logged there is logged."""


def walk(instance: Instance) -> Iterator[File]:
    """Yields every regular file on a disk once, whatever names it has; pseudo file systems are left out."""
    seen: set[tuple[int, int]] = set()
    on_disk = {status.st_dev for status in map(_status, mount_points(instance)) if status}
    yield from _below(str(instance.root), on_disk, seen, instance)
    logs = _status(str(instance.root / _VOLATILE_LOGS))
    if logs:
        yield from _below(str(instance.root / _VOLATILE_LOGS), {logs.st_dev}, seen, instance)


def mount_points(instance: Instance) -> list[str]:
    """Returns where file systems are mounted that are on a disk, and the root in any case."""
    places = [str(instance.root)]
    for line in instance.mounts.splitlines():
        (_, _, number, _, place, *_), kind = line.split(), line.partition(" - ")[2].split()[0]
        if (not number.startswith("0:") or kind in _ON_DISK) and kind not in _PACKED:
            places.append(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), place))
    return places


def _below(top: str, devices: set[int], seen: set[tuple[int, int]], instance: Instance) -> Iterator[File]:
    """Yields the files below a folder that are on one of some devices, and notes what it has seen."""
    outside = len(str(instance.root).rstrip("/"))
    waiting = [top]
    while waiting:
        for path in _entries(waiting.pop()):
            status = _status(path)
            if status is None or (status.st_dev, status.st_ino) in seen:
                continue
            if stat.S_ISDIR(status.st_mode) and status.st_dev in devices:
                waiting.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield File(path[outside:], status)
            else:
                continue
            seen.add((status.st_dev, status.st_ino))


def _entries(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries]
    except OSError:  # it is gone
        return []


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def chunks_of(file: File, descriptor: int) -> Iterator[bytes]:
    """Yields a file's content; each chunk begins with the end of the one before, unless a hole is between."""
    if file.path.startswith("/var/log/") and file.path.endswith(".gz"):
        with os.fdopen(os.dup(descriptor), "rb") as packed, gzip.open(packed) as unpacked:
            yield from _overlapping(iter(lambda: unpacked.read(CHUNK), b""))
    elif file.status.st_blocks * 512 < file.status.st_size:
        for start, end in _extents(descriptor):
            yield from _overlapping(_parts(descriptor, start, end))
    else:
        yield from _overlapping(_parts(descriptor, 0, file.status.st_size))


def _parts(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    return (os.pread(descriptor, min(CHUNK, end - offset), offset) for offset in range(start, end, CHUNK))


def _overlapping(parts: Iterable[bytes]) -> Iterator[bytes]:
    tail = b""
    for part in parts:
        yield tail + part
        tail = (tail + part)[-OVERLAP:]


def _extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Yields where a sparse file has content: its holes may be larger than any disk."""
    end = 0
    while True:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left (lseek(2))
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end
