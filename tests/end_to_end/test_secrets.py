"""Secrets on real instances: fetched at boot, refreshed, baked in; and what is wrong with them."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.conftest import Factory, Sandbox

ID = "ci/kubeconfig"
PATH = "/home/gitlab-runner/.kube/config"
BLOCK = f"""
secret "kubeconfig" {{
  id    = "{ID}"
  path  = "{PATH}"
  owner = "gitlab-runner"
}}
"""
KUBECONFIG = """apiVersion: v1
kind: Config
clusters:
- name: ci
  cluster:
    server: https://{server}
contexts: []
users:
- name: ci
  user:
    token: {token}
"""
CANARY = "kcanary-7f3b9a52d1e8c604"
SPEC = f"""with host.sudo():
        file = host.file("{PATH}")
        assert (file.user, file.mode) == ("gitlab-runner", 0o600)
        assert "server: https://first.example.com" in file.content_string"""
EVER = 10_000


def kubeconfig(server: str) -> str:
    return KUBECONFIG.format(server=server, token=CANARY)


@pytest.fixture(scope="module")
def keyed(worker_bench: Factory, sandbox: Sandbox) -> Factory:
    """Returns the worker factory with an image ``keyed`` that fetches a kubeconfig at boot, verified."""
    worker_bench.add(
        "keyed",
        parent="worker",
        spec=SPEC,
        settings=f'{BLOCK}verify {{\n  ready_timeout = "20s"\n}}\n',
        hooks=True,
    )
    worker_bench.run("plan").expect(0)  # from here on the sandbox knows the secret
    sandbox.secrets.put_secret_value(SecretId=ID, SecretString=kubeconfig("first.example.com"))
    worker_bench.run("build", "keyed").expect(0)
    return worker_bench


@pytest.fixture(autouse=True)
def as_it_was(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[None]:
    """Puts the secret back to what the spec expects."""
    yield
    if "keyed" not in request.fixturenames:
        return
    sandbox.forget_failures()
    try:
        sandbox.secrets.put_secret_value(SecretId=ID, SecretString=kubeconfig("first.example.com"))
    except sandbox.secrets.exceptions.ResourceNotFoundException:
        sandbox.secrets.create_secret(Name=ID, SecretString=kubeconfig("first.example.com"))


@contextmanager
def spec_of(factory: Factory, image: str, text: str) -> Iterator[None]:
    """Gives an image another spec for a while."""
    file = factory.image(image) / "spec" / f"test_{image}.py"
    before = file.read_text()
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)


def nothing_shown(factory: Factory, *words: str) -> None:
    """Looks for a secret's value in every file that amifactory and Packer wrote."""
    files = [file for file in (factory.root / ".amifactory").rglob("*") if file.is_file()]
    assert {"spec.log", "report.json", "junit.xml", "build.log"} <= {file.name for file in files}
    for file in files:
        if not file.is_relative_to(factory.root / ".amifactory/sandbox"):
            content = file.read_bytes()
            for word in words:
                assert word.encode() not in content, file


def test_a_secret_is_in_place_before_the_first_job(keyed: Factory, sandbox: Sandbox) -> None:
    (ami_id,) = sandbox.builds("worker", "keyed")
    report = json.loads((keyed.root / f".amifactory/reports/{ami_id}/report.json").read_text())
    assert report["verdict"] == "verified"
    assert report["leaks"]["findings"] == []
    nothing_shown(keyed, CANARY)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"SecretString": "apiVersion: v1\nkind: Config\nclusters: 12\n"}, "not a kubeconfig"),
        ({"SecretString": " "}, "empty"),
        ({"SecretBinary": b"\x00\x01"}, "binary"),
    ],
    ids=["not-a-kubeconfig", "empty", "binary"],
)
def test_a_secret_whose_value_is_no_use(
    keyed: Factory, sandbox: Sandbox, value: dict[str, Any], reason: str
) -> None:
    sandbox.secrets.put_secret_value(SecretId=ID, **value)
    ended = keyed.run("verify", "keyed").expect(6)
    assert "kubeconfig" in ended.stderr
    assert reason in ended.stderr
    assert sandbox.tags(sandbox.builds("worker", "keyed")[0])["verdict"] == "verified"


