"""Looks at a freshly booted instance's disk as an attacker would: what of its makers did the AMI keep?

Runs on the instance as root, beside the spec: one worker for each core, at low priority. Every file is read
once.

Input: ``{"values": [{"name": "what it is", "value": "…"}], "allow": ["kind:glob of paths"]}``. The secrets
that the instance fetched are read where ``/etc/amifactory/secrets.json`` says. No value is in the output, not
even in a file's name.
"""

from __future__ import annotations

import fnmatch
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amifactory.probes.leaks.disk import walk
from amifactory.probes.leaks.instance import METADATA_SERVICE, booted_instance, given_keys
from amifactory.probes.leaks.scan import Scan
from amifactory.probes.leaks.shipped import is_as_shipped
from amifactory.probes.leaks.values import collect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from amifactory.probes.leaks.instance import File, Instance
    from amifactory.probes.leaks.scan import Finding

_BATCH = 1 << 25
_OPENING = 1 << 14
"""To open a file takes as long as to scan so many bytes."""
_NICENESS = 10
"""The spec, which runs at the same time, comes first."""


def main(given: Mapping[str, Any], instance: Instance | None = None) -> dict[str, Any]:
    """Returns the findings, those that are allowed, and how much was read, in how many seconds."""
    began = time.monotonic()
    here = instance or booted_instance(Path("/"), given_keys(METADATA_SERVICE))
    secrets = collect(given["values"], here)
    fork = get_context("fork")  # the modules are not where another Python would find them
    with ProcessPoolExecutor(here.workers, fork, os.nice, (_NICENESS,)) as workers:
        scanned = list(workers.map(Scan(here, secrets).run, _batches(walk(here))))
    leaks = sorted(set().union(*(one.findings for one in scanned)))
    found = [one for one in leaks if not is_as_shipped(one, here)]
    allowed = [one for one in found if _is_allowed(one, given["allow"])]
    return {
        "files": sum(one.files for one in scanned),
        "bytes": sum(one.read for one in scanned),
        "seconds": round(time.monotonic() - began, 2),
        "findings": [one.as_json() for one in found if one not in allowed],
        "allowed": [one.as_json() for one in allowed],
        "unreadable": sum(one.unreadable for one in scanned),
        "not_searched": secrets.not_searched,
        "unread": secrets.unread,
    }


def _batches(files: Iterable[File]) -> Iterator[list[File]]:
    """Yields the files in lots that take about as long."""
    batch: list[File] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.status.st_size + _OPENING
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def _is_allowed(finding: Finding, allow: Iterable[str]) -> bool:
    rules = (rule.partition(":") for rule in allow)
    return any(
        kind in {"*", finding.kind} and fnmatch.fnmatchcase(finding.file, glob) for kind, _, glob in rules
    )
