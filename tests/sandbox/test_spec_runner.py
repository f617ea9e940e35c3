"""Specs run over real SSH against a server of this test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from amifactory.domain.cancellation import Cancellation, CancelledError
from amifactory.domain.masking import Mask
from amifactory.errors import AmifactoryError
from amifactory.spec.run import ConnectionLostError, run_specs
from amifactory.ssh import (
    SshHost,
    SshTimeoutError,
    boot_identity,
    connected,
    probe_ssh,
    ssh_configuration,
    wait_for_ssh,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.spec.result import SpecResult

FACTS: dict[str, object] = {
    "image": "node",
    "architecture": "x86_64",
    "offline": False,
    "tools": {"node": "22"},
    "prepull": {},
    "left_out": {},
}

SSHD_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host-key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    folder = tmp_path_factory.mktemp("sshd")
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert sshd, "sshd is not installed; run: apt-get install openssh-server"
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("key", "host-key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "sshd_config"
    config.write_text(SSHD_CONFIG.format(port=port, folder=folder))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=log) as server,
    ):
        user = pwd.getpwuid(os.getuid()).pw_name
        reached = SshHost(address="127.0.0.1", user=user, key_file=folder / "key", port=port)
        wait(reached, timedelta(seconds=10))
        yield reached
        server.terminate()


def wait(host: SshHost, timeout: timedelta, cancelled: Cancellation | None = None) -> None:
    wait_for_ssh(
        host,
        timeout=timeout,
        clock=time.monotonic,
        pause=lambda _: time.sleep(0.1),
        cancelled=cancelled or Cancellation(),
    )


class Bench:
    """Writes specs and runs them."""

    def __init__(self, root: Path, host: SshHost) -> None:
        self.root = root
        self.host = host
        self.folders: list[Path] = []
        self.lines: list[str] = []
        self.cancelled = Cancellation()

    def spec(self, image: str, text: str, name: str = "test_it.py") -> None:
        folder = self.root / "images" / image / "spec"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        if folder not in self.folders:
            self.folders.append(folder)

    def run(
        self,
        timeout: timedelta = timedelta(minutes=1),
        facts: dict[str, object] | None = None,
        mask: Callable[[str], str] = str,
    ) -> SpecResult:
        with connected(self.host, environment=os.environ) as configuration:
            return run_specs(
                self.folders,
                configuration,
                log=self.root / "spec.log",
                junit=self.root / "junit.xml",
                timeout=timeout,
                environment=dict(os.environ),
                facts=facts or FACTS,
                on_line=self.lines.append,
                cancelled=self.cancelled,
                mask=mask,
            )


@pytest.fixture
def bench(tmp_path: Path, host: SshHost) -> Bench:
    return Bench(tmp_path, host)


def test_specs_of_several_folders_with_one_file_name_all_run(bench: Bench) -> None:
    bench.spec("base", "def test_root(host):\n    assert host.user('root').exists\n")
    bench.spec(
        "node",
        "def test_pinned(host, facts):\n    assert host.check_output('echo 22') == facts.tools['node']\n",
    )
    result = bench.run()
    assert result.problem is None
    assert (result.passed, result.failed, result.errors) == (2, 0, 0)
    assert any("node/spec/test_it.py::test_pinned" in line for line in bench.lines)
    assert "2 passed" in (bench.root / "spec.log").read_text()
    assert (bench.root / "junit.xml").exists()


def test_commands_run_on_the_host_and_not_here(bench: Bench) -> None:
    bench.spec("base", "def test_ssh(host):\n    assert host.check_output('echo $SSH_CONNECTION')\n")
    assert bench.run().problem is None


def test_a_failing_test_rejects_with_its_reason(bench: Bench) -> None:
    bench.spec(
        "node", "def test_good(host):\n    pass\n\ndef test_bad(host):\n    assert 1 == 2, 'no node'\n"
    )
    result = bench.run()
    assert (result.passed, result.failed) == (1, 1)
    assert result.failures[0].test == "node/spec/test_it.py::test_bad"
    assert "no node" in result.failures[0].message
    assert result.problem is not None
    assert result.problem.startswith("1 of 2 tests failed: node/spec/test_it.py::test_bad: ")


def test_no_test_at_all_rejects(bench: Bench) -> None:
    bench.spec("node", "x = 1\n")
    assert bench.run().problem == "no test was collected"


def test_a_spec_that_cannot_be_imported_says_nothing_of_the_build(bench: Bench) -> None:
    bench.spec("node", "import nothing_of_that_name\n\ndef test_x(host):\n    pass\n")
    with pytest.raises(AmifactoryError, match=r"node/spec/test_it.py.*nothing_of_that_name"):
        bench.run()


def test_a_conftest_that_cannot_be_imported_says_nothing_of_the_build(bench: Bench) -> None:
    bench.spec("node", "def test_x(host):\n    pass\n")
    bench.spec("node", "import nothing_of_that_name\n", "conftest.py")
    with pytest.raises(
        AmifactoryError, match=r"cannot be loaded.*node/spec/conftest.py.*nothing_of_that_name"
    ):
        bench.run()


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("os.kill(os.getpid(), 9)", "was killed by signal 9"),
        ("pytest.exit('enough', returncode=2)", "ended with exit status 2"),
        ("pytest.exit('enough', returncode=1)", "ended with exit status 1"),
        ("os._exit(0)", "ended with exit status 0"),
    ],
)
def test_a_pytest_that_ends_for_its_own_reasons_says_nothing_of_the_build(
    bench: Bench, ending: str, how: str
) -> None:
    bench.spec("node", f"import os, pytest\n\ndef test_good():\n    pass\n\ndef test_bad():\n    {ending}\n")
    with pytest.raises(AmifactoryError, match=f"says nothing of the build: it {how}"):
        bench.run()


LOSE = "kill -9 $PPID"
"""Ends the server's side of the connection that the command came by."""


