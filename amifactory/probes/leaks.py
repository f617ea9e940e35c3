"""Looks at a freshly booted instance's disk as an attacker would: what of its makers did the AMI keep?

Runs on the instance as root, beside the spec: one worker for each core, at low priority. Every file is read
once. However many secrets are looked for, in however many forms, costs little: text is *folded*, to lower
case without white space, quotes and the punctuation of base64. What occurs in a text also occurs folded in
the folded text, however it was wrapped. Where it does, its exact forms decide.

Input: ``{"values": [{"name": "what it is", "value": "…"}], "allow": ["kind:glob of paths"]}``, and ``root``
if it is not ``/``. The secrets that the instance fetched are read where ``/etc/amifactory/secrets.json``
says. No value is in the output, not even in a file's name.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import fnmatch
import gzip
import hashlib
import itertools
import json
import math
import os
import re
import stat
import string
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

CHUNK = 1 << 20
OVERLAP = 1 << 14
"""How many bytes of a chunk are looked at again with the next: more than anything looked for is long."""
_BATCH = 1 << 25
_OPENING = 1 << 14
"""To open a file takes as long as to scan so many bytes."""
_AHEAD = 32
"""So many files are asked for ahead: a disk made from a snapshot answers slowly, but many at once."""
_NICENESS = 10


class Instance(NamedTuple):
    """What is looked at.

    Attributes:
        booted_at: Start of process 1, in seconds since 1970.
        mounts: ``/proc/self/mountinfo``.
        keys: The base64 part of the public keys this boot was given; None when that is unknown.
        rpm: The program that knows what packages were shipped with.
    """

    root: Path
    booted_at: float
    mounts: str
    keys: frozenset[bytes] | None
    workers: int
    rpm: str = "rpm"

    def had(self, file: File) -> bool:
        """Returns whether a file came with the AMI: when it, or at least its content, last changed tells.

        On an overlay, to open a file for writing is a change of the file, even if nothing is written.
        """
        return min(file.status.st_ctime, file.status.st_mtime) < self.booted_at


class File(NamedTuple):
    """A regular file as the walk saw it; ``path`` is that on the instance, below its root."""

    path: str
    status: os.stat_result


class Finding(NamedTuple):
    """A leak; ``secret`` names which secret, if it is one's value."""

    kind: str
    file: str
    secret: str = ""

    def as_json(self) -> dict[str, str]:
        """Returns what is reported."""
        return {name: value for name, value in self._asdict().items() if value}


class Scanned(NamedTuple):
    """What came of some files."""

    findings: set[Finding]
    files: int
    read: int
    unreadable: int


def main(given: Mapping[str, Any], instance: Instance) -> dict[str, Any]:
    """Returns the findings, those that are allowed, and how much was read, in how many seconds."""
    began = time.monotonic()
    secrets = collect(given.get("values", []), instance)
    with ProcessPoolExecutor(instance.workers, mp_context=get_context("fork")) as workers:
        scanned = list(workers.map(Scan(instance, secrets).run, _batches(walk(instance))))
    leaks = sorted(set().union(*(one.findings for one in scanned)))
    found = [one for one in leaks if not _is_as_shipped(one, instance)]
    allowed = [one for one in found if _is_allowed(one, given.get("allow", []))]
    return {
        "files": sum(one.files for one in scanned),
        "bytes": sum(one.read for one in scanned),
        "seconds": round(time.monotonic() - began, 2),
        "findings": [one.as_json() for one in found if one not in allowed],
        "allowed": [one.as_json() for one in allowed],
        "unreadable": sum(one.unreadable for one in scanned),
        "not_searched": secrets.not_searched,
    }


def _batches(files: Iterable[File]) -> Iterator[list[File]]:
    """Yields the files in lots that take about as long."""
    batch: list[File] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.status.st_size + _OPENING
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def _is_allowed(finding: Finding, allow: Iterable[str]) -> bool:
    rules = (rule.partition(":") for rule in allow)
    return any(
        kind in {"*", finding.kind} and fnmatch.fnmatchcase(finding.file, glob) for kind, _, glob in rules
    )


# Secrets, and the parts of them that give them away.


