"""Pre-pulling: by digest, under the name asked for, and with credentials that stay nowhere.

The real script runs; ``docker``, ``aws`` and ``systemctl`` on its PATH are programs that note their calls.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROVISION = Path(__file__).parents[3] / "images/_shared/provision"
DIGEST = f"sha256:{'ab' * 32}"
PASSWORD = "correct horse $(touch pwned) 'battery'"
DOCKER = """#!/bin/bash
echo "docker $*" >>"$CALLS"
case $1 in
  login) cat >"$PASSWORDS"; echo "auth" >"$DOCKER_CONFIG/config.json" ;;
  pull) [[ $* != *"$REFUSED"* ]] ;;
esac
"""
AWS = """#!/bin/bash
echo "aws $*" >>"$CALLS"
[[ -n $SECRET ]] && printf '%s' "$SECRET"
"""
NOTHING = '#!/bin/bash\n[[ ${0##*/} == sleep ]] || echo "${0##*/} $*" >>"$CALLS"\n'


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a run of the script did."""

    calls: list[str]
    output: str
    returncode: int
    password: str
    left_behind: list[str]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A folder that stands for the build instance."""

    folder: Path

    def pull(self, prepull: str, *, secrets: str = "", secret: str = "", refused: str = "!") -> Pulled:
        for name in ("bin", "run"):
            (self.folder / name).mkdir()
        for name, text in {"docker": DOCKER, "aws": AWS, "systemctl": NOTHING, "sleep": NOTHING}.items():
            (self.folder / "bin" / name).write_text(text)
            (self.folder / "bin" / name).chmod(0o755)
        environment = {
            "PATH": f"{self.folder}/bin:/usr/bin:/bin",
            "LIB": f"{PROVISION}/lib",
            "RUNTIME_DIRECTORY": f"{self.folder}/run",
            "CALLS": f"{self.folder}/calls",
            "PASSWORDS": f"{self.folder}/password",
            "PREPULL": prepull,
            "REGISTRY_SECRETS": secrets,
            "SECRET": secret,
            "REFUSED": refused,
        }
        done = subprocess.run(
            ["bash", f"{PROVISION}/pull-images.sh"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        calls, password = self.folder / "calls", self.folder / "password"
        return Pulled(
            calls=calls.read_text().splitlines() if calls.exists() else [],
            output=done.stdout,
            returncode=done.returncode,
            password=password.read_text() if password.exists() else "",
            left_behind=[file.name for file in (self.folder / "run").iterdir()],
        )


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(folder=tmp_path)


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("node:22-bookworm-slim", "node"),
        ("hashicorp/terraform:1.9", "hashicorp/terraform"),
        ("registry.example.com:5000/team/image:1", "registry.example.com:5000/team/image"),
        ("registry.example.com:5000/team/image", "registry.example.com:5000/team/image"),
    ],
)
def test_image_is_pulled_by_digest_and_keeps_its_name(
    instance: Instance, reference: str, repository: str
) -> None:
    done = instance.pull(f"{reference}={DIGEST}")
    assert done.returncode == 0, done.output
    assert done.calls == [
        "systemctl start docker",
        f"docker pull --quiet {repository}@{DIGEST}",
        f"docker tag {repository}@{DIGEST} {reference}",
    ]


def test_reference_by_digest_gets_no_tag(instance: Instance) -> None:
    done = instance.pull(f"alpine@{DIGEST}={DIGEST}")
    assert [call for call in done.calls if call.startswith("docker")] == [
        f"docker pull --quiet alpine@{DIGEST}"
    ]


def test_nothing_to_pull_does_not_start_docker(instance: Instance) -> None:
    assert instance.pull("").calls == []


def test_image_that_cannot_be_pulled_fails_the_build_and_is_named(instance: Instance) -> None:
    done = instance.pull(f"alpine:3.20={DIGEST} node:22={DIGEST}", refused="node")
    assert done.returncode != 0
    assert f"cannot pull node:22, {DIGEST}" in done.output
    assert sum("docker pull --quiet node@" in call for call in done.calls) == 3


def test_credentials_reach_docker_and_nothing_else(instance: Instance) -> None:
    done = instance.pull(
        f"registry.example.com/a:1={DIGEST} registry.example.com/b:1={DIGEST} alpine:3.20={DIGEST}",
        secrets="registry.example.com=ci/registry other.example.com=ci/other",
        secret=f'{{"username": "robot", "password": "{PASSWORD}"}}',
    )
    assert done.returncode == 0, done.output
    assert done.password == PASSWORD
    assert [call for call in done.calls if call.startswith("aws")] == [
        "aws secretsmanager get-secret-value --secret-id ci/registry --query SecretString --output text"
    ]
    assert "docker login --username robot --password-stdin registry.example.com" in done.calls
    assert "battery" not in done.output + "".join(done.calls)
    assert done.left_behind == []
    assert not (instance.folder / "pwned").exists()


def test_credentials_are_removed_when_pulling_fails(instance: Instance) -> None:
    done = instance.pull(
        f"registry.example.com/a:1={DIGEST}",
        secrets="registry.example.com=ci/registry",
        secret='{"username": "robot", "password": "secret"}',
        refused="registry.example.com/a",
    )
    assert done.returncode != 0
    assert done.left_behind == []


@pytest.mark.parametrize("secret", ["", "not JSON", '{"username": "robot"}'])
def test_useless_secret_stops_the_build(instance: Instance, secret: str) -> None:
    done = instance.pull(
        f"registry.example.com/a:1={DIGEST}", secrets="registry.example.com=ci/registry", secret=secret
    )
    assert done.returncode != 0
    assert not any(call.startswith("docker pull") for call in done.calls)