@pytest.mark.parametrize(
    "test",
    [
        "def test_x(host):\n    host.run({0!r})\n",
        "import pytest\n@pytest.fixture\ndef f(host):\n    host.run({0!r})\n\ndef test_x(f):\n    pass\n",
        "def test_x(host):\n    try:\n        host.run({0!r})\n    except Exception:\n        assert False\n",
    ],
)
def test_a_lost_connection_says_nothing_of_the_build(bench: Bench, test: str) -> None:
    bench.spec("node", test.format(LOSE) + "\ndef test_after(host):\n    print('went on')\n    assert 0\n")
    with pytest.raises(ConnectionLostError, match="the connection to the instance broke while the spec ran"):
        bench.run()
    assert "went on" not in (bench.root / "spec.log").read_text()


def test_a_lost_connection_that_a_spec_reckons_with_is_none(bench: Bench) -> None:
    lose = f"with pytest.raises(RuntimeError):\n        host.run({LOSE!r})"
    bench.spec(
        "node", f"import pytest\n\ndef test_x(host):\n    {lose}\n    assert host.run('true').rc == 0\n"
    )
    assert bench.run().problem is None


@pytest.mark.parametrize("command", ["exit 255", "sh -c 'exit 255'", "exec sh -c 'exit 255' # so"])
def test_a_command_that_ends_as_ssh_does_where_the_connection_broke_is_not_that(
    bench: Bench, command: str
) -> None:
    text = (
        "def test_x(host):\n    found = host.run({!r})\n    assert (found.rc, found.stderr) == (255, 'no')\n"
    )
    bench.spec("base", text.format(f"printf no >&2; {command}"))
    bench.spec("node", "def test_x(host):\n    host.check_output('exit 255')\n")
    result = bench.run()
    assert (result.passed, result.failed) == (1, 1)
    assert "255" in result.failures[0].message


