"""What is shipped: the wheel holds all that a user gets, and a factory made from it is valid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_brings_images_hooks_and_a_factory(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--target", str(tmp_path / "site"), str(wheel)),
        ],
        check=True,
        capture_output=True,
    )
    made = tmp_path / "ci"
    run = "import sys; from amifactory.cli.main import main; sys.argv = ['amifactory', *sys.argv[1:]]; main()"
    for command in (["init", str(made)], ["-C", str(made), "validate"]):
        subprocess.run(
            [sys.executable, "-P", "-c", run, *command],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            check=True,
        )
    shipped = {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
    here = {
        path.relative_to(ROOT)
        for part in ("images", "hooks")
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert here <= shipped
    for path in here:
        assert (made / path).stat().st_mode & 0o111 == (ROOT / path).stat().st_mode & 0o111, path
