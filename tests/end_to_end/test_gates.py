"""Each gate rejects an image that is broken on purpose, and says why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Factory, Sandbox

KEY = "/opt/forgotten/deploy.pem"


def test_an_image_that_leaks_a_private_key(factory: Factory, sandbox: Sandbox) -> None:
    factory.add(
        "leaky",
        provision=f"mkdir /opt/forgotten\nssh-keygen -q -t ed25519 -N '' -f {KEY}\nrm {KEY}.pub",
    )
    build = factory.run("build", "leaky", "--json").expect(4).builds["leaky"]
    assert build["action"] == "rejected"
    assert build["error"] == f"leaks: private-key in {KEY}"
    assert sandbox.tags(build["ami_id"])["verdict"] == "rejected"

    report = json.loads((factory.root / f".amifactory/reports/{build['ami_id']}/report.json").read_text())
    assert report["leaks"]["findings"] == [{"kind": "private-key", "file": KEY}]
    assert {gate["gate"]: gate["passed"] for gate in report["gates"]} == {
        "boot": True,
        "ready": True,
        "prepull": True,
        "spec": True,
        "leaks": False,
        "cold-start": True,
    }

    settings = f'verify {{\n  allow_leaks = ["private-key:{KEY}"]\n}}\n'
    (factory.image("leaky") / "image.hcl").write_text(f'parent = "base"\n{settings}')
    accepted = factory.run("verify", "leaky", "--json").expect(0).builds["leaky"]
    report = json.loads((factory.root / f".amifactory/reports/{accepted['ami_id']}/report.json").read_text())
    assert report["leaks"]["findings"] == []
    assert report["leaks"]["allowed"] == [{"kind": "private-key", "file": KEY}]


def test_an_image_that_was_not_cleaned_up(factory: Factory) -> None:
    """Each kind of leak, on a real AMI; but host keys, which the first boot of an instance replaces."""
    folder = factory.add(
        "filthy",
        provision="""
mkdir -p /root/.aws /root/.docker /var/lib/cloud/instances/i-0123456789abcdef0
printf '[default]\\naws_access_key_id = AKIAQ3EGRDLEXAMPL5ZX\\naws_secret_access_key = %s\\n' \\
  "$(head --bytes 30 /dev/urandom | base64)" >/root/.aws/credentials
printf '{"auths": {"r.example.com": {"auth": "%s"}}}' "$(echo ci:pa55-w0rd-9 | base64)" \\
  >/root/.docker/config.json