def test_a_secret_that_a_failing_test_prints_is_masked_everywhere(bench: Bench) -> None:
    token = "8c1dQm2vXzT5bK7rLw9p" * 3
    kubeconfig = f"apiVersion: v1\nusers:\n- name: ci\n  user:\n    token: {token}\n" + "# so on\n" * 40
    file = bench.root / "config"
    file.write_text(kubeconfig)
    for number, check in enumerate(
        (
            f"assert 'server: x' in host.check_output('cat {file}')",
            f"assert host.file('{file}').content == b'x'",
            f"assert host.check_output('cat {file}').splitlines() == []",
            f"print(host.check_output('cat {file}')); assert 0, 'printed'",
            f"host.check_output('cat {file}; exit 3')",
        )
    ):
        bench.spec("node", f"def test_x(host):\n    {check}\n", f"test_{number}.py")
    for mask, pieces in ((str, True), (Mask([kubeconfig]), False)):
        bench.lines.clear()
        result = bench.run(mask=mask)
        assert result.failed == 5
        for text in (
            (bench.root / "spec.log").read_text(),
            (bench.root / "junit.xml").read_text(),
            "\n".join(bench.lines),
            str(result.as_json()),
        ):
            assert any(token[at : at + 12] in text for at in range(len(token) - 11)) is pieces
            assert "apiVersion: v1" in text


def test_a_boot_is_known_again(host: SshHost) -> None:
    with connected(host, environment=os.environ) as configuration:
        found = [boot_identity(configuration, environment=os.environ) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0] is not None
    assert found[0].startswith(Path("/proc/sys/kernel/random/boot_id").read_text().strip())


def test_a_host_that_does_not_answer_is_in_no_known_boot(host: SshHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ssh_configuration(replace(host, port=port)) as configuration:
        assert boot_identity(configuration, environment=os.environ) is None


def test_a_spec_that_hangs_is_stopped(bench: Bench) -> None:
    bench.spec("node", "def test_hangs(host):\n    host.run('sleep 300')\n")
    began = time.monotonic()
    result = bench.run(timeout=timedelta(seconds=3))
    assert time.monotonic() - began < 12
    assert result.problem == "it did not end within 3 s (verify.timeout)"


def test_a_cancelled_run_says_nothing_of_the_build(bench: Bench) -> None:
    bench.spec("node", "def test_hangs(host):\n    host.run('sleep 300')\n")
    timer = threading.Timer(2, bench.cancelled.request)
    timer.start()
    began = time.monotonic()
    with pytest.raises(CancelledError):
        bench.run()
    timer.join()
    assert time.monotonic() - began < 12


def test_what_a_build_left_out_is_skipped_and_nothing_else(bench: Bench) -> None:
    text = "import pytest\n\n@pytest.mark.needs_tool('{0}')\ndef test_{0}(host):\n    assert {1}\n"
    bench.spec("infra", text.format("helm", "False"), "test_helm.py")
    bench.spec("infra", text.format("jq", "True"), "test_jq.py")
    left_out = bench.run(facts={**FACTS, "left_out": {"helm": "not in Debian"}})
    assert (left_out.passed, left_out.skipped, left_out.problem) == (1, 1, None)
    complete = bench.run(facts={**FACTS, "left_out": {}})
    assert (complete.passed, complete.failed) == (1, 1)


def test_settings_around_the_specs_do_not_reach_them(bench: Bench) -> None:
    (bench.root / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (bench.root / "conftest.py").write_text("raise RuntimeError('not mine')\n")
    bench.spec("node", "def test_x(host):\n    pass\n")
    assert bench.run().problem is None
    assert not list(bench.root.rglob("__pycache__"))


def test_ssh_that_never_answers_times_out_with_the_reason(host: SshHost, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    closed = SshHost(address="127.0.0.1", user="nobody", key_file=tmp_path, port=port)
    with pytest.raises(SshTimeoutError, match="connection refused"):
        wait(closed, timedelta(seconds=0.3))


def test_a_refused_key_is_the_reason(host: SshHost, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    problem = probe_ssh(SshHost(address=host.address, user=host.user, key_file=other, port=host.port))
    assert problem is not None
    assert "Permission denied" in problem
