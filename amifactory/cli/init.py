"""``amifactory init``."""

from __future__ import annotations

import re
import shlex
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from amifactory.cli.app import App, pass_app
from amifactory.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

PARTS = (
    *("factory.hcl", "images", "hooks"),
    *("docs/configuration.md", "docs/verification.md", "docs/draining.md", "docs/promotion.md"),
)
IGNORE = ".amifactory/\n"


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="The factory's name.  [default: the directory's]")
@click.option("--region", default="eu-central-1", show_default=True, help="AWS region.")
@click.option("--state-bucket", help="S3 bucket for reports.  [default: NAME-amifactory-state]")
@pass_app
def init(app: App, directory: Path, name: str | None, region: str, state_bucket: str | None) -> None:
    """Make a factory of your own: factory.hcl, images and hooks to start from.

    Nothing that exists is overwritten.

    \b
    Examples:
      amifactory init ci-images
      amifactory init . --name ci --region us-east-1 --state-bucket example-ci-state
    """
    target = (app.options.directory / directory).resolve()
    name = name or re.sub(r"[^a-z0-9-]+", "-", target.name.lower()).strip("-") or "example"
    taken = [part for part in PARTS if (target / part).exists()]
    if taken:
        raise UsageError(f"{target} already has {', '.join(taken)}", hint="Choose another directory.")
    target.mkdir(parents=True, exist_ok=True)
    for part, source in _skeleton():
        with as_file(source) as path:
            if path.is_dir():
                shutil.copytree(path, target / part, ignore=shutil.ignore_patterns("__pycache__"))
            elif path.suffix == ".md":
                (target / part).parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target / part)
            else:
                text = path.read_text()
                text = re.sub(r'(?m)^factory "[^"]*"', f'factory "{name}"', text)
                text = re.sub(r'(?m)^(\s*region\s*=\s*)"[^"]*"', rf'\g<1>"{region}"', text)
                bucket = state_bucket or f"{name}-amifactory-state"
                text = re.sub(r'(?m)^(\s*state_bucket\s*=\s*)"[^"]*"', rf'\g<1>"{bucket}"', text)
                (target / part).write_text(text)
    if not (target / ".gitignore").exists():
        (target / ".gitignore").write_text(IGNORE)
    click.echo(f"Made {target}. Next:")
    folder = shlex.quote(str(directory))
    click.echo(f"  amifactory -C {folder} validate")
    click.echo(f"  amifactory -C {folder} --sandbox build")


def _skeleton() -> Iterator[tuple[str, Traversable]]:
    """Yields what the package ships; a checkout has it at its top instead."""
    shipped = files("amifactory") / "skeleton"
    base = shipped if shipped.is_dir() else files("amifactory") / ".."
    for part in PARTS:
        yield part, base / part
