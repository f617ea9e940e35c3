"""A disk in a temporary folder, to be looked at for leaks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.probes.leaks import main
from amifactory.probes.leaks.disk import walk
from amifactory.probes.leaks.instance import Instance
from amifactory.probes.leaks.scan import Scan
from amifactory.probes.leaks.values import collect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Disk:
    """An instance's root; what is put there is in the AMI, unless the boot was before (``booted_at=0``)."""

    root: Path

    def put(self, path: str, content: str | bytes) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def instance(self, **changes: Any) -> Instance:
        made = Instance(
            root=self.root, booted_at=time.time() + 60, mounts="", keys=frozenset(), workers=1, rpm="no-rpm"
        )
        return made._replace(**changes)

    def leaks(self, *values: str, **changes: Any) -> set[tuple[str, str]]:
        """Returns kind and file of what is found; the values are named by numbers."""
        instance = self.instance(**changes)
        named = [{"name": str(number), "value": value} for number, value in enumerate(values)]
        scanned = Scan(instance, collect(named, instance)).run(list(walk(instance)))
        return {(finding.kind, finding.file) for finding in scanned.findings}

    def report(
        self, values: Mapping[str, str] | None = None, allow: Sequence[str] = (), **changes: Any
    ) -> dict[str, Any]:
        """Returns what the whole program says."""
        named = [{"name": name, "value": value} for name, value in (values or {}).items()]
        return main({"values": named, "allow": list(allow)}, self.instance(**changes))


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture(scope="session")
def new_disk(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Disk]:
    """Makes empty disks, for properties that are tried on many."""
    return lambda: Disk(tmp_path_factory.mktemp("disk"))
