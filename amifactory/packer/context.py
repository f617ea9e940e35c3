"""The build context: one ordinary Packer directory, made of an image, what all images share, and the hooks.

::

    images/<name>/**            ->  ./          except image.hcl and spec/
    images/_shared/*.pkr.hcl    ->  ./          plugins.pkr.hcl only for a Packer that needs it
    images/_shared/**           ->  shared/     except spec/
    hooks/instance/**           ->  hooks/
    Packer variables            ->  recipe.auto.pkrvars.json, build.auto.pkrvars.json

What editors, version control and Python leave behind is ignored: see `LEFTOVERS`. Other dotfiles stay,
because ``rootfs/`` may need them. Symbolic links are refused: Packer uploads what they point to, so
the image would depend on files outside its recipe.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from fnmatch import translate
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from amifactory.packer.version import PackerVersion

RECIPE_VARIABLES = "recipe.auto.pkrvars.json"
BUILD_VARIABLES = "build.auto.pkrvars.json"
PLUGINS = "plugins.pkr.hcl"

LEFTOVERS = (
    *(".git", ".gitignore", ".gitattributes", ".gitkeep", ".hg", ".svn", ".DS_Store", ".idea", ".vscode"),
    *("*~", "#*#", ".#*", ".*.sw[a-p]", "*.orig", "*.rej"),
    *("__pycache__", "*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache"),
)
_LEFTOVER = re.compile("|".join(translate(pattern) for pattern in LEFTOVERS))
_OWNER_MAY_EXECUTE = 0o100


@dataclass(frozen=True, kw_only=True)
class ContextFile:
    """One file of a build context: where it goes, where it comes from, whether it may be executed."""

    path: PurePosixPath
    source: Path
    executable: bool


def context_files(
    image_folder: Path,
    shared_folder: Path,
    hooks_folder: Path,
    *,
    folders: dict[Path, tuple[ContextFile, ...]] | None = None,
) -> tuple[ContextFile, ...]:
    """Returns the files of an image's build context by path, without the two variable files.

    Args:
        image_folder: ``images/<name>``.
        shared_folder: ``images/_shared``; may be missing.
        hooks_folder: ``hooks/instance``; may be missing.
        folders: What is known of shared folders. Given to all images of a run, each is read once.

    Raises:
        UsageError: Two files claim one path, a name is reserved, or a file is not a regular one.
    """
    folders = {} if folders is None else folders
    if shared_folder not in folders:
        folders[shared_folder] = tuple(_placed(file) for file in _read(shared_folder, without={"spec"}))
    if hooks_folder not in folders:
        folders[hooks_folder] = tuple(_below("hooks", file) for file in _read(hooks_folder))
    image = _read(image_folder, without={"image.hcl", "spec"})
    return _merge((*image, *folders[shared_folder], *folders[hooks_folder]))


def hash_files(files: Iterable[ContextFile], *, cache: dict[Path, str]) -> Mapping[str, str]:
    """Returns each path's SHA-256, prefixed ``x:`` when executable; the plugin block has none.

    Args:
        cache: Source to SHA-256. Given to all images of a run, each file is read once.
    """
    hashes: dict[str, str] = {}
    for file in files:
        path = str(file.path)
        if path == PLUGINS:
            continue
        if file.source not in cache:
            cache[file.source] = hashlib.sha256(file.source.read_bytes()).hexdigest()
        hashes[path] = _hash(cache[file.source], file)
    return hashes


def assemble(
    files: Iterable[ContextFile],
    destination: Path,
    recipe_variables: Mapping[str, object],
    build_variables: Mapping[str, object],
    packer_version: PackerVersion,
    *,
    hashes: Mapping[str, str] | None = None,
) -> None:
    """Writes the build context to ``destination``, in place of what was there.

    Args:
        hashes: What `hash_files` said when the build was planned; what is written must agree with it,
            so that an edit in between cannot end up in an AMI under the older fingerprint.

    Raises:
        AmifactoryError: A file changed since it was hashed, or the directory cannot be written.
    """
    written: dict[str, str] = {}
    try:
        if destination.exists():
            shutil.rmtree(destination)
        destination.mkdir(parents=True)
        for file in files:
            path = str(file.path)
            if path != PLUGINS:
                written[path] = _write(file, destination)
            elif packer_version.needs_plugins:
                _write(file, destination)
        _write_variables(destination / RECIPE_VARIABLES, recipe_variables)
        _write_variables(destination / BUILD_VARIABLES, build_variables)
    except OSError as error:
        raise AmifactoryError(
            f"cannot assemble the build context {destination}: {error.strerror} ({error.filename})"
        ) from error
    if hashes is not None:
        _check_unchanged(written, hashes)


def _check_unchanged(written: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    paths = written.keys() | hashes.keys()
    changed = sorted(path for path in paths if written.get(path) != hashes.get(path))
    if changed:
        raise AmifactoryError(
            f"changed after the build was planned: {', '.join(changed)}",
            hint="Run the build again; it then uses the new content.",
        )


def _read(folder: Path, *, without: frozenset[str] | set[str] = frozenset()) -> Iterator[ContextFile]:
    """Yields the files below a folder, leftovers aside; ``without`` names entries of the folder itself."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in without and not _LEFTOVER.match(entry.name):
                yield from _read_entry(entry)


