"""``factory.hcl`` and every ``image.hcl`` to one `Configuration`, or to every problem they have."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from amifactory.config.cache import Parser
from amifactory.config.factory_models import FactoryFile
from amifactory.config.fleet_relations import check_fleets
from amifactory.config.hcl import HclError
from amifactory.config.image_models import Image
from amifactory.config.models import Configuration
from amifactory.config.reader import Reader
from amifactory.config.relations import Draft, check_relations
from amifactory.errors import ConfigError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amifactory.config.hcl import Body

FACTORY_FILE = Path("factory.hcl")
IMAGES = Path("images")


def load(root: Path, *, grammar_cache: Path | None = None) -> Configuration:
    """Reads and checks the factory in ``root``.

    Unchanged files come out of a cache in ``.amifactory/cache``.

    Args:
        root: The folder of ``factory.hcl``.
        grammar_cache: A file, in a folder of the user's own, for the HCL parser's tables; used only where
            python-hcl2 is installed read-only.

    Raises:
        UsageError: There is no factory here.
        ConfigError: With every problem of every file.
    """
    if not (root / FACTORY_FILE).is_file():
        raise UsageError(
            f"{root / FACTORY_FILE}: no such file, so there is no factory here",
            hint="change to the folder of a factory.hcl, or make one: amifactory init",
        )
    parser = Parser(root / ".amifactory/cache/config.json", grammar_cache=grammar_cache)
    problems: list[Problem] = []
    images = image_folders(root)
    found = _load_factory(root, parser, problems, [folder.name for folder in images])
    drafts = {folder.name: _load_image(root, folder, parser, problems) for folder in images}
    parser.save()
    known = {name: draft for name, draft in drafts.items() if draft is not None}
    problems += check_relations(known, names=tuple(drafts))
    if problems or found is None:
        raise ConfigError(problems)
    return Configuration(
        root=root,
        factory=found.factory.model_copy(update={"build": found.build}),
        images=MappingProxyType(
            {name: draft.image for name, draft in known.items() if draft.image is not None}
        ),
        channels=tuple(sorted(found.channels, key=lambda channel: channel.order)),
        fleets=MappingProxyType({fleet.name: fleet for fleet in found.fleets}),
    )


def image_folders(root: Path) -> list[Path]:
    """Returns the folders that are images: those in ``images`` whose name starts with no ``_`` or ``.``."""
    if not (root / IMAGES).is_dir():
        return []
    return sorted(
        folder for folder in (root / IMAGES).iterdir() if folder.is_dir() and folder.name[0] not in "_."
    )


def read_hcl(root: Path, file: Path, parser: Parser, problems: list[Problem]) -> Body | None:
    """Returns what can be read of a file, if anything; what is wrong with it is added to ``problems``.

    Args:
        root: The folder paths are shown relative to.
        file: Relative to ``root``.
        parser: Parses it.
        problems: What is wrong is added here.
    """
    try:
        return parser.parse((root / file).read_bytes())
    except HclError as error:
        problems += [Problem(file=file, line=line, message=message) for line, message in error.problems]
        return error.body
    except OSError as error:
        problems.append(Problem(file=file, line=None, message=f"cannot be read: {error.strerror}"))
    return None


def _load_factory(
    root: Path, parser: Parser, problems: list[Problem], images: Sequence[str]
) -> FactoryFile | None:
    body = read_hcl(root, FACTORY_FILE, parser, problems)
    if body is None:
        return None
    reader = Reader(FACTORY_FILE)
    found = reader.read(body, FactoryFile)
    check_fleets(reader, root=root, images=images)
    problems += reader.problems
    return found


def _load_image(root: Path, folder: Path, parser: Parser, problems: list[Problem]) -> Draft | None:
    file = IMAGES / folder.name / "image.hcl"
    if not (root / file).exists():
        message = 'no such file; every folder in images/ has one, unless its name starts with "_"'
        problems.append(Problem(file=file, line=None, message=message))
        return None
    body = read_hcl(root, file, parser, problems)
    if body is None:
        return None
    reader = Reader(file)
    image = reader.read(body, Image, {"name": folder.name, "folder": folder})
    problems += reader.problems
    reader.problems.clear()
    return Draft(reader=reader, image=image)