class Secrets(NamedTuple):
    """What to look for.

    Attributes:
        names: Each part to look for, and whose it is.
        own: The files secrets are meant to be in, each with the parts that may be there.
        not_searched: What cannot be looked for, and why.
    """

    names: dict[bytes, str]
    own: dict[str, frozenset[bytes]]
    not_searched: list[str]


_DECLARED = "etc/amifactory/secrets.json"


def collect(values: Iterable[Mapping[str, str]], instance: Instance) -> Secrets:
    """Returns the parts of all secrets: of those given, and of those the instance has fetched.

    A boot's secret that is older than the boot was in the AMI, where not even its own file may be.
    """
    secrets = Secrets({}, {}, [])
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
            secrets.not_searched.append(f"{one['name']}: {one['path']} cannot be read")
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


# Looking for many texts at once.

_FOLD = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
_FOLDED_AWAY = b" \t\r\n\\\"'+/-_"
_INSIGNIFICANT = b" \t\r\n\\"
_SHORTEST_FOLDED = 4
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_WORD = 8
_STRIDES = (0, 1, 2, 3, 4)
_FIND_COST, _WORDS_COST = 0.3, 4.5
"""Seconds for 1 GB: to find one text, and to look up all its words. Measured; only the ratio matters."""


def fold(text: bytes) -> bytes:
    """Returns what is left of a text whichever way it was written."""
    return text.translate(_FOLD, _FOLDED_AWAY)


