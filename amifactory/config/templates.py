"""Finds what is wrong in an image's Packer templates, scripts and specs before Packer or AWS is asked."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from amifactory.config.cache import Parser
from amifactory.config.hcl import Block, Body, Expression, Value
from amifactory.config.load import IMAGES, read_hcl
from amifactory.config.schema import did_you_mean
from amifactory.config.template_language import check_blocks, check_references
from amifactory.domain.variables import PASSED_VARIABLES
from amifactory.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amifactory.config.models import Configuration, Image

SHARED = IMAGES / "_shared"
INSTANCE_HOOKS = Path("hooks/instance")
_IN_CONTEXT = re.compile(r'"\$\{path\.(?:root|cwd)\}/([^$%]+)"')
_EXECUTABLE = 0o111
_SHELL_ERROR = re.compile(r"line (\d+): (.+)")


@dataclass(frozen=True, kw_only=True)
class Template:
    """A parsed ``*.pkr.hcl``, its path relative to the factory's root."""

    file: Path
    body: Body


def check_templates(configuration: Configuration, *, grammar_cache: Path | None = None) -> list[Problem]:
    """Returns what is wrong in the templates, scripts and specs of every image, in file and line order.

    Needs no AWS, no Docker and no Packer.

    Args:
        configuration: A factory that loaded without problems.
        grammar_cache: See `amifactory.config.load.load`.
    """
    root = configuration.root
    parser = Parser(root / ".amifactory/cache/templates.json", grammar_cache=grammar_cache)
    problems: list[Problem] = []
    shared = _read_templates(root, SHARED, parser, problems)
    problems += _check_specs(root, SHARED / "spec")
    for image in configuration.images.values():
        own = _read_templates(root, IMAGES / image.name, parser, problems)
        problems += check_image(root, image, own, shared)
    parser.save()
    return sorted(set(problems), key=lambda problem: (str(problem.file), problem.line or 0, problem.message))


def check_image(root: Path, image: Image, own: list[Template], shared: list[Template]) -> Iterator[Problem]:
    """Yields what is wrong with one image, given its own and the shared templates."""
    folder = IMAGES / image.name
    templates = own + shared
    for template in templates:
        yield from check_blocks(template.file, template.body)
    yield from check_references([(template.file, template.body) for template in templates])
    yield from _check_variables(folder, templates, shared)
    builds = [
        (template.file, block)
        for template in templates
        for block in template.body.blocks
        if block.type == "build"
    ]
    if not builds:
        yield Problem(
            file=folder, line=None, message='no build block; write build.pkr.hcl with "build { … }"'
        )
    sources = {
        ".".join(("source", *block.labels))
        for template in templates
        for block in template.body.blocks
        if block.type == "source"
    }
    for file, build in builds:
        yield from _check_sources(file, build, sources)
        for block in build.body.blocks:
            if block.type == "provisioner":
                yield from _check_provisioner(root, folder, file, block)
    if builds and (root / folder / "rootfs").is_dir() and not _mentions(root, own, "rootfs"):
        what = 'upload "rootfs" with the others, and run shared/provision/install-rootfs.sh'
        message = f"rootfs/ is there, but nothing in build.pkr.hcl lays it over /: {what}"
        yield Problem(file=folder, line=None, message=message)
    if not any((root / folder / "spec").glob("test_*.py")):
        message = "no spec; an image without one cannot be verified. Write spec/test_*.py"
        yield Problem(file=folder, line=None, message=message)
    yield from _check_specs(root, folder / "spec")


def _mentions(root: Path, templates: list[Template], word: str) -> bool:
    return any(word in (root / template.file).read_text("utf-8") for template in templates)


def _read_templates(root: Path, folder: Path, parser: Parser, problems: list[Problem]) -> list[Template]:
    files = sorted(file.relative_to(root) for file in (root / folder).glob("*.pkr.hcl"))
    bodies = ((file, read_hcl(root, file, parser, problems)) for file in files)
    return [Template(file=file, body=body) for file, body in bodies if body is not None]


def _check_variables(folder: Path, templates: list[Template], shared: list[Template]) -> Iterator[Problem]:
    declared: set[str] = set()
    for template in templates:
        for block in template.body.blocks:
            if block.type == "variable":
                declared.update(block.labels)
            elif block.type == "variables":
                declared.update(block.body.keys)
    where = SHARED / "variables.pkr.hcl"
    file = where if any(template.file == where for template in shared) else folder
    for name in PASSED_VARIABLES:
        if name not in declared:
            near = did_you_mean(name, declared - set(PASSED_VARIABLES))
            message = f'amifactory passes the variable "{name}", but no template declares it{near}'
            yield Problem(file=file, line=None, message=message)


