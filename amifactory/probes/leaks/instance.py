"""The instance whose disk is looked at, and what tells its own from what came with the AMI."""

from __future__ import annotations

import os
import re
import time
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

PUBLIC_KEY = re.compile(rb"^[^#\n]*?\b(?:ssh|ecdsa|sk)-[\w@.-]+\s+([A-Za-z0-9+/=]{32,})", re.MULTILINE)
"""A line of ``authorized_keys``."""


class Instance(NamedTuple):
    """What is looked at.

    Attributes:
        booted_at: Start of process 1, in seconds since 1970.
        mounts: ``/proc/self/mountinfo``.
        keys: The base64 part of the public keys this boot was given; None when that is unknown.
        rpm: The program that knows what packages were shipped with.
    """

    root: Path
    booted_at: float
    mounts: str
    keys: frozenset[bytes] | None
    workers: int
    rpm: str = "rpm"

    def had(self, file: File) -> bool:
        """Returns whether a file came with the AMI: when it, or at least its content, last changed tells.

        On an overlay, to open a file for writing is a change of the file, even if nothing is written.
        """
        return min(file.status.st_ctime, file.status.st_mtime) < self.booted_at


class File(NamedTuple):
    """A regular file as the walk saw it; ``path`` is that on the instance, below its root."""

    path: str
    status: os.stat_result


METADATA_SERVICE = "169.254.169.254"
_START_TIME = 19
"""Which field after the name in ``/proc/<pid>/stat`` is the start time (proc(5): field 22 of all)."""


def booted_instance(root: Path, keys: frozenset[bytes] | None) -> Instance:
    """Returns the instance this runs on, or what of it is below a folder."""
    kernel_started_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = int(Path("/proc/1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[_START_TIME])
    return Instance(
        root=root,
        booted_at=kernel_started_at + ticks / os.sysconf("SC_CLK_TCK"),
        mounts=Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"),
        keys=keys,
        workers=len(os.sched_getaffinity(0)),
    )


def given_keys(service: str) -> frozenset[bytes] | None:
    """Returns the public keys that EC2's metadata service names; None when it does not answer."""
    connection = HTTPConnection(service, timeout=2)

    def ask(method: str, path: str, **headers: str) -> str:
        named = {f"X-aws-ec2-metadata-{name}": value for name, value in headers.items()}
        connection.request(method, f"/latest/{path}", headers=named)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:  # the latter where there is no key
            raise HTTPException(answer.reason)
        return text if answer.status == HTTPStatus.OK else ""

    with closing(connection), suppress(OSError, HTTPException):
        token = ask("PUT", "api/token", **{"token-ttl-seconds": "60"})
        listed = ask("GET", "meta-data/public-keys/", token=token)
        numbers = [line.partition("=")[0] for line in listed.splitlines()]
        texts = [ask("GET", f"meta-data/public-keys/{number}/openssh-key", token=token) for number in numbers]
        return frozenset(key for text in texts for key in PUBLIC_KEY.findall(text.encode()))
    return None
