"""Writes what the instance hooks are to do, and prints which kinds of it: ``boot``, ``build``, ``drain``.

Usage: write_settings.py FOLDER, with SECRETS and DRAIN (JSON) in the environment. They include what the image
has from those it is built on, so what the parent wrote is replaced; an empty DRAIN is none.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(folder: Path, environ: Mapping[str, str]) -> None:
    """Writes ``secrets.json``, and ``drain.json`` where there is something to drain for."""
    secrets: list[dict[str, Any]] = json.loads(environ["SECRETS"])
    drain = json.loads(environ["DRAIN"] or "null")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "secrets.json", secrets)
    if drain:
        write(folder / "drain.json", drain)
    else:
        (folder / "drain.json").unlink(missing_ok=True)
    wanted = {secret["when"] for secret in secrets} | ({"drain"} if drain else set())
    sys.stdout.write(" ".join(sorted(wanted)) + "\n")


def write(file: Path, content: object) -> None:
    """Writes JSON that people can read."""
    file.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), os.environ)