def test_a_secret_that_is_gone(keyed: Factory, sandbox: Sandbox) -> None:
    """Before anything starts; and on the instance, where it went meanwhile."""
    sandbox.secrets.delete_secret(SecretId=ID, ForceDeleteWithoutRecovery=True)
    ended = keyed.run("verify", "keyed").expect(6)
    assert f'no such secret in Secrets Manager: "{ID}"' in ended.stderr

    sandbox.secrets.create_secret(Name=ID, SecretString=kubeconfig("first.example.com"))
    sandbox.fail("GetSecretValue", "ResourceNotFoundException", service="secretsmanager", times=EVER)
    ended = keyed.run("verify", "keyed").expect(6)
    assert "the instance does not get ready: " in ended.stderr
    assert "kubeconfig" in ended.stderr


def test_a_secret_that_is_denied(keyed: Factory, sandbox: Sandbox) -> None:
    sandbox.fail("GetSecretValue", "AccessDeniedException", service="secretsmanager", times=EVER)
    ended = keyed.run("verify", "keyed").expect(6)
    assert "kubeconfig" in ended.stderr
    assert "AccessDenied" in ended.stderr or "denied" in ended.stderr


def test_secrets_manager_down_for_a_while(keyed: Factory, sandbox: Sandbox) -> None:
    sandbox.fail("GetSecretValue", "InternalServiceError", service="secretsmanager", status=500, times=3)
    keyed.run("verify", "keyed").expect(0)


def test_a_limit_does_not_judge_how_long_secrets_manager_was_down(keyed: Factory, sandbox: Sandbox) -> None:
    limit = 15
    file = keyed.image("keyed") / "image.hcl"
    before = file.read_text()
    file.write_text(
        before.replace('ready_timeout = "20s"', f'ready_timeout = "90s"\n  ready_within  = "{limit}s"')
    )
    sandbox.fail("GetSecretValue", "InternalServiceError", service="secretsmanager", status=500, times=EVER)
    try:
        step = keyed.run("plan", "keyed", "--json").expect(0).steps["keyed"]
        assert (step["action"], step["reasons"]) == ("verify", ["verification limits changed"])
        with keyed.start("build", "keyed") as running:
            running.wait_for("waiting until ready")
            time.sleep(limit)
            sandbox.forget_failures()
            ended = running.end()
        assert ended.code == 0, ended.stderr
    finally:
        file.write_text(before)
    (ami_id,) = sandbox.builds("worker", "keyed")
    report = json.loads((keyed.root / f".amifactory/reports/{ami_id}/report.json").read_text())
    assert report["verdict"] == "verified"
    (start,) = report["cold_start"]["samples"]
    assert start["ready"] > limit > start["ready"] - start["waited_for_account"]


def test_secrets_manager_down_for_good(keyed: Factory, sandbox: Sandbox) -> None:
    sandbox.fail("GetSecretValue", "InternalServiceError", service="secretsmanager", status=500, times=EVER)
    ended = keyed.run("verify", "keyed").expect(6)
    assert "the instance does not get ready: " in ended.stderr
    assert "InternalServiceError" in ended.stderr


def test_a_secret_rotated_while_booting(keyed: Factory, sandbox: Sandbox) -> None:
    sandbox.fail("GetSecretValue", "InternalServiceError", service="secretsmanager", status=500, times=EVER)
    wanted = SPEC.replace("first.example.com", "second.example.com")
    with (
        spec_of(keyed, "keyed", f"def test_it(host):\n    {wanted}\n"),
        keyed.start("verify", "keyed") as running,
    ):
        running.wait_for("waiting until ready")
        sandbox.secrets.put_secret_value(SecretId=ID, SecretString=kubeconfig("second.example.com"))
        sandbox.forget_failures()
        ended = running.end()
    assert ended.code == 0, ended.stderr
    nothing_shown(keyed, CANARY)