def _read_entry(entry: os.DirEntry[str]) -> Iterator[ContextFile]:
    source = Path(entry.path)
    if entry.is_dir(follow_symlinks=False):
        for file in _read(source):
            yield _below(entry.name, file)
    elif entry.is_file(follow_symlinks=False):
        executable = bool(entry.stat(follow_symlinks=False).st_mode & _OWNER_MAY_EXECUTE)
        yield ContextFile(path=PurePosixPath(entry.name), source=source, executable=executable)
    else:
        kind = "a symbolic link" if entry.is_symlink() else "not a regular file"
        raise UsageError(
            f"{source} is {kind}; a recipe holds regular files only",
            hint="Put the file itself there, or make the link in a provision script.",
        )


def _below(folder: str, file: ContextFile) -> ContextFile:
    return replace(file, path=folder / file.path)


def _placed(file: ContextFile) -> ContextFile:
    is_template = len(file.path.parts) == 1 and file.path.name.endswith(".pkr.hcl")
    return file if is_template else _below("shared", file)


def _merge(files: Iterable[ContextFile]) -> tuple[ContextFile, ...]:
    merged: dict[str, ContextFile] = {}
    for file in files:
        other = merged.setdefault(str(file.path), file)
        if other is not file:
            raise _collision(file, other)
    for path, file in merged.items():
        for folder in _folders_of(path):
            if folder in merged:
                raise _collision(file, merged[folder])
    for name in (RECIPE_VARIABLES, BUILD_VARIABLES):
        if name in merged:
            raise UsageError(
                f"{merged[name].source}: the name is reserved for variables that amifactory writes",
                hint="Rename it; another *.auto.pkrvars.json is read just the same.",
            )
    return tuple(merged[path] for path in sorted(merged))


def _folders_of(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _collision(one: ContextFile, other: ContextFile) -> UsageError:
    first, second = sorted((one.source, other.source))
    return UsageError(
        f'{first} and {second} would both be "{other.path}" in the build context',
        hint="Rename one of them.",
    )


def _write(file: ContextFile, destination: Path) -> str:
    """Writes a file and returns the hash of what was written, as `hash_files` gives it."""
    content = file.source.read_bytes()
    target = destination / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o755 if file.executable else 0o644)
    return _hash(hashlib.sha256(content).hexdigest(), file)


def _hash(digest: str, file: ContextFile) -> str:
    return f"x:{digest}" if file.executable else digest


def _write_variables(file: Path, variables: Mapping[str, object]) -> None:
    text = json.dumps(variables, indent=2, sort_keys=True, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")
