"""What install-hooks.sh puts into an image, enables, and fetches.

The real script runs; ``systemctl`` and the program that fetches secrets note their calls.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PROVISION = ROOT / "images/_shared/provision"
SYSTEMCTL = '#!/bin/sh\necho "$*" >>"$CALLS"\n'
FETCH = 'import os, sys\nopen(os.environ["CALLS"], "a").write(f"fetch {sys.argv[1:]}\\n")\nsys.exit({code})\n'
KUBECONFIG = {"name": "kubeconfig", "path": "/home/ci/.kube/config", "id": "ci/kubeconfig", "when": "boot"}
TOKEN = {"name": "token", "path": "/etc/token", "id": "ci/token", "when": "boot"}
FETCHING = {"amifactory-secrets.service", "amifactory-secrets.timer"}
BAKED = {"name": "baked", "path": "/etc/baked", "id": "ci/baked", "when": "build"}


@dataclass(frozen=True)
class Image:
    """A folder that stands for the build instance."""

    folder: Path

    @property
    def hooks(self) -> Path:
        return self.folder / "staging/hooks"

    def install(self, *secrets: dict[str, str], drain: str = "") -> str:
        """Runs the script; returns what it said.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        (self.folder / "calls").unlink(missing_ok=True)
        return subprocess.run(
            ["bash", f"{PROVISION}/install-hooks.sh"],
            env={
                "PATH": f"{self.folder}/bin:/usr/bin:/bin",
                "DESTDIR": str(self.folder / "root"),
                "LIB": f"{PROVISION}/lib",
                "STAGING": str(self.folder / "staging"),
                "CALLS": str(self.folder / "calls"),
                "SECRETS": json.dumps(secrets),
                "DRAIN": drain,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        ).stdout

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    @property
    def enabled(self) -> set[str]:
        return {call.split()[-1] for call in self.calls if call.startswith("enable ")}

    @property
    def services(self) -> list[str]:
        return (self.folder / "root/etc/amifactory/hooks").read_text().splitlines()

    def settings(self) -> dict[str, Any]:
        """Returns what the programs are told to do, by file."""
        files = (self.folder / "root/etc/amifactory").glob("*.json")
        return {file.name: json.loads(file.read_text()) for file in files}


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Returns an image with the real hooks, but a stand-in for the one that fetches secrets."""
    image = Image(tmp_path)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hooks/instance", image.hooks, ignore=ignore)
    (image.hooks / "fetch_secrets.py").write_text(FETCH.replace("{code}", "0"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(SYSTEMCTL)
    (tmp_path / "bin/systemctl").chmod(0o755)
    return image


def test_everything_is_where_it_belongs_and_off_where_it_has_no_work(image: Image) -> None:
    assert image.install() == ""
    root = image.folder / "root"
    programs, units = root / "usr/local/lib/amifactory", root / "etc/systemd/system"
    assert {file.name for file in units.iterdir()} == {
        file.name for file in image.hooks.iterdir() if file.suffix in {".service", ".timer"}
    }
    assert {file.name for file in programs.iterdir()} == {file.name for file in image.hooks.glob("*.py")}
    assert all(file.stat().st_mode & 0o777 == 0o755 for file in programs.iterdir())
    link = root / "usr/local/bin/amifactory-ready"
    assert os.readlink(link) == "/usr/local/lib/amifactory/ready.py"  # noqa: PTH115
    assert image.services == sorted(file.name for file in image.hooks.glob("*.service"))
    assert image.settings() == {"secrets.json": []}
    assert sorted(image.calls) == [
        "disable --quiet amifactory-drain.service",
        "disable --quiet amifactory-secrets.service",
        "disable --quiet amifactory-secrets.timer",
        "enable --quiet amifactory-ready.service",
    ]


def test_what_a_parent_was_told_to_do_is_replaced(image: Image) -> None:
    image.install(TOKEN, drain='{"on": ["spot"], "timeout": 60}')
    assert image.enabled == {*FETCHING, "amifactory-ready.service", "amifactory-drain.service"}
    assert image.settings() == {"secrets.json": [TOKEN], "drain.json": {"on": ["spot"], "timeout": 60}}
    image.install(KUBECONFIG)
    assert image.enabled == {*FETCHING, "amifactory-ready.service"}
    assert image.calls[0] == "disable --quiet amifactory-drain.service"
    assert not any(call.startswith("fetch") for call in image.calls)
    assert image.settings() == {"secrets.json": [KUBECONFIG]}
    assert image.services == sorted(file.name for file in image.hooks.glob("*.service"))


def test_only_secrets_of_the_build_are_fetched(image: Image) -> None:
    """And a unit of the factory's own is enabled where it says so."""
    (image.hooks / "mount-cache.service").write_text("[Install]\nWantedBy=a.target\n")
    (image.hooks / "other.service").write_text("[Service]\nType=oneshot\n")
    (image.hooks / "watch.path").write_text("[Path]\n[Install]\nWantedBy=a.target\n")
    image.install(BAKED, KUBECONFIG)
    assert image.calls[-1] == "fetch ['--when', 'build']"
    assert image.settings() == {"secrets.json": [BAKED, KUBECONFIG]}
    assert image.enabled == {*FETCHING, "amifactory-ready.service", "mount-cache.service", "watch.path"}
    assert "mount-cache.service" in image.services


def test_secret_that_cannot_be_baked_in_stops_the_build(image: Image) -> None:
    (image.hooks / "fetch_secrets.py").write_text(FETCH.replace("{code}", "1"))
    with pytest.raises(subprocess.CalledProcessError) as raised:
        image.install(BAKED)
    assert raised.value.stdout == (
        'install-hooks: a secret with when = "build" could not be put into the image\n'
    )
