"""What can be found wrong with images before anything of them is built or verified."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from amifactory.config.cache import GRAMMAR_CACHE
from amifactory.config.templates import check_templates
from amifactory.errors import ConfigError, Problem, UsageError
from amifactory.operations.lineage import hooks_folder, shared_folder
from amifactory.packer.context import context_files

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from amifactory.config.models import Configuration
    from amifactory.operations.workshop import Workshop
    from amifactory.packer.context import ContextFile


def check_recipes(workshop: Workshop, names: Collection[str]) -> None:
    """Raises what `amifactory validate` would say of the named images.

    Raises:
        ConfigError: With every problem of their templates, scripts and specs.
    """
    configuration = workshop.configuration
    chosen = replace(configuration, images={name: configuration.images[name] for name in sorted(names)})
    problems = check_templates(chosen, grammar_cache=workshop.cache / GRAMMAR_CACHE)
    problems += check_contexts(chosen)
    if problems:
        raise ConfigError(problems)


def check_contexts(configuration: Configuration) -> tuple[Problem, ...]:
    """Returns what keeps images' build contexts from being put together: colliding or irregular files."""
    shared: dict[Path, tuple[ContextFile, ...]] = {}
    problems = []
    for image in configuration.images.values():
        folders = (image.folder, shared_folder(configuration), hooks_folder(configuration))
        try:
            context_files(*folders, folders=shared)
        except UsageError as error:
            folder = image.folder.relative_to(configuration.root)
            problems.append(Problem(file=folder, line=None, message=error.message))
    return tuple(problems)
