"""Secret values, and the parts of them that give them away."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from amifactory.probes.leaks.instance import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from amifactory.probes.leaks.instance import Instance


class Secrets(NamedTuple):
    """What to look for.

    Attributes:
        names: Each part to look for, and whose it is.
        own: The files secrets are meant to be in, each with the parts that may be there.
        not_searched: What cannot be looked for, and why.
        unread: Declared secrets whose file is not where it should be: they may be anywhere.
    """

    names: dict[bytes, str]
    own: dict[str, frozenset[bytes]]
    not_searched: list[str]
    unread: list[str]


_DECLARED = "etc/amifactory/secrets.json"


def collect(values: Iterable[Mapping[str, str]], instance: Instance) -> Secrets:
    """Returns the parts of all secrets: of those given, and of those the instance has fetched.

    A boot's secret that is older than the boot was in the AMI, where not even its own file may be.
    """
    secrets = Secrets({}, {}, [], [])
    for value in values:
        _add(secrets, value["name"], value["value"].encode("utf-8", "surrogateescape"))
    try:
        declared = json.loads((instance.root / _DECLARED).read_bytes())
    except FileNotFoundError:
        return secrets
    for one in declared:
        place = (instance.root / one["path"].lstrip("/")).resolve()
        try:
            value, status = place.read_bytes(), place.stat()
        except OSError:
            secrets.unread.append(f"{one['name']}: {one['path']} cannot be read")
            continue
        file = File("/" + str(place.relative_to(instance.root.resolve())), status)
        parts = _add(secrets, one["name"], value)
        if one.get("when") == "build" or not instance.had(file):
            secrets.own[file.path] = secrets.own.get(file.path, frozenset()) | parts
    return secrets


def _add(secrets: Secrets, name: str, value: bytes) -> frozenset[bytes]:
    parts, left_out = parts_of(value)
    for part in parts:
        secrets.names.setdefault(part, name)
    if left_out or not parts:
        what = "a part of it is" if parts else "it is"
        secrets.not_searched.append(f"{name}: {what} too short or too plain to be told from other text")
    return frozenset(parts)


_PUBLIC = re.compile(
    r"(?i)(.*[-_.])?(user(name)?|login|e?mail|host(name)?|server|ur[il]|endpoint|registry|name(space)?|cluster"
    r"|context|region|kind|api-?version|account|type|id|command|path|certificate-authority-data"
    r"|client-certificate-data|version|port|database|dbname|engine|timestamp)"
)
"""Keys whose values are no secrets."""
_SECRET = re.compile(r"(?i).*(pass|pwd|secret|token|key|auth|cred)")
_ASSIGNMENT = re.compile(r"""[\s-]*(?:export\s+)?["']?([\w.-]+)["']?\s*(?::\s|=)\s*(?!=)(\S.*)""")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PASSWORD_IN_ADDRESS = re.compile(r"\w+://[^/\s:@]*:([^/\s@]+)@")
_RANDOM = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])\S{16,}|(?=.*\d)(?=.*[a-f])[0-9a-f]{24,}")
_NAME = re.compile(r"arn:|\w+://|[\w.-]+\.[a-z]{2,}([:/]|$)")
_SHORTEST = 8
_FEWEST_CHARACTERS = 4
_PIECE = 48


class Scalar(NamedTuple):
    """A line, word or value of a secret; ``is_marked`` if its place says that it is secret."""

    text: str
    is_marked: bool

    @property
    def is_searchable(self) -> bool:
        """Returns whether it can be told from other text; without a mark it must look like a random one."""
        if self.is_marked:
            return len(self.text) >= _SHORTEST and len(set(self.text)) >= _FEWEST_CHARACTERS
        return bool(_RANDOM.fullmatch(self.text)) and not _NAME.match(self.text)


def parts_of(value: bytes) -> tuple[set[bytes], bool]:
    """Returns the parts of a secret any of which gives it away, and whether some had to be left out.

    A secret of one line is one part. Of several lines, or of JSON, only what is distinctive counts, not what
    every kubeconfig has; user names, host names and certificates are no secrets.
    """
    scalars = list(_scalars(value.decode("utf-8", "surrogateescape").strip(), ""))
    found = [one.text for one in scalars if one.is_searchable]
    parts = {piece.encode("utf-8", "surrogateescape") for text in found for piece in _pieces(text)}
    return parts, any(one.is_marked and not one.is_searchable for one in scalars)


def _scalars(text: str, key: str) -> Iterator[Scalar]:
    """Yields what may be secret in a text that stands under a key."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, (dict, list)):
        yield from _leaves(document, key)
        return
    yield from _passwords_in_addresses(text)
    if "\n" not in text:
        yield Scalar(text, is_marked=True)
        return
    for line in _CERTIFICATE.sub("", text).splitlines():
        assigned = _ASSIGNMENT.fullmatch(line)
        if assigned:
            yield from _value(assigned[1], assigned[2].strip().strip("\"'"))
        else:
            yield from (Scalar(word, is_marked=False) for word in line.split())


def _leaves(document: object, key: str) -> Iterator[Scalar]:
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _leaves(value, str(name))
    elif isinstance(document, list):
        for value in document:
            yield from _leaves(value, key)
    elif isinstance(document, (str, int)) and not isinstance(document, bool):
        yield from _value(key, str(document))


def _value(key: str, value: str) -> Iterator[Scalar]:
    if "\n" in value:
        yield from _scalars(value, key)
        return
    yield from _passwords_in_addresses(value)
    if value and not _PUBLIC.fullmatch(key):
        yield Scalar(value, is_marked=bool(_SECRET.match(key)))
        decoded = _decoded(value)
        if "-----BEGIN" in decoded:
            yield from _scalars(decoded, key)
        elif key == "auth" and ":" in decoded:  # as Docker writes user and password
            yield Scalar(decoded.partition(":")[2], is_marked=True)


def _passwords_in_addresses(text: str) -> Iterator[Scalar]:
    return (Scalar(password, is_marked=True) for password in _PASSWORD_IN_ADDRESS.findall(text))


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""


def _pieces(text: str) -> list[str]:
    """Returns pieces of a long text: one that was cut off is found, and its ends say less than its middle."""
    if len(text) <= 2 * _PIECE:
        return [text]
    return [text[len(text) * quarter // 4 :][:_PIECE] for quarter in (1, 2, 3)]
