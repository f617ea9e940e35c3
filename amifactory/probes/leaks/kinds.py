"""What keys, credentials and environments look like, whoever's they are."""

from __future__ import annotations

import binascii
import re
import string
from typing import TYPE_CHECKING, NamedTuple

from amifactory.probes.leaks.identities import HOST_KEY
from amifactory.probes.leaks.needles import fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.probes.leaks.instance import File, Instance

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
    if HOST_KEY.search(file.path):
        kinds.discard("private-key")
    in_ami = instance.had(file) or not _MADE_AT_BOOT.search(file.path)
    if in_ami and _ANY_PLACE.search(file.path):
        credentials = (content.search(raw) for place, content in PLACES if place.search(file.path))
        kinds |= {"cloud-credentials"} if any(credentials) else set()
    return kinds