echo 'mysql --password=x' >/root/.bash_history
echo '2026-01-15T12:00:00 the build was here' >/var/log/build.log
echo '#!/bin/sh' >/var/lib/cloud/instances/i-0123456789abcdef0/user-data.txt
env SSH_CONNECTION='192.0.2.1 1 192.0.2.2 22' SHLVL=1 PACKER_BUILD_NAME=worker env >/opt/environment
ssh-keygen -q -t ed25519 -N '' -f /opt/key""",
    )
    template = folder / "build.pkr.hcl"
    template.write_text(template.read_text().replace(" && sudo clean-up", ""))
    build = factory.run("build", "filthy", "--json").expect(4).builds["filthy"]
    report = json.loads((factory.root / f".amifactory/reports/{build['ami_id']}/report.json").read_text())
    assert {finding["kind"] for finding in report["leaks"]["findings"]} == {
        "authorized-keys",
        "cloud-credentials",
        "cloud-init",
        "docker-auth",
        "environment-dump",
        "log",
        "machine-id",
        "private-key",
        "shell-history",
    }


def test_an_instance_that_reboots_while_it_is_verified(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("restless", spec="host.run('sudo systemctl reboot; sleep 30')")
    build = factory.run("build", "restless", "--json").expect(4).builds["restless"]
    assert build["error"] == "boot: the instance rebooted while it was verified"
    assert sandbox.tags(build["ami_id"])["verdict"] == "rejected"


def test_an_image_without_the_ready_signal(factory: Factory) -> None:
    factory.add("mute", provision="rm /usr/local/bin/amifactory-ready")
    build = factory.run("build", "mute", "--json").expect(4).builds["mute"]
    assert build["error"].startswith("ready: it is not ready for jobs: ")
    assert "install-hooks.sh" in build["error"]


def test_an_image_whose_build_does_not_install_what_it_asks_for(factory: Factory) -> None:
    block = 'secret "token" {\n  id = "ci/unlisted"\n  path = "/etc/token"\n}\n'
    factory.add("careless", settings=f"{block}drain {{\n}}\n")
    build = factory.run("build", "careless", "--json").expect(4).builds["careless"]
    assert 'the instance knows nothing of secret "token", drain: ' in build["error"]
    assert "install-hooks.sh" in build["error"]


def slow_hook(seconds: int) -> str:
    """Returns the commands that install a hook which takes so long at boot."""
    unit = "/etc/systemd/system/slow.service"
    service = f"[Service]\\nType=oneshot\\nExecStart=/bin/sleep {seconds}"
    text = f"{service}\\n[Install]\\nWantedBy=multi-user.target\\n"
    return (
        f"printf '{text}' >{unit}\nsystemctl enable slow.service\necho slow.service >>/etc/amifactory/hooks"
    )


def test_an_image_that_is_ready_too_late(factory: Factory) -> None:
    settings = 'verify {\n  ready_within = "3s"\n}\n'
    factory.add("late", provision=slow_hook(4), settings=settings)
    build = factory.run("build", "late", "--json").expect(4).builds["late"]
    assert build["error"].startswith("cold-start: ready after ")
    assert build["error"].endswith("limit 3 s (verify.ready_within)")
    assert build["cold_start"]["ready"] > 4


def test_a_build_that_starts_slower_than_the_one_before(factory: Factory) -> None:
    folder = factory.add("slower", settings='verify {\n  regression = "50%"\n}\n')
    first = factory.run("build", "slower", "--json").expect(0).builds["slower"]
    script = folder / "provision/install.sh"
    script.write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{slow_hook(10)}\n")
    second = factory.run("build", "slower", "--json").expect(4).builds["slower"]
    assert f"in {first['ami_id']} before: +" in second["error"]
    assert "allowed 50 % (verify.regression)" in second["error"]


def test_a_spec_that_hangs(factory: Factory) -> None:
    factory.add("hanging", spec="host.run('sleep 300')", settings='verify {\n  timeout = "4s"\n}\n')
    ended = factory.run("build", "hanging", "--json").expect(4)
    assert ended.builds["hanging"]["error"] == "spec: it did not end within 4 s (verify.timeout)"
    assert ended.seconds < 60


def test_a_spec_that_imports_something_missing_is_refused_before_anything_starts(
    factory: Factory, sandbox: Sandbox, base: str
) -> None:
    spec = factory.image("base") / "spec/test_base.py"
    text = spec.read_text()
    spec.write_text(f"import nothing_of_that_name\n{text}")
    try:
        sandbox.forget_calls()
        ended = factory.run("verify", "base").expect(2)
        assert "nothing_of_that_name" in ended.stderr
        assert "ec2:RunInstances" not in sandbox.calls()
    finally:
        spec.write_text(text)
    assert sandbox.tags(base)["verdict"] == "verified"


def test_a_spec_that_fails_to_load_says_nothing_of_the_build(
    factory: Factory, sandbox: Sandbox, base: str
) -> None:
    """What only pytest finds out: the verdict stays as it was."""
    spec = factory.image("base") / "spec/test_base.py"
    text = spec.read_text()
    spec.write_text(f"raise RuntimeError('not today')\n{text}")
    try:
        ended = factory.run("verify", "base").expect(1)
    finally:
        spec.write_text(text)
    assert "the spec cannot be loaded" in ended.stderr
    assert "not today" in ended.stderr
    assert sandbox.tags(base)["verdict"] == "verified"


def test_how_fresh_instances_start_is_measured_as_often_as_asked(
    factory: Factory, sandbox: Sandbox, base: str
) -> None:
    sandbox.forget_calls()
    factory.run("verify", "base", "--repeat", "3").expect(0)
    assert sandbox.calls().count("ec2:RunInstances") == 3
    report = json.loads((factory.root / f".amifactory/reports/{base}/report.json").read_text())
    start = report["cold_start"]
    assert len(start["samples"]) == 3
    ready = sorted(sample["ready"] for sample in start["samples"])
    assert (start["median"]["ready"], start["p95"]["ready"]) == (ready[1], ready[2])
    assert 0 < start["median"]["ssh"] <= start["median"]["ready"]


def test_registries_are_cut_off_while_the_spec_runs(worker: Factory) -> None:
    """What is there runs; what is not cannot be had any more."""
    worker.add(
        "secluded",
        parent="worker",
        spec="""with host.sudo():
        host.check_output("docker run --rm --network none alpine:3.20 true")
        pulled = host.run("docker pull alpine:3.20")
        assert pulled.failed
        assert "dial tcp" in pulled.stderr""",
    )
    build = worker.run("build", "secluded", "--json").expect(0).builds["secluded"]
    report = json.loads((worker.root / f".amifactory/reports/{build['ami_id']}/report.json").read_text())
    assert len(report["cut_off"]) >= 2, "the sandbox's mirror and Docker Hub"
    assert report["cold_start"]["median"]["first_run"]["alpine:3.20"] > 0


def test_a_prepulled_image_that_is_not_there(worker: Factory) -> None:
    worker.add(
        "forgetful",
        parent="worker",
        provision="systemctl start docker\ndocker image rm --force alpine:3.20 >/dev/null",
    )
    build = worker.run("build", "forgetful", "--json").expect(4).builds["forgetful"]
    assert build["error"].startswith("prepull: alpine:3.20: ")


def test_an_image_whose_docker_does_not_start(worker: Factory) -> None:
    worker.add(
        "dockerless",
        parent="worker",
        provision="echo 'not json' >/etc/docker/daemon.json",
        settings='verify {\n  ready_timeout = "15s"\n}\n',
    )
    build = worker.run("build", "dockerless", "--json").expect(4).builds["dockerless"]
    assert build["error"].startswith("ready: it is not ready for jobs: ")
    assert "docker" in build["error"].lower()


def test_a_first_run_that_takes_too_long(worker: Factory) -> None:
    slow = '#!/bin/sh\\nsleep 3\\nexec /usr/bin/docker.real \\"\\$@\\"\\n'
    worker.add(
        "sluggish",
        parent="worker",
        provision="mv /usr/bin/docker /usr/bin/docker.real\n"
        f'printf "{slow}" >/usr/bin/docker\nchmod +x /usr/bin/docker',
        settings='verify {\n  first_run_within = "2s"\n}\n',
    )
    build = worker.run("build", "sluggish", "--json").expect(4).builds["sluggish"]
    assert "cold-start: alpine:3.20 first ran in " in build["error"]
    assert "limit 2 s (verify.first_run_within)" in build["error"]
