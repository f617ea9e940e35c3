"""Where this machine gets Debian packages from, read from its apt configuration; standard library only."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from amifactory.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MIRROR_VARIABLE = "AMIFACTORY_DEBIAN_MIRROR"

_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive that apt uses: ``uri`` has ``suite`` (``bookworm-security``) with ``main`` in it."""

    uri: str
    suite: str


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """The Debian archives an instance of the sandbox can use, as this machine does.

    Attributes:
        main: Address of the release's own archive.
        others: The archives of its updates and security fixes.
        proxy: What apt goes through on this machine.
    """

    main: str
    others: tuple[Archive, ...] = ()
    proxy: str | None = None

    @property
    def proxy_is_local(self) -> bool:
        """Whether only this machine itself can reach the proxy."""
        host = urlsplit(self.proxy or "").hostname or ""
        return host == "localhost" or host.startswith("127.")

    def proxy_environment(self) -> dict[str, str]:
        """Returns the environment that makes debootstrap use the proxy too."""
        return {"http_proxy": self.proxy} if self.proxy else {}

    def deb822(self, suite: str, keyring: Path) -> str:
        """Returns the text of an apt ``.sources`` file with these archives."""
        archives = [Archive(uri=self.main, suite=suite), *self.others]
        return "\n".join(
            f"Types: deb\nURIs: {archive.uri}\nSuites: {archive.suite}\n"
            f"Components: main\nSigned-By: {keyring}\n"
            for archive in archives
        )


def mirrors_of_this_machine(environment: Mapping[str, str], *, suite: str = "bookworm") -> Mirrors:
    """Returns the mirrors to use: the environment's, else those in this machine's apt configuration.

    Raises:
        MissingToolError: This machine's apt uses no Debian mirror and none is given.
    """
    archives = list(parse_all(Path("/etc/apt")))
    return choose_mirrors(archives, suite=suite, given=environment.get(MIRROR_VARIABLE), proxy=_apt_proxy())


def choose_mirrors(
    archives: Iterable[Archive], *, suite: str, given: str | None = None, proxy: str | None = None
) -> Mirrors:
    """Returns the mirror of ``suite`` and of its updates and security fixes among ``archives``."""
    # Others' repositories may name a suite after Debian's, so an address that says Debian goes first.
    debian_last = sorted(archives, key=lambda archive: "debian" in archive.uri)
    by_suite = {archive.suite: archive for archive in debian_last}
    main = given or (by_suite[suite].uri if suite in by_suite else None)
    if main is None:
        raise MissingToolError(
            f"apt on this machine knows no mirror of Debian {suite}, "
            "which the sandbox's source AMI is made from",
            hint=f"name one: export {MIRROR_VARIABLE}=http://<mirror>/debian",
        )
    extra = tuple(by_suite[name] for name in (f"{suite}-updates", f"{suite}-security") if name in by_suite)
    return Mirrors(main=main.rstrip("/"), others=extra, proxy=proxy)


def parse_all(apt: Path) -> Iterator[Archive]:
    """Yields the archives of every ``sources.list``, ``*.list`` and ``*.sources`` file below ``apt``."""
    folder = apt / "sources.list.d"
    for file in [apt / "sources.list", *sorted(folder.glob("*.list"))]:
        if file.is_file():
            yield from parse_list(file.read_text(errors="replace"))
    for file in sorted(folder.glob("*.sources")):
        yield from parse_deb822(file.read_text(errors="replace"))


def parse_list(text: str) -> Iterator[Archive]:
    """Yields the archives in the one-line format that have a ``main`` component."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#")[0].strip())
        if match and "main" in match["components"].split():
            yield from _fetchable(match["uri"], [match["suite"]])


def parse_deb822(text: str) -> Iterator[Archive]:
    """Yields the archives in the stanza format that have a ``main`` component."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = _fields(stanza)
        if "deb" not in fields.get("types", []) or "main" not in fields.get("components", []):
            continue
        if fields.get("enabled") == ["no"]:
            continue
        for uri in fields.get("uris", []):
            yield from _fetchable(uri, fields.get("suites", []))


def _fields(stanza: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    key = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields.setdefault(key, []).extend(line.split())
        elif ":" in line:
            key, value = line.split(":", 1)
            key = key.lower()
            fields[key] = value.split()
    return fields


def _fetchable(uri: str, suites: Iterable[str]) -> Iterator[Archive]:
    if urlsplit(uri).scheme in {"http", "https"}:
        yield from (Archive(uri=uri, suite=suite) for suite in suites)


def _apt_proxy() -> str | None:
    if shutil.which("apt-config") is None:
        return None
    command = ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    match = re.fullmatch(r"PROXY='(.+)'\s*", text)
    return match[1] if match and match[1] != "DIRECT" else None
