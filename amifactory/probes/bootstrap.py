"""What runs first on the instance: imports the probe from what was sent, and runs it.

Python 3.9 and its standard library. It goes as an argument, so it is small; the rest comes on stdin.
"""

from __future__ import annotations

import importlib
import json
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.util import spec_from_loader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class SentModules(MetaPathFinder, Loader):
    """Imports modules from their sources, by full name; packages have modules below them."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Returns how to load a module that was sent."""
        del path, target
        if name not in self._sources:
            return None
        is_package = any(other.startswith(f"{name}.") for other in self._sources)
        return spec_from_loader(name, self, is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        """Runs a module's source in it."""
        exec(compile(self._sources[module.__name__], module.__name__, "exec"), module.__dict__)  # noqa: S102


def main() -> None:
    """Reads what was sent, and writes what the probe returns."""
    sent = json.load(sys.stdin)
    sys.meta_path.insert(0, SentModules(sent["sources"]))
    probe = importlib.import_module(sent["probe"])
    json.dump(probe.main(sent["given"]), sys.stdout)


if __name__ == "__main__":
    main()