def _check_sources(file: Path, build: Block, known: set[str]) -> Iterator[Problem]:
    named = list(_strings(build.body.keys.get("sources")))
    named += [(block.line, ".".join(block.labels)) for block in build.body.blocks if block.type == "source"]
    for line, name in named:
        full = name if name.startswith("source.") else f"source.{name}"
        if full not in known:
            message = f'source "{name}" does not exist{did_you_mean(full, known)}'
            yield Problem(file=file, line=line, message=message)
    if not named:
        yield Problem(
            file=file, line=build.line, message='the build block names no source; write sources = ["…"]'
        )


def _check_provisioner(root: Path, folder: Path, file: Path, block: Block) -> Iterator[Problem]:
    kind = next(iter(block.labels), "")
    wanted = {
        "shell": ("script", "scripts"),
        "shell-local": ("script", "scripts"),
        "file": ("source", "sources"),
    }
    for key in wanted.get(kind, ()):
        for line, name in _strings(block.body.keys.get(key)):
            found = locate(root, folder, name)
            if found is None or not (root / found).exists():
                near = did_you_mean(name, _neighbours(root, folder, name))
                message = f'"{name}" is not in the build context{near}'
                yield Problem(file=file, line=line, message=message)
            elif key.startswith("script"):
                yield from _check_script(root, found)


def locate(root: Path, folder: Path, name: str) -> Path | None:
    """Returns the file that stands at ``name`` in an image's build context, relative to ``root``.

    None for what the build context leaves out or amifactory does not put there.
    """
    path = PurePosixPath(name)
    first, *rest = path.parts or (".",)
    if first == "shared":
        return None if rest[:1] == ["spec"] else SHARED.joinpath(*rest)
    if first == "hooks" and (root / INSTANCE_HOOKS).is_dir():
        return INSTANCE_HOOKS.joinpath(*rest)
    if first in ("spec", "image.hcl", "..", "/"):
        return None
    return folder / path


def _neighbours(root: Path, folder: Path, name: str) -> list[str]:
    """Returns what stands beside ``name``, written as ``name`` is."""
    parent = PurePosixPath(name).parent
    beside = locate(root, folder, str(parent))
    if beside is None or not (root / beside).is_dir():
        return []
    names = (str(parent / entry.name) for entry in (root / beside).iterdir())
    return [name for name in names if locate(root, folder, name) is not None]


def _check_script(root: Path, script: Path) -> Iterator[Problem]:
    path = root / script
    if not path.is_file():
        yield Problem(file=script, line=None, message="not a file, so it cannot be run")
        return
    if not path.stat().st_mode & _EXECUTABLE:
        yield Problem(file=script, line=None, message=f"not executable; run: chmod +x {script}")
    first, *_ = path.read_bytes().partition(b"\n")
    if not first.startswith(b"#!"):
        yield Problem(file=script, line=1, message='no "#!" line; start it with #!/usr/bin/env bash')
    elif first.endswith((b"bash", b"/sh")):
        yield from _check_shell(path, script)


def _check_shell(path: Path, script: Path) -> Iterator[Problem]:
    """Yields the first syntax error, if this machine has bash to ask."""
    if not (bash := shutil.which("bash")):
        return
    asked = subprocess.run([bash, "-n", path], capture_output=True, text=True, check=False)
    if match := _SHELL_ERROR.search(asked.stderr):
        yield Problem(file=script, line=int(match[1]), message=match[2])


def _check_specs(root: Path, folder: Path) -> Iterator[Problem]:
    for path in sorted((root / folder).rglob("*.py")):
        file = path.relative_to(root)
        try:
            tree = ast.parse(path.read_bytes(), filename=str(file))
        except SyntaxError as error:
            yield Problem(file=file, line=error.lineno, message=f"not Python: {error.msg}")
        except (OSError, ValueError) as error:
            yield Problem(file=file, line=None, message=f"cannot be read: {error}")
        else:
            for line, name in _imports(tree):
                if find_spec(name) is None:
                    message = f'imports "{name}", which is not installed where amifactory runs'
                    yield Problem(file=file, line=line, message=message)


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields the top-level packages that a module imports when it is loaded."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def _strings(value: Value | None) -> Iterator[tuple[int, str]]:
    """Yields the strings in a value with their lines; what is computed is Packer's to check."""
    if value is None:
        return
    match value.data:
        case str(text):
            yield value.line, text
        case Expression(text):
            match = _IN_CONTEXT.fullmatch(text)
            if match:
                yield value.line, match[1]
        case tuple(items):
            for item in items:
                yield from _strings(item)
