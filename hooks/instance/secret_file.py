"""A secret's file: that the value is what it should be, and that nobody ever sees half of it."""

from __future__ import annotations

import errno
import grp
import importlib
import json
import os
import pwd
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from secret_error import SecretError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER_MODE = 0o755
"""Of folders that are made: a file in one protects itself, and another beside it may be for more people."""
KUBECONFIG_PARTS = ("clusters", "contexts", "users")
MOST_LINKS = 40
"""On one path, as the kernel has it (``path_resolution(7)``)."""


@dataclass(frozen=True)
class Owner:
    """Whom a file belongs to."""

    uid: int
    gid: int


def find_owner(text: str) -> Owner:
    """Returns whom ``user`` or ``user:group`` means; a user alone comes with its own group.

    Raises:
        SecretError: This instance has no such user or group.
    """
    name, _, group = text.partition(":")
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise SecretError(f'there is no user "{name}"', of="image") from None
    try:
        return Owner(user.pw_uid, grp.getgrnam(group).gr_gid if group else user.pw_gid)
    except KeyError:
        raise SecretError(f'there is no group "{group}"', of="image") from None


def load_yaml_module() -> Any:
    """Returns the module ``yaml``, which cloud-init brings along, or None."""
    try:
        return importlib.import_module("yaml")
    except ImportError:
        return None


def check_kubeconfig(secret_id: str, text: str, yaml: Any) -> None:
    """Checks that a value is a kubeconfig: YAML with clusters, contexts and users, each a list of mappings.

    Args:
        yaml: The module, or None: then YAML is checked no further than that it has these keys.

    Raises:
        SecretError: It is none. Says where, and quotes nothing.
    """
    wrong = _not_a_kubeconfig(text, yaml)
    if wrong:
        raise SecretError(f'"{secret_id}" is not a kubeconfig: {wrong}')


def _not_a_kubeconfig(text: str, yaml: Any) -> str | None:
    unparsable = (RecursionError, yaml.YAMLError) if yaml else (RecursionError,)
    try:
        # Structure is all that matters, so no text is made a date or a number of.
        parsed = yaml.load(text, Loader=yaml.BaseLoader) if yaml else _json_or_outline(text)
    except unparsable as error:
        mark = getattr(error, "problem_mark", None)
        return f"line {mark.line + 1} does not parse" if mark else "it does not parse"
    if not isinstance(parsed, dict):
        return "it is no mapping"
    for part in KUBECONFIG_PARTS:
        entries = parsed.get(part)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return f'"{part}" is no list of mappings'
    return None if parsed["clusters"] else "it has no cluster"


def _json_or_outline(text: str) -> object:
    """JSON is YAML; of other YAML no more is seen than its keys at the start of a line."""
    with suppress(ValueError):
        return json.loads(text)
    return {part: [{}] for part in KUBECONFIG_PARTS if re.search(rf"^{part}:", text, re.MULTILINE)}


def put_in_place(path: str, content: bytes, *, owner: Owner, mode: int) -> None:
    """Replaces a file at once: whoever opens it sees all of the old content or all of the new.

    Folders that are missing are made, for the same owner. A symbolic link on the way is followed only if root
    laid it: the owner of a home must not lead root elsewhere.

    Raises:
        SecretError: It cannot be written there.
    """
    target = PurePosixPath(path)
    try:
        with _folder(str(target.parent), owner) as folder:
            _replace(folder, target.name, content, owner, mode)
    except OSError as error:
        raise SecretError(f"cannot write {path}: {error.strerror}", of="image") from error


def _replace(folder: int, name: str, content: bytes, owner: Owner, mode: int) -> None:
    new = f".{name}.amifactory-new"
    with suppress(FileNotFoundError):  # of a run that was killed
        os.unlink(new, dir_fd=folder)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(file, owner.uid, owner.gid)
            os.fchmod(file, mode)
            os.fsync(file)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new, dir_fd=folder)
        raise
    os.fsync(folder)


@contextmanager
def _folder(path: str, owner: Owner) -> Iterator[int]:
    folder = _walk(path, owner, links=MOST_LINKS)
    try:
        yield folder
    finally:
        os.close(folder)


def _walk(path: str, owner: Owner, *, links: int) -> int:
    """Opens a folder step by step, so that what was looked at is what is used."""
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    parts = PurePosixPath(path).parts[1:]
    for position, part in enumerate(parts):
        try:
            link = _link(folder, part)
            if link is not None:
                if not links:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                ahead = PurePosixPath("/", *parts[:position], link, *parts[position + 1 :])
                return _walk(str(ahead), owner, links=links - 1)
            inside = _enter(folder, part, owner)
        finally:
            os.close(folder)
        folder = inside
    return folder


def _link(folder: int, name: str) -> str | None:
    """Returns where a symbolic link leads, if this is one and root laid it."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(found.st_mode):
        return None
    if {found.st_uid, os.fstat(folder).st_uid} != {0}:
        raise PermissionError(errno.EPERM, f'"{name}" is a symbolic link that root did not lay')
    return os.readlink(name, dir_fd=folder)


def _enter(folder: int, name: str, owner: Owner) -> int:
    """Opens a folder in a folder; makes it where it is missing."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        return os.open(name, flags, dir_fd=folder)
    with suppress(FileExistsError):  # another secret's, made just now
        os.mkdir(name, 0o700, dir_fd=folder)
        made = os.open(name, flags, dir_fd=folder)
        os.fchown(made, owner.uid, owner.gid)
        os.fchmod(made, FOLDER_MODE)
        return made
    return os.open(name, flags, dir_fd=folder)
