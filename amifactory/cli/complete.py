"""What a shell completes the name of a build to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from amifactory.cli.app import App, Options, image_names

if TYPE_CHECKING:
    import click


def build_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the images, and the AMIs that were verified from this directory."""
    directory: Path = ctx.find_root().params.get("directory") or Path()
    root = App(Options(directory=directory, sandbox=False, profile=None), environment={}).root
    reports = sorted(folder.name for folder in (root / ".amifactory" / "reports").glob("ami-*"))
    return image_names(ctx, parameter, incomplete) + [name for name in reports if name.startswith(incomplete)]
