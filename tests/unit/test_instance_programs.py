"""What runs on instances runs there: on Python 3.9, that of Amazon Linux 2023, and its own library alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOKS, PROVISION, PROBES = (
    ROOT / folder for folder in ("hooks/instance", "images/_shared/provision/lib", "amifactory/probes")
)
STAYS_HERE = PROBES / "run.py"
PROGRAMS = [
    file for folder in (HOOKS, PROVISION, PROBES) for file in folder.rglob("*.py") if file != STAYS_HERE
]
LIBRARY = sys.stdlib_module_names - {"tomllib"}
"""The one of these modules that is younger."""


def test_there_are_some_in_each_folder() -> None:
    names = {str(file.relative_to(ROOT)) for file in PROGRAMS}
    assert names >= {
        "hooks/instance/drain.py",
        "images/_shared/provision/lib/write_settings.py",
        "amifactory/probes/bootstrap.py",
    }


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: str(file.relative_to(ROOT)))
def test_python_3_9_runs_it_with_its_own_library(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {name for name in imported if name.partition(".")[0] not in LIBRARY}
    assert {name for name in foreign if not beside(name, file)} == set()


def beside(module: str, program: Path) -> bool:
    """Whether a module is there where the program is: in the folder of the hooks, or a probe sent with it."""
    if HOOKS in program.parents:
        return (HOOKS / f"{module}.py").exists()
    return (
        PROBES in program.parents
        and module.startswith("amifactory.probes.")
        and module != "amifactory.probes.run"
    )
