"""Command-line tools, clock, limits, logs and background work of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host

SELF_UPDATES = "'apt-daily*.timer' unattended-upgrades.service dnf-makecache.timer 'dnf-automatic*.timer'"


def test_command_line_tools_are_there(host: Host) -> None:
    missing = "for tool in curl git jq unzip xz; do command -v $tool >/dev/null || echo $tool; done"
    assert host.check_output(missing) == ""


def test_clock_is_kept_by_chrony(host: Host) -> None:
    """It runs, but where nobody may set the clock: there, systemd tried, and found the condition not met."""
    properties = "UnitFileState,ActiveState,ConditionResult,ConditionTimestampMonotonic"
    units = host.check_output(f"systemctl show --property={properties} chrony.service chronyd.service")
    found = [dict(line.split("=", 1) for line in unit.splitlines()) for unit in units.split("\n\n")]
    (chrony, *_) = [unit for unit in found if unit["UnitFileState"] == "enabled"] or found
    tried_in_vain = chrony["ConditionResult"] == "no" and chrony["ConditionTimestampMonotonic"] != "0"
    assert chrony["UnitFileState"] == "enabled"
    assert chrony["ActiveState"] == "active" or tried_in_vain


def test_jobs_on_the_instance_may_open_many_files(host: Host) -> None:
    """As many as programs are used to, or as the kernel grants this instance."""
    with host.sudo():
        limits = host.check_output("sudo --login --user gitlab-runner sh -c 'ulimit -S -n; ulimit -H -n'")
    soft, hard = (int(limit) for limit in limits.split())
    assert soft == min(65536, hard)


def test_journal_is_limited(host: Host) -> None:
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()
    assert [line for line in settings if line.startswith("SystemMaxUse=")][-1:] == ["SystemMaxUse=200M"]


def test_worker_does_not_update_itself(host: Host) -> None:
    units = host.check_output(f"systemctl list-unit-files --plain --no-legend {SELF_UPDATES}")
    assert [line for line in units.splitlines() if line.split()[1] != "masked"] == []