def test_a_secret_rotated_later_is_refreshed(keyed: Factory) -> None:
    """The spec gives it a new version and starts what the timer starts."""
    # Without a token: what sudo runs is in the journal, where the leak scan would find it, and rightly.
    third = kubeconfig("third.example.com").partition("users:")[0].replace("\n", "\\n") + "users: []"
    text = (
        "def test_it(host):\n"
        "    with host.sudo():\n"
        "        endpoint = host.check_output('. /etc/environment; echo $AWS_ENDPOINT_URL')\n"
        "        host.check_output(\n"
        "            'aws --endpoint-url %s --region eu-central-1 secretsmanager put-secret-value'\n"
        f"            ' --secret-id {ID} --secret-string %s', endpoint, '{third}',\n"
        "        )\n"
        "        host.check_output('systemctl start amifactory-secrets-refresh.service')\n"
        f"        assert 'third.example.com' in host.file('{PATH}').content_string\n"
    )
    with spec_of(keyed, "keyed", text):
        keyed.run("verify", "keyed").expect(0)


def test_a_spec_that_fails_over_a_secret_does_not_show_it(keyed: Factory) -> None:
    text = (
        "def test_it(host):\n"
        "    with host.sudo():\n"
        f"        assert 'nothing of the kind' in host.file('{PATH}').content_string\n"
    )
    with spec_of(keyed, "keyed", text):
        ended = keyed.run("verify", "keyed").expect(4)
    assert CANARY not in ended.stdout + ended.stderr
    nothing_shown(keyed, CANARY)


def test_a_secret_that_is_baked_in(worker: Factory, sandbox: Sandbox) -> None:
    token = "tcanary-0d9f8e7c6b5a4938271605"
    block = 'secret "token" {\n  id = "ci/token"\n  path = "/etc/ci/token"\n  when = "build"\n}\n'
    folder = worker.add(
        "baked",
        parent="worker",
        spec=f"with host.sudo():\n        assert host.file('/etc/ci/token').content_string == '{token}'",
        settings=block,
        hooks=True,
    )
    warned = worker.run("validate").expect(0)
    assert 'secret "token" is baked into the AMI' in warned.stderr
    worker.run("plan").expect(0)
    sandbox.secrets.put_secret_value(SecretId="ci/token", SecretString=token)

    ended = worker.run("build", "baked", "--json").expect(0)
    assert 'Warning: images/baked/image.hcl: secret "token" is baked into the AMI' in ended.stderr
    ami_id = ended.builds["baked"]["ami_id"]
    assert sandbox.tags(ami_id)["carries-secret"] == "token"
    assert worker.run("images", "baked", "--json").builds["baked"]["carries_secret"] == ["token"]

    script = folder / "provision/install.sh"
    script.write_text("#!/usr/bin/env bash\nset -euo pipefail\n")
    (folder / "build.pkr.hcl").write_text(
        (folder / "build.pkr.hcl")
        .read_text()
        .replace(
            '"shared/provision/clean-up.sh"', '"provision/copy.sh",\n      "shared/provision/clean-up.sh"'
        )
    )
    copy = folder / "provision/copy.sh"
    copy.write_text("#!/usr/bin/env bash\nset -euo pipefail\nbase64 /etc/ci/token >/opt/token.b64\n")
    copy.chmod(0o755)
    leaky = worker.run("build", "baked", "--json").expect(4).builds["baked"]
    assert leaky["error"] == "leaks: secret-value in /opt/token.b64"


def test_a_secret_that_an_instance_writes_to_its_log(worker: Factory, sandbox: Sandbox) -> None:
    unit = (
        "[Unit]\\nAfter=amifactory-secrets.service\\n[Service]\\nType=oneshot\\n"
        f'ExecStart=/bin/sh -c "until test -s {PATH}; do sleep 0.2; done; cp {PATH} /var/log/chatty.log"\\n'
        "[Install]\\nWantedBy=multi-user.target\\n"
    )
    worker.add(
        "chatty",
        parent="worker",
        provision=f"printf '{unit}' >/etc/systemd/system/chatty.service\nsystemctl enable chatty.service",
        settings=BLOCK,
        hooks=True,
    )
    worker.run("plan").expect(0)
    sandbox.secrets.put_secret_value(SecretId=ID, SecretString=kubeconfig("first.example.com"))
    build = worker.run("build", "chatty", "--json").expect(4).builds["chatty"]
    assert build["error"] == "leaks: secret-value in /var/log/chatty.log"