def forms_of(part: bytes) -> set[bytes]:
    """Returns how a part of a secret may be written: as it is, in JSON, in an address, in base64."""
    text = part.decode("utf-8", "surrogateescape")
    in_json = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    in_json |= {
        re.sub("[<>&]", lambda m: f"\\u{ord(m[0]):04x}", one) for one in in_json
    }  # by Go's encoding/json
    in_address = {quote(part, safe=""), quote(part), quote_plus(part)}
    in_address |= {re.sub("%..", lambda m: m[0].lower(), one) for one in in_address}
    forms = {part, *(one.encode("utf-8", "surrogateescape") for one in in_json | in_address)}
    for before in range(3):  # bytes of other text, which with this part's first ones are the same characters
        first, last = -(-before * 8 // 6), (before + len(part)) * 8 // 6
        encoded = base64.b64encode(b"\0" * before + part)[first:last]
        forms |= {encoded, encoded.translate(_URL_SAFE)}
    return forms


class Needles:
    """Finds which of many parts occur in a text, in whatever form.

    Short ones are looked for one by one. For the long ones it is faster to take every n-th word (of eight
    bytes) of the text and look each up: they contain one in full, wherever they begin.
    """

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._exact: dict[bytes, list[tuple[bytes, bytes]]] = {}
        """Folded form to its exact forms, each with the part it is of."""
        self._unfoldable: list[tuple[bytes, bytes]] = []
        for part in parts:
            for form in forms_of(part):
                exact, folded = form.translate(None, _INSIGNIFICANT), fold(form)
                if len(folded) >= _SHORTEST_FOLDED:
                    self._exact.setdefault(folded, []).append((exact, part))
                elif exact:
                    self._unfoldable.append((exact, part))
        self._stride = min(_STRIDES, key=lambda stride: _cost(stride, self._exact))
        long = [one for one in self._exact if _has_words(one, self._stride)]
        self._short = [one for one in self._exact if one not in long]
        self._words: dict[int, list[bytes]] = {}
        for one in long:
            middle = (len(one) - _reach(self._stride)) // 2
            for start in range(middle, middle + self._stride * _WORD):
                word = int.from_bytes(one[start : start + _WORD], sys.byteorder)
                self._words.setdefault(word, []).append(one)

    def within(self, raw: bytes, folded: bytes) -> set[bytes]:
        """Returns the parts that occur in a text, given it and what it is folded."""
        suspects = {one for one in itertools.chain(self._short, self._long_in(folded)) if one in folded}
        if not suspects and not self._unfoldable:
            return set()
        text = raw.translate(None, _INSIGNIFICANT)
        exact = itertools.chain(self._unfoldable, *(self._exact[one] for one in suspects))
        return {part for form, part in exact if form in text}

    def _long_in(self, folded: bytes) -> Iterator[bytes]:
        """Yields the long ones of which there is a word."""
        if self._words:
            words = memoryview(folded)[: len(folded) // _WORD * _WORD].cast("Q")[:: self._stride]
            if not self._words.keys().isdisjoint(words):
                for word in self._words.keys() & set(words):
                    yield from self._words[word]


def _reach(stride: int) -> int:
    """Returns how long a text must be to contain one of every ``stride`` words in full."""
    return (stride + 1) * _WORD - 1


def _has_words(folded: bytes, stride: int) -> bool:
    return stride > 0 and len(folded) >= _reach(stride)


def _cost(stride: int, texts: Iterable[bytes]) -> float:
    short = sum(not _has_words(one, stride) for one in texts)
    return short * _FIND_COST + (_WORDS_COST / stride if stride else 0)


# What leaks look like, whoever's they are.

_WINDOW = 4096
_VARIED = 16
"""So many different characters a real key has in 40; an example has fewer."""
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY = re.compile(rb"[A-Za-z0-9+/]{64}")
_AROUND_PEM_BODY = re.compile(rb"[\w-]+: [^\n\\]*|\\[nr]|[\s\\\"',]")
_PEM_START_IN_BASE64 = b"LS0tLS1CRUdJTi"
_PEM_IN_BASE64 = re.compile(_PEM_START_IN_BASE64 + rb"[A-Za-z0-9+/=\s]{64,}")
_PUTTY = re.compile(rb"PuTTY-User-Key-File-\d: [^\0]{,4096}?Private-Lines: \d+\s+[A-Za-z0-9+/]{40}")


def has_private_key(raw: bytes) -> bool:
    """Returns whether there is a private key, with its body, not only its first line."""
    for begin in _PEM.finditer(raw):
        body = _PEM_BODY.match(_AROUND_PEM_BODY.sub(b"", raw[begin.end() : begin.end() + _WINDOW]))
        if body and _is_varied(body[0]):
            return True
    return False


def has_private_key_in_base64(raw: bytes) -> bool:
    """Returns whether there is a private key as kubeconfigs have it."""
    for encoded in _PEM_IN_BASE64.finditer(raw):
        dense = encoded[0].translate(None, b" \t\r\n=")[:_WINDOW]
        if has_private_key(binascii.a2b_base64(dense[: len(dense) // 4 * 4])):
            return True
    return False


def _is_varied(text: bytes) -> bool:
    return len(set(text)) >= _VARIED


_AWS_KEY = re.compile(rb"A[KS]IA[A-Z2-7]{16}(?![A-Za-z0-9])")
_AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])")
_AWS_NAMED = re.compile(
    rb"(?i)secret_?\s?access_?\s?key[\"']?\s*(?:=>|[=:,>\s])[\s\"']*([a-z0-9+/]{40})(?![a-z0-9+/=])"
)
_NEAR = 512
_EXAMPLE = b"EXAMPLE"
"""Is part of all credentials in AWS's documentation."""
_GOOGLE_KEY = re.compile(rb"\"private_key_id\\?\"\s*:\s*\\?\"[0-9a-f]{20,}")
_GOOGLE_USER = re.compile(rb"\"refresh_token\"\s*:\s*\"[^\"]{20,}\"")
_AZURE_CLIENT = re.compile(rb"AZURE_CLIENT_SECRET[\"']?\s*[=:]\s*[\"']?[\w~.-]{30,}")
_AZURE_ACCOUNT = re.compile(
    rb"AccountKey=(?!Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IF)[A-Za-z0-9+/]{86}=="
)
"""But for the key that Microsoft documents for its emulator."""


def has_named_aws_secret(raw: bytes) -> bool:
    """Returns whether a secret access key is given its name."""
    return any(map(_is_aws_secret, _AWS_NAMED.findall(raw)))


def has_aws_key_pair(raw: bytes) -> bool:
    """Returns whether something like a secret access key is near a key id."""
    for key in _AWS_KEY.finditer(raw):
        near = raw[max(0, key.start() - _NEAR) : key.end() + _NEAR]
        if not key[0].endswith(_EXAMPLE) and any(map(_is_aws_secret, _AWS_SECRET.findall(near))):
            return True
    return False


def _is_aws_secret(text: bytes) -> bool:
    classes = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    mixed = all(set(text) & set(characters.encode()) for characters in classes)
    return mixed and _is_varied(text) and _EXAMPLE not in text.upper()


_DOCKER_AUTHS = re.compile(rb"\\?\"auths\\?\"\s*:\s*\{")
_DOCKER_AUTH = re.compile(
    rb"\"(?:auth\\?\"\s*:\s*\\?\"[A-Za-z0-9+/_-]{8,}=*"
    rb"|(?:identitytoken|registrytoken|password)\\?\"\s*:\s*\\?\"[^\"<>{$\\]{8,})\\?\""
)


def has_docker_auth(raw: bytes) -> bool:
    """Returns whether Docker, Podman or kaniko could log in to a registry with it."""
    starts = (auths.end() for auths in _DOCKER_AUTHS.finditer(raw))
    return any(_DOCKER_AUTH.search(raw, start, start + _WINDOW) for start in starts)


_ENVIRONMENT = re.compile(
    rb"(?<![^\0\n,{\"' ])(SHLVL|SSH_CONNECTION|SSH_CLIENT|PACKER_BUILD_NAME|PACKER_BUILDER_TYPE"
    rb"|PACKER_HTTP_ADDR|SUDO_COMMAND|SUDO_USER|SUDO_UID)\"?(?:=|: ?)[\"']?[\w/.]"
)


def has_environment(raw: bytes) -> bool:
    """Returns whether somebody wrote down the environment of a shell, of sudo, or of Packer."""
    return len(set(_ENVIRONMENT.findall(raw))) > 1


class Look(NamedTuple):
    """How a kind of leak is told from content: ``found`` decides if the folded text has one of ``words``."""

    kind: str
    words: tuple[bytes, ...]
    found: Callable[[bytes], object]


LOOKS = (
    Look("private-key", (b"privatekey",), has_private_key),
    Look("private-key", (fold(_PEM_START_IN_BASE64),), has_private_key_in_base64),
    Look("private-key", (b"puttyuserkeyfile",), _PUTTY.search),
    Look("cloud-credentials", (b"",), has_aws_key_pair),
    Look("cloud-credentials", (b"secretaccesskey",), has_named_aws_secret),
    Look("cloud-credentials", (b"privatekeyid",), _GOOGLE_KEY.search),
    Look("cloud-credentials", (b"authorizeduser",), _GOOGLE_USER.search),
    Look("cloud-credentials", (b"azureclientsecret",), _AZURE_CLIENT.search),
    Look("cloud-credentials", (b"accountkey=",), _AZURE_ACCOUNT.search),
    Look("docker-auth", (b"auths:{",), has_docker_auth),
    Look("environment-dump", (b"sshconnection", b"packerbuild", b"sudocommand"), has_environment),
)

PLACES = tuple(
    (re.compile(path), re.compile(content, re.MULTILINE))
    for path, content in (
        (r"/[._]netrc$", rb"\bpassword\s+\S"),
        (r"/(\.git-credentials|git/credentials)$", rb"://[^/\s:@]*:[^\s@]+@"),
        (r"/\.npmrc$", rb"_(?:authToken|auth|password)\s*=\s*[^\s$]"),
        (r"/\.yarnrc\.yml$", rb"npmAuth(?:Token|Ident):\s*[^\s$]"),
        (r"/\.pypirc$", rb"^\s*password\s*[=:]\s*\S"),
        (r"/\.pgpass$", rb"^[^#\n:]*(?::[^\n:]*){3}:\S"),
        (r"/\.my\.cnf$", rb"^\s*password\s*=\s*\S"),
        (r"/\.vault-token$", rb"\S"),
        (r"/(\.terraformrc|credentials\.tfrc\.json)$", rb"\"?token\"?\s*[=:]\s*\"[^\"]"),
        (r"/(gh|glab-cli)/(hosts|config)\.yml$", rb"^\s*(?:oauth_)?token:\s*\S"),
        (r"/\.m2/settings.*\.xml$", rb"<(?:password|passphrase)>[^<$]"),
        (r"/\.kube/config$", rb"^\s*(?:token|password|client-key-data):\s*\S"),
        (r"/\.azure/.*\.json$", rb"\"(?:secret|client_secret|accessToken|refreshToken)\"\s*:\s*\"[^\"]{16,}"),
        (r"/gitlab-runner/config\.toml$", rb"^\s*token\s*=\s*\"[^\"]"),
    )
)
"""Files that programs keep credentials in, and what they look like there."""
_ANY_PLACE = re.compile("|".join(path.pattern for path, _ in PLACES))
_MADE_AT_BOOT = re.compile(r"/gitlab-runner/config\.toml$")
"""A worker may register itself when it boots."""


def kinds_within(file: File, raw: bytes, folded: bytes, instance: Instance) -> set[str]:
    """Returns the kinds of leaks that a file's content shows, given it and what it is folded."""
    kinds = {one.kind for one in LOOKS if any(word in folded for word in one.words) and one.found(raw)}
    if _HOST_KEY.search(file.path):
        kinds.discard("private-key")
    in_ami = instance.had(file) or not _MADE_AT_BOOT.search(file.path)
    if in_ami and _ANY_PLACE.search(file.path):
        credentials = (content.search(raw) for place, content in PLACES if place.search(file.path))
        kinds |= {"cloud-credentials"} if any(credentials) else set()
    return kinds


# What belongs to one instance, and must not be older than it.

_HOST_KEY = re.compile(r"/etc/ssh/ssh_host_\w+_key$")
_AUTHORIZED_KEYS = re.compile(r"/\.ssh/authorized_keys2?$")
_PUBLIC_KEY = re.compile(rb"^[^#\n]*?\b(?:ssh|ecdsa|sk)-[\w@.-]+\s+([A-Za-z0-9+/=]{32,})", re.MULTILINE)
_LOGINS = re.compile(r"/[bw]tmp[^/]*$")
_IDENTITIES = (
    ("host-key", _HOST_KEY),
    ("machine-id", re.compile(r"^/(etc|var/lib/dbus)/machine-id$")),
    ("shell-history", re.compile(r"/(\.\w*history|fish_history|\.lesshst|\.viminfo)$")),
    ("cloud-init", re.compile(r"^/var/lib/cloud/(instances|data)/")),
    ("log", re.compile(r"^/var/log/")),
)
_NOTHING = {b"", b"uninitialized"}
"""An empty file; and what systemd has in ``machine-id`` before the first boot (machine-id(5))."""
_CLOCK_DOUBT = 5.0
"""Seconds: logs have whole ones, and the clock may be set right soon after boot."""


def identity_of(file: File, first: bytes, instance: Instance) -> str | None:
    """Returns the kind of an instance's own file that came with the AMI, given its first bytes."""
    if _AUTHORIZED_KEYS.search(file.path):
        keys = set(_PUBLIC_KEY.findall(first))
        strangers = keys - instance.keys if instance.keys is not None else len(keys) > 1
        return "authorized-keys" if strangers or (keys and instance.had(file)) else None
    kind = next((kind for kind, path in _IDENTITIES if path.search(file.path)), None)
    if kind is None or first.strip(b"\0\n ") in _NOTHING:
        return None
    is_old = instance.had(file)
    if _LOGINS.search(file.path):
        is_old = first_login(first) < instance.booted_at - _CLOCK_DOUBT
    elif kind == "log":
        is_old = is_old or first_entry(first, instance.booted_at) < instance.booted_at - _CLOCK_DOUBT
    return kind if is_old else None


_LOGIN = {384: "<h338xi40x", 400: "<h342xq48x"}
"""Size of ``struct utmp``, on x86-64 and ARM, to where its ``ut_type`` and ``tv_sec`` are (glibc, utmp.h)."""
_USER_PROCESS = 7
"""Type of the entries that tell of a login; others tell of boots and shutdowns (utmp(5))."""
_EARLIEST = 1e9


def first_login(log: bytes) -> float:
    """Returns when the first login was that ``wtmp`` tells of.

    The shutdown of the build's instance is in it too, after everything was cleaned up.
    """
    sizes = (size for size in _LOGIN if len(log) % size == 0)
    entries = itertools.chain.from_iterable(struct.iter_unpack(_LOGIN[size], log) for size in sizes)
    return min((at for kind, at in entries if kind == _USER_PROCESS and at > _EARLIEST), default=math.inf)


_JOURNAL = b"LPKSHHRH"
_JOURNAL_HEAD = slice(184, 192)
"""Of its header, ``head_entry_realtime``, in microseconds (systemd, JOURNAL_FILE_FORMAT.md)."""
_ISO_TIME = re.compile(rb"(\d{4}-\d\d-\d\d)[T ]{1,2}(\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?")
_SYSLOG_TIME = re.compile(rb"(?:<\d+>)?([A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d) ")
_DAY = 86400


def first_entry(log: bytes, booted_at: float) -> float:
    """Returns when a log's first entry was written, infinity when it does not say.

    A log that this boot wrote to may still begin with what was there before.
    """
    if log.startswith(_JOURNAL):
        return int.from_bytes(log[_JOURNAL_HEAD], "little") / 1e6 or math.inf
    line = log.lstrip().partition(b"\n")[0][:_WINDOW]
    iso, syslog = _ISO_TIME.search(line), _SYSLOG_TIME.match(line)
    if syslog:  # which leaves out the year
        year = time.gmtime(booted_at).tm_year
        moments = [
            _moment(f"{one} {syslog[1].decode()}", "%Y %b %d %H:%M:%S", "") for one in (year, year - 1)
        ]
        return next((one for one in moments if one < booted_at + _DAY), math.inf)
    if iso:
        day, hour, zone = iso.groups(b"")
        return _moment(f"{day.decode()} {hour.decode()}", "%Y-%m-%d %H:%M:%S", zone.decode())
    return math.inf


def _moment(written: str, form: str, zone: str) -> float:
    """Returns seconds since 1970; of a time without a zone the later of what it is here and in UTC."""
    try:
        parsed = time.strptime(written, form)
        here = time.mktime(parsed)
    except (ValueError, OverflowError):  # such as 29 February, of another year
        return math.inf
    if not zone:
        return max(float(calendar.timegm(parsed)), here)
    hours, minutes = (0, 0) if zone == "Z" else (int(zone[:3]), int(zone[0] + zone[-2:]))
    return float(calendar.timegm(parsed) - hours * 3600 - minutes * 60)


# Which files there are, and what is in them.

_ON_DISK = {"btrfs", "zfs"}
"""File systems on disks though they have no device number of one."""
_PACKED = {"squashfs", "iso9660"}
"""Nobody can have written to these; a snap is one."""
_VOLATILE_LOGS = "run/log"
"""Where the journal is when it does not survive a reboot. A secret that is logged there is logged."""


def walk(instance: Instance) -> Iterator[File]:
    """Yields every regular file on a disk once, whatever names it has; pseudo file systems are left out."""
    seen: set[tuple[int, int]] = set()
    on_disk = {status.st_dev for status in map(_status, mount_points(instance)) if status}
    yield from _below(str(instance.root), on_disk, seen, instance)
    logs = _status(str(instance.root / _VOLATILE_LOGS))
    if logs:
        yield from _below(str(instance.root / _VOLATILE_LOGS), {logs.st_dev}, seen, instance)


def mount_points(instance: Instance) -> list[str]:
    """Returns where file systems are mounted that are on a disk, and the root in any case."""
    places = [str(instance.root)]
    for line in instance.mounts.splitlines():
        (_, _, number, _, place, *_), kind = line.split(), line.partition(" - ")[2].split()[0]
        if (not number.startswith("0:") or kind in _ON_DISK) and kind not in _PACKED:
            places.append(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), place))
    return places


def _below(top: str, devices: set[int], seen: set[tuple[int, int]], instance: Instance) -> Iterator[File]:
    """Yields the files below a folder that are on one of some devices, and notes what it has seen."""
    outside = len(str(instance.root).rstrip("/"))
    waiting = [top]
    while waiting:
        for path in _entries(waiting.pop()):
            status = _status(path)
            if status is None or (status.st_dev, status.st_ino) in seen:
                continue
            if stat.S_ISDIR(status.st_mode) and status.st_dev in devices:
                waiting.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield File(path[outside:], status)
            else:
                continue
            seen.add((status.st_dev, status.st_ino))


def _entries(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries]
    except OSError:  # it is gone
        return []


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def chunks_of(file: File, descriptor: int) -> Iterator[bytes]:
    """Yields a file's content; each chunk begins with the end of the one before, unless a hole is between."""
    if file.path.startswith("/var/log/") and file.path.endswith(".gz"):
        with os.fdopen(os.dup(descriptor), "rb") as packed, gzip.open(packed) as unpacked:
            yield from _overlapping(iter(lambda: unpacked.read(CHUNK), b""))
    elif file.status.st_blocks * 512 < file.status.st_size:
        for start, end in _extents(descriptor):
            yield from _overlapping(_parts(descriptor, start, end))
    else:
        yield from _overlapping(_parts(descriptor, 0, file.status.st_size))


def _parts(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    return (os.pread(descriptor, min(CHUNK, end - offset), offset) for offset in range(start, end, CHUNK))


def _overlapping(parts: Iterable[bytes]) -> Iterator[bytes]:
    tail = b""
    for part in parts:
        yield tail + part
        tail = (tail + part)[-OVERLAP:]


def _extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Yields where a sparse file has content: its holes may be larger than any disk."""
    end = 0
    with suppress(OSError):  # only a hole is left (lseek(2), ENXIO)
        while True:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
            yield start, end


_PROGRAM = b"\x7fELF"
"""What keys are compiled into it, its makers have given to everybody."""


class Scan:
    """Looks for all kinds of leaks in files."""

    def __init__(self, instance: Instance, secrets: Secrets) -> None:
        self._instance = instance
        self._secrets = secrets
        self._needles = Needles(secrets.names)

    def run(self, files: Sequence[File]) -> Scanned:
        """Returns what is in some files, and in their names."""
        findings = set(self._in_names(files))
        size = unreadable = 0
        for file, later in itertools.zip_longest(files, files[_AHEAD:]):
            if later:
                self._read_ahead(later)
            try:
                findings.update(self._in_file(file))
                size += min(file.status.st_size, file.status.st_blocks * 512)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was there a moment ago
            except (OSError, EOFError, zlib.error):
                unreadable += 1
        shown = {one._replace(file=self._shown(one.file)) for one in findings}
        return Scanned(shown, len(files), size, unreadable)

    def _in_file(self, file: File) -> Iterator[Finding]:
        own = self._secrets.own.get(file.path) if file.status.st_nlink == 1 else None
        has_kinds = own is None
        with self._opened(file) as descriptor:
            for number, raw in enumerate(chunks_of(file, descriptor)):
                if not number:
                    identity = identity_of(file, raw, self._instance)
                    yield from [Finding(identity, file.path)] if identity else []
                    has_kinds = has_kinds and not raw.startswith(_PROGRAM)
                folded = fold(raw)
                for part in self._needles.within(raw, folded) - (own or frozenset()):
                    yield Finding("secret-value", file.path, self._secrets.names[part])
                kinds = kinds_within(file, raw, folded, self._instance) if has_kinds else set()
                yield from (Finding(kind, file.path) for kind in kinds)

    def _in_names(self, files: Sequence[File]) -> Iterator[Finding]:
        """Looks at all names at once first, as there is hardly ever anything in them."""
        together = b"\n".join(os.fsencode(file.path) for file in files)
        if self._needles.within(together, fold(together)):
            for file in files:
                name = os.fsencode(file.path)
                for part in self._needles.within(name, fold(name)):
                    yield Finding("secret-value", file.path, self._secrets.names[part])

    def _shown(self, path: str) -> str:
        """Returns a path without the secrets in it."""
        names = [os.fsencode(name) for name in path.split("/")]
        shown = b"/".join(b"***" if self._needles.within(name, fold(name)) else name for name in names)
        if self._needles.within(shown, fold(shown)):
            shown = b"/***"
        return shown.decode("utf-8", "backslashreplace")

    @contextmanager
    def _opened(self, file: File) -> Iterator[int]:
        """Opens what was a regular file a moment ago, and does not wait for what it may be by now."""
        path = f"{self._instance.root}{file.path}"
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _read_ahead(self, file: File) -> None:
        with suppress(OSError), self._opened(file) as descriptor:
            os.posix_fadvise(descriptor, 0, CHUNK, os.POSIX_FADV_WILLNEED)


# What distributions ship to everybody is nobody's secret.

_SHIPPED = {"private-key", "cloud-credentials", "docker-auth", "environment-dump"}
_PUBLISHED = re.compile(r"/awscli/examples/|/lib/python3\.\d+/test/")
"""The AWS CLI's examples and Python's tests have keys; both are also installed from archives."""
_LAYER = re.compile(r"^.*?/(?:overlay2?/[^/]+/diff|snapshots/\d+/fs)(?=/)")
"""Where the files of a container image's layer are; its packages are its own."""


def _is_as_shipped(finding: Finding, instance: Instance) -> bool:
    """Returns whether it is in a file that is as everybody has it: an example, a test, a manual."""
    if finding.kind not in _SHIPPED:
        return False
    if _PUBLISHED.search(finding.file):
        return True
    layer = _LAYER.match(finding.file)
    top = layer[0] if layer else ""
    path = finding.file[len(top) :]
    shipped = _dpkg_sums(instance.root / top.lstrip("/")).get(path)
    shipped = shipped or (set() if top else _rpm_sums(path, instance.rpm))
    return bool(shipped) and not shipped.isdisjoint(_sums(Path(f"{instance.root}{finding.file}")))


def _sums(file: Path) -> set[str]:
    try:
        content = file.read_bytes()
    except OSError:  # it is gone
        return set()
    return {hashlib.md5(content, usedforsecurity=False).hexdigest(), hashlib.sha256(content).hexdigest()}


@cache
def _dpkg_sums(root: Path) -> Mapping[str, set[str]]:
    """Returns the checksums of each packaged file; it may have come to be below /usr since."""
    sums: dict[str, set[str]] = {}
    for file in (root / "var/lib/dpkg/info").glob("*.md5sums"):
        for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            for path in (f"/{line[34:]}", f"/usr/{line[34:]}"):
                sums.setdefault(path, set()).add(line[:32])
    return sums


def _rpm_sums(path: str, rpm: str) -> set[str]:
    query = [rpm, "--query", "--queryformat", "[%{FILENAMES}\t%{FILEDIGESTS}\n]", "--file", path]
    try:
        ended = subprocess.run(
            query, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return set()
    files = (line.rpartition("\t") for line in ended.stdout.splitlines())
    return {digest for name, _, digest in files if name == path}


# The instance itself.

_IMDS = "169.254.169.254"
_START_TIME = 19
"""Which field after the name in ``/proc/<pid>/stat`` is the start time (proc(5): field 22 of all)."""


def this_instance(root: str) -> Instance:
    """Returns the instance this runs on, or what of it is below a folder; its keys are not known yet."""
    kernel_started_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    ticks = int(Path("/proc/1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[_START_TIME])
    return Instance(
        root=Path(root),
        booted_at=kernel_started_at + ticks / os.sysconf("SC_CLK_TCK"),
        mounts=Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"),
        keys=None,
        workers=len(os.sched_getaffinity(0)),
    )


def given_keys(service: str) -> frozenset[bytes] | None:
    """Returns the public keys that EC2's metadata service names; None when it does not answer."""
    connection = HTTPConnection(service, timeout=2)

    def ask(method: str, path: str, **headers: str) -> str:
        named = {f"X-aws-ec2-metadata-{name}": value for name, value in headers.items()}
        connection.request(method, f"/latest/{path}", headers=named)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:  # the latter where there is no key
            raise HTTPException(answer.reason)
        return text if answer.status == HTTPStatus.OK else ""

    with closing(connection), suppress(OSError, HTTPException):
        token = ask("PUT", "api/token", **{"token-ttl-seconds": "60"})
        listed = ask("GET", "meta-data/public-keys/", token=token)
        numbers = [line.partition("=")[0] for line in listed.splitlines()]
        texts = [ask("GET", f"meta-data/public-keys/{number}/openssh-key", token=token) for number in numbers]
        return frozenset(key for text in texts for key in _PUBLIC_KEY.findall(text.encode()))
    return None


if __name__ == "__main__":
    os.nice(_NICENESS)
    _given = json.load(sys.stdin)
    _instance = this_instance(_given.get("root", "/"))
    json.dump(main(_given, _instance._replace(keys=given_keys(_IMDS))), sys.stdout)
