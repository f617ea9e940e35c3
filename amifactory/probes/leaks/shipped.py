"""What is shipped to everybody is nobody's secret: files as distributions have them."""

from __future__ import annotations

import hashlib
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amifactory.probes.leaks.instance import Instance
    from amifactory.probes.leaks.scan import Finding

_SHIPPED = {"private-key", "cloud-credentials", "docker-auth", "environment-dump"}
_PUBLISHED = re.compile(r"/awscli/examples/|/lib/python3\.\d+/test/")
"""The AWS CLI's examples and Python's tests have keys; both are also installed from archives."""
_LAYER = re.compile(r"^.*?/(?:overlay2?/[^/]+/diff|snapshots/\d+/fs)(?=/)")
"""Where the files of a container image's layer are; its packages are its own."""


def is_as_shipped(finding: Finding, instance: Instance) -> bool:
    """Returns whether it is in a file that is as everybody has it: an example, a test, a manual."""
    if finding.kind not in _SHIPPED:
        return False
    if _PUBLISHED.search(finding.file):
        return True
    layer = _LAYER.match(finding.file)
    top = layer[0] if layer else ""
    path = finding.file[len(top) :]
    shipped = _dpkg_sums(instance.root / top.lstrip("/")).get(path)
    shipped = shipped or (set() if top else _rpm_sums(path, instance.rpm))
    return bool(shipped) and not shipped.isdisjoint(_sums(Path(f"{instance.root}{finding.file}")))


def _sums(file: Path) -> set[str]:
    try:
        content = file.read_bytes()
    except OSError:  # it is gone
        return set()
    return {hashlib.md5(content, usedforsecurity=False).hexdigest(), hashlib.sha256(content).hexdigest()}


@cache
def _dpkg_sums(root: Path) -> Mapping[str, set[str]]:
    """Returns the checksums of each packaged file; it may have come to be below /usr since."""
    sums: dict[str, set[str]] = {}
    for file in (root / "var/lib/dpkg/info").glob("*.md5sums"):
        for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            for path in (f"/{line[34:]}", f"/usr/{line[34:]}"):
                sums.setdefault(path, set()).add(line[:32])
    return sums


def _rpm_sums(path: str, rpm: str) -> set[str]:
    query = [rpm, "--query", "--queryformat", "[%{FILENAMES}\t%{FILEDIGESTS}\n]", "--file", path]
    try:
        ended = subprocess.run(
            query, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return set()
    files = (line.rpartition("\t") for line in ended.stdout.splitlines())
    return {digest for name, _, digest in files if name == path}
