"""Waiting for SSH, and the client configuration."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from amifactory.domain.cancellation import Cancellation, CancelledError
from amifactory.ssh import SshHost, SshTimeoutError, ssh_configuration, wait_for_ssh

HOST = SshHost(address="10.0.0.7", user="admin", key_file=Path("/keys/one"), port=2222)


class Clock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


class Boot:
    """A host that answers at a certain time."""

    def __init__(self, clock: Clock, *, up_at: float) -> None:
        self.clock = clock
        self.up_at = up_at
        self.probes = 0

    def __call__(self, host: SshHost) -> str | None:
        self.probes += 1
        return None if self.clock.now >= self.up_at else "port 22: connection refused"


def wait(boot: Boot, cancelled: Cancellation | None = None) -> None:
    wait_for_ssh(
        HOST,
        timeout=timedelta(seconds=30),
        clock=boot.clock,
        pause=boot.clock.pause,
        cancelled=cancelled or Cancellation(),
        probe=boot,
    )


def test_it_returns_as_soon_as_the_host_answers() -> None:
    boot = Boot(Clock(), up_at=110)
    wait(boot)
    assert 110 <= boot.clock.now <= 112


def test_it_gives_up_with_the_last_reason() -> None:
    boot = Boot(Clock(), up_at=1000)
    with pytest.raises(
        SshTimeoutError, match=r"admin@10\.0\.0\.7 .* within 30 s: port 22: connection refused"
    ):
        wait(boot)
    assert 130 <= boot.clock.now <= 132


def test_it_stops_when_told_to() -> None:
    cancelled = Cancellation()
    cancelled.request()
    boot = Boot(Clock(), up_at=1000)
    with pytest.raises(CancelledError):
        wait(boot, cancelled)
    assert boot.probes == 0


def test_the_configuration_knows_this_host_only_and_goes_away() -> None:
    with ssh_configuration(HOST) as file:
        text = file.read_text()
        folder = file.parent
        assert folder.stat().st_mode & 0o077 == 0
    for line in ("HostName 10.0.0.7", "Port 2222", "User admin", 'IdentityFile "/keys/one"', "BatchMode yes"):
        assert line in text.splitlines()
    assert f'UserKnownHostsFile "{folder}/known_hosts"' in text
    assert len(f"{folder}/master.0123456789abcdef") < 104, "a socket's path is limited"
    assert "ProxyCommand" not in text
    assert not folder.exists()


def test_a_host_behind_a_proxy_command() -> None:
    host = SshHost(address="i-1", user="admin", key_file=Path("/k"), proxy_command="aws ssm start-session %h")
    with ssh_configuration(host) as file:
        assert "ProxyCommand aws ssm start-session %h" in file.read_text().splitlines()
