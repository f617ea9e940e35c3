"""Command-line tools, clock, limits and background work of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host


@pytest.mark.parametrize("tool", ["curl", "git", "jq", "unzip", "xz"])
def test_command_line_tool_is_there(host: Host, tool: str) -> None:
    assert host.exists(tool)


def test_clock_is_kept_by_chrony(host: Host) -> None:
    """Enabled is what can be asked everywhere: it does not run where it may not set the clock."""
    assert host.service("chronyd").is_enabled or host.service("chrony").is_enabled


def test_jobs_on_the_instance_may_open_many_files(host: Host) -> None:
    """As many as programs are used to, or as the kernel grants this instance."""
    with host.sudo():
        limits = host.check_output("sudo --login --user gitlab-runner sh -c 'ulimit -S -n; ulimit -H -n'")
    soft, hard = (int(limit) for limit in limits.split())
    assert soft == min(65536, hard)


@pytest.mark.parametrize(
    "unit", ["apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"]
)
def test_worker_does_not_update_itself(host: Host, unit: str) -> None:
    assert host.run("systemctl is-enabled %s", unit).stdout.strip() in {"masked", ""}
