"""Images that cannot be built or do not hold what they promise: what is said, kept and cleaned up."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.conftest import Factory, Sandbox


def test_a_provisioner_that_fails(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("broken", provision="echo fine; echo 'E: no package of that name' >&2; exit 100")
    ended = factory.run("build", "broken").expect(1)
    message = ended.stderr[ended.stderr.index("\nbroken/x86_64 failed: ") :]
    assert "Packer failed while provisioning with install.sh" in message
    assert "exit status: 100" in message
    assert "  | E: no package of that name\n" in message
    assert ended.stderr.count("E: no package of that name\n") == 1, "progress stays one line each"
    log = Path(message.partition("The whole log is ")[2].splitlines()[0])
    assert "E: no package of that name" in log.read_text()
    assert sandbox.builds("workbench", "broken") == []


def test_a_provisioner_that_hangs_is_stopped(factory: Factory, sandbox: Sandbox) -> None:
    impatient = factory.with_build('timeout = "12s"')
    impatient.add("hanging", provision="echo waiting for nothing; sleep 300")
    ended = impatient.run("build", "hanging").expect(1)
    assert ended.seconds < 100
    assert "Packer was stopped while provisioning with install.sh" in ended.stderr
    assert "had not finished within 12 seconds" in ended.stderr
    assert "  | waiting for nothing" in ended.stderr
    assert sandbox.sweep() == [], "Packer cleaned up"


def test_an_instance_that_never_boots(factory: Factory, sandbox: Sandbox) -> None:
    settings = 'verify {\n  boot_timeout = "3s"\n}'
    factory.add("deaf", provision="systemctl mask ssh.service ssh.socket", settings=settings)
    ended = factory.run("build", "deaf", "--json").expect(4)
    build = ended.builds["deaf"]
    assert build["action"] == "rejected"
    assert "did not answer over SSH within 3 s: port 22: connection refused" in build["error"]
    assert sandbox.tags(build["ami_id"])["verdict"] == "rejected"
    _, _, console = Path(build["log"]).read_text().partition("\nconsole:\n")
    assert "systemd" in console


def test_a_spec_that_fails_until_it_is_mended(factory: Factory, sandbox: Sandbox) -> None:
    folder = factory.add("liar", spec="assert host.file('/etc/promise').exists, 'no promise kept'")
    ended = factory.run("build", "liar", "--json").expect(4)
    build = ended.builds["liar"]
    assert build["action"] == "rejected"
    assert "1 of 2 tests failed: " in build["error"]
    assert "liar/spec/test_liar.py::test_it" in build["error"]
    assert "no promise kept" in build["error"]
    assert "no promise kept" in Path(build["log"]).read_text()
    assert sandbox.tags(build["ami_id"])["verdict"] == "rejected"
    assert factory.run("images", "liar", "--json").expect(0).builds["liar"]["verdict"] == "rejected"
    step = factory.run("plan", "liar", "--json").expect(0).steps["liar"]
    assert (step["action"], step["reasons"]) == ("build", ["previous build rejected"])

    (folder / "spec/test_liar.py").write_text("def test_it(host):\n    pass\n")
    mended = factory.run("build", "liar", "--json").expect(0).builds["liar"]
    assert (mended["action"], mended["ami_id"]) == ("adopted", build["ami_id"])
    assert mended["reasons"] == ["spec changed"]
    assert sandbox.tags(build["ami_id"])["verdict"] == "verified"


def test_a_spec_that_collects_nothing(factory: Factory, sandbox: Sandbox, base: str) -> None:
    spec = factory.image("base") / "spec/test_base.py"
    text = spec.read_text()
    spec.write_text("# nothing\n")
    try:
        ended = factory.run("verify", "base", "--json").expect(4)
    finally:
        spec.write_text(text)
    build = ended.builds["base"]
    assert (build["action"], build["error"]) == ("rejected", "spec: no test was collected")
    assert sandbox.tags(base)["verdict"] == "rejected"
    factory.run("verify", "base").expect(0)
    assert sandbox.tags(base)["verdict"] == "verified"


def test_a_disk_that_is_full(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("chatty", provision="seq 4000")
    with small_disk(factory.root / ".amifactory/runs"):
        ended = factory.run("build", "chatty").expect(1)
    assert ended.seconds < 60
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert sandbox.sweep() == [], "Packer cleaned up"
    builds: Any = factory.run("build", "chatty", "--json").expect(0).builds
    assert builds["chatty"]["action"] == "built"


def test_a_disk_that_is_full_while_verifying(factory: Factory) -> None:
    with small_disk(factory.root / ".amifactory/runs", size="4k"):
        ended = factory.run("verify", "base").expect(1)
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


@contextmanager
def small_disk(folder: Path, *, size: str = "64k") -> Iterator[None]:
    """Puts a file system of so few bytes in a folder's place."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "amifactory-test", str(folder)]
    subprocess.run([*as_root, *mount], check=True)
    try:
        yield
    finally:
        subprocess.run([*as_root, "umount", "--lazy", str(folder)], check=True)
