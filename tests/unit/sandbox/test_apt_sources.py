"""Where Debian comes from is what this machine's apt says, in either of its two formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from amifactory.errors import MissingToolError
from amifactory.sandbox.apt_sources import (
    Archive,
    Mirrors,
    choose_mirrors,
    parse_all,
    parse_deb822,
    parse_list,
)

if TYPE_CHECKING:
    from pathlib import Path

STANZAS = """\
# the release
Types: deb deb-src
URIs: http://mirror.example.com/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.com/debian-security
Suites:
 bookworm-security
Components:
 main

Enabled: no
Types: deb
URIs: http://off.example.com/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example.com/debian
Suites: bookworm
Components: main
"""
LINES = """\
# deb http://commented.example.com/debian bookworm main
deb [arch=amd64 signed-by=/etc/x.gpg] http://mirror.example.com/debian/ bookworm main contrib # ours
deb-src http://mirror.example.com/debian/ bookworm main
deb http://mirror.example.com/debian-security bookworm-security main
deb https://packages.example.com/apt stable tools
deb cdrom:[Debian]/ bookworm main
"""
MAIN = Archive(uri="http://mirror.example.com/debian", suite="bookworm")
UPDATES = Archive(uri="http://mirror.example.com/debian", suite="bookworm-updates")
SECURITY = Archive(uri="http://mirror.example.com/debian-security", suite="bookworm-security")


def test_stanzas_are_read() -> None:
    assert list(parse_deb822(STANZAS)) == [MAIN, UPDATES, SECURITY]


def test_lines_are_read() -> None:
    main = Archive(uri="http://mirror.example.com/debian/", suite="bookworm")
    assert list(parse_list(LINES)) == [main, SECURITY]


def test_every_file_of_a_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://mirror.example.com/debian bookworm main\n")
    (tmp_path / "sources.list.d/security.list").write_text(LINES.splitlines()[3])
    (tmp_path / "sources.list.d/debian.sources").write_text(STANZAS)
    (tmp_path / "sources.list.d/debian.sources.bak").write_text(STANZAS.replace("mirror", "old"))
    assert set(parse_all(tmp_path)) == {MAIN, UPDATES, SECURITY}


def test_an_empty_configuration_has_no_archive(tmp_path: Path) -> None:
    assert not list(parse_all(tmp_path))


def test_updates_and_security_fixes_come_with_the_release() -> None:
    assert choose_mirrors([SECURITY, MAIN, UPDATES], suite="bookworm") == Mirrors(
        main=MAIN.uri, others=(UPDATES, SECURITY)
    )


def test_an_address_that_says_debian_goes_before_others_repositories() -> None:
    other = Archive(uri="https://packages.example.com/tool", suite="bookworm")
    for archives in ([other, MAIN], [MAIN, other]):
        assert choose_mirrors(archives, suite="bookworm").main == MAIN.uri


def test_a_given_mirror_goes_before_all() -> None:
    chosen = choose_mirrors([MAIN], suite="bookworm", given="http://near.example.com/debian/")
    assert chosen.main == "http://near.example.com/debian"


def test_no_mirror_is_an_error_that_says_how_to_name_one() -> None:
    ubuntu = Archive(uri="http://mirror.example.com/ubuntu", suite="noble")
    with pytest.raises(MissingToolError, match="no mirror of Debian bookworm") as caught:
        choose_mirrors([ubuntu], suite="bookworm")
    assert "AMIFACTORY_DEBIAN_MIRROR=" in str(caught.value.hint)


def test_what_is_written_for_an_instance_reads_back_the_same(tmp_path: Path) -> None:
    chosen = Mirrors(main=MAIN.uri, others=(UPDATES, SECURITY))
    assert list(parse_deb822(chosen.deb822("bookworm", tmp_path / "key.gpg"))) == [MAIN, UPDATES, SECURITY]


@pytest.mark.parametrize(
    ("proxy", "local"),
    [
        ("http://127.0.0.1:3142", True),
        ("http://localhost:3142/", True),
        ("http://proxy.example.com:3142", False),
    ],
)
def test_an_instance_cannot_use_a_proxy_on_this_machines_loopback(proxy: str, local: bool) -> None:
    assert Mirrors(main=MAIN.uri, proxy=proxy).proxy_is_local is local
