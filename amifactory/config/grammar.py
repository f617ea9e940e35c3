"""What the values in the configuration files may look like: durations, references, modes, names.

Each check returns the value and raises ValueError with a sentence for the person who wrote it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from amifactory.domain.references import parse_reference

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,9})([smhd])")


def parse_duration(text: object) -> timedelta:
    """Returns ``30s``, ``5m``, ``2h`` or ``7d`` as a timedelta; it is never zero."""
    duration = parse_wait(text)
    if not duration:
        raise ValueError(f"{_shown(text)} is not a usable duration; it must be more than 0 and at most 3650d")
    return duration


def parse_wait(text: object) -> timedelta:
    """Returns ``30s``, ``5m``, ``2h`` or ``7d`` as a timedelta; ``0s`` is none at all."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) and text.isascii() else None
    if match is None:
        raise ValueError(f'{_shown(text)} is not a duration; write "30s", "5m", "2h" or "7d"')
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > 3650 * 86400:
        raise ValueError(f"{_shown(text)} is not a usable duration; it must be at most 3650d")
    return timedelta(seconds=seconds)


def container_reference(text: str) -> str:
    """Checks a container image reference, such as ``node:22-bookworm-slim``."""
    parse_reference(text)
    return text


def file_mode(text: str) -> str:
    """Checks an octal file mode of four digits, ``0600``."""
    if not re.fullmatch(r"0[0-7]{3}", text):
        raise ValueError(f'"{text}" is not a file mode; write four octal digits, such as "0600"')
    return text


def absolute_path(text: str) -> str:
    """Checks an absolute path of a file, free of ``..`` and white space."""
    plain = text.startswith("/") and text == str(PurePosixPath(text)) and text.strip("/")
    if not plain or ".." in PurePosixPath(text).parts or re.search(r"\s|//", text):
        raise ValueError(f'"{text}" is not the absolute path of a file, such as "/etc/ci/token"')
    return text


def file_owner(text: str) -> str:
    """Checks ``user`` or ``user:group``."""
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}(?::[a-z_][a-z0-9_-]{0,31})?", text):
        raise ValueError(f'"{text}" is not a user name; write "gitlab-runner" or "gitlab-runner:docker"')
    return text


def name(text: str) -> str:
    """Checks the name of a factory, an image or a secret: it becomes part of AMI names and tags."""
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", text):
        raise ValueError(
            f'"{text}" is not a name; use up to 32 lower-case letters, digits and "-", '
            f"with a letter or digit at both ends"
        )
    return text


def tool_name(text: str) -> str:
    """Checks the name of a tool: scripts see its version as ``TOOL_<NAME>``."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", text):
        raise ValueError(f'"{text}" is not a tool\'s name; use lower-case letters, digits, "-" and "_"')
    return text


LEAK_KINDS = (
    "secret-value",
    "private-key",
    "cloud-credentials",
    "docker-auth",
    "shell-history",
    "cloud-init",
    "log",
    "authorized-keys",
    "host-key",
    "machine-id",
    "environment-dump",
)
"""What the leak scan tells apart."""


def leak_pattern(text: str) -> str:
    """Checks ``kind:path``, where both may have wildcards."""
    kind, colon, path = text.partition(":")
    if not colon or not path.startswith(("/", "*")):
        raise ValueError(f'"{text}" is not a kind and a path, such as "private-key:/opt/example/*.pem"')
    if not any(fnmatchcase(known, kind) for known in LEAK_KINDS):
        raise ValueError(f'"{kind}" is not a kind of leak; there are {", ".join(LEAK_KINDS)}')
    return text


def percentage(text: object) -> float:
    """Returns ``20%`` as 0.2; it is never zero."""
    match = re.fullmatch(r"(\d{1,4}(?:\.\d+)?)%", text) if isinstance(text, str) and text.isascii() else None
    if match is None or not float(match[1]):
        raise ValueError(f'{_shown(text)} is not a percentage; write "20%"')
    return float(match[1]) / 100


def whole_percentage(text: object) -> int:
    """Returns ``90%`` as 90."""
    match = re.fullmatch(r"(\d{1,4})%", text) if isinstance(text, str) and text.isascii() else None
    if match is None:
        raise ValueError(f'{_shown(text)} is not a whole percentage; write "90%"')
    return int(match[1])


def file_name(text: str) -> str:
    """Checks the name of a file, without a folder."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", text):
        raise ValueError(f'"{text}" is not the name of a file, such as "approve-change", without a folder')
    return text


def group_name(text: str) -> str:
    """Checks the name of an Auto Scaling group: up to 255 ASCII characters 33 to 126, no colon.

    Source: Auto Scaling API reference, CreateAutoScalingGroup.
    """
    if not re.fullmatch(r"[!-9;-~]{1,255}", text):
        raise ValueError(
            f'"{text}" is not the name of an Auto Scaling group; it has up to 255 ASCII letters, digits and '
            'punctuation characters, no space and no ":"'
        )
    return text


def sha256(text: str) -> str:
    """Checks a SHA-256 in hexadecimal."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f'"{text}" is not a SHA-256; write its 64 lower-case hexadecimal digits')
    return text


def url(text: str) -> str:
    """Checks an http or https address and takes the slash off its end."""
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[\w./~%-]*)?", text, re.ASCII):
        raise ValueError(f'"{text}" is not a web address, such as "https://mirror.example.com"')
    return text.rstrip("/")


def registry_host(text: str) -> str:
    """Checks ``host`` or ``host:port``, without a scheme."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?", text, re.ASCII):
        raise ValueError(f'"{text}" is not a registry\'s host name, such as "registry.example.com"')
    return text


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
