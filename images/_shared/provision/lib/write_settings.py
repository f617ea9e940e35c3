"""Writes what the instance hooks are to do, and prints which kinds of it: ``boot``, ``build``, ``drain``.

Usage: write_settings.py FOLDER, with the image's SECRETS and DRAIN (JSON) in the environment. What the parent
image wrote stays, unless this one says otherwise: of secrets, for the same path.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def merged(secrets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the last secret for each path, in order of paths."""
    by_path = {secret["path"]: secret for secret in secrets}
    return [by_path[path] for path in sorted(by_path)]


def check_names(secrets: list[dict[str, Any]]) -> None:
    """Ends the build when two secrets share a name: logs and states could not tell them apart."""
    paths: dict[str, str] = {}
    for secret in secrets:
        name, path = secret["name"], secret["path"]
        if name in paths:
            sys.exit(
                f'install-hooks: secret "{name}" is for {paths[name]} and for {path}: rename one of them'
            )
        paths[name] = path


def main(folder: Path) -> None:
    """Reads what is there and what is given, writes both as one."""
    folder.mkdir(parents=True, exist_ok=True)
    listed, drain = folder / "secrets.json", folder / "drain.json"
    inherited = json.loads(listed.read_text()) if listed.exists() else []
    secrets = merged([*inherited, *json.loads(os.environ["SECRETS"])])
    check_names(secrets)
    listed.write_text(json.dumps(secrets, indent=2) + "\n")
    if os.environ["DRAIN"]:
        drain.write_text(json.dumps(json.loads(os.environ["DRAIN"]), indent=2) + "\n")
    wanted = {secret["when"] for secret in secrets} | ({"drain"} if drain.exists() else set())
    sys.stdout.write(" ".join(sorted(wanted)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
