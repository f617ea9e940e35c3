"""What no image may bring along, and what every instance of one must have of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host

BUILT = "/etc/amifactory/secrets.json"
"""Among the last files that a build writes: what this instance wrote is younger."""

LOG_LIMIT_MIB = 64
"""On a fresh boot. Each journal is 8 MiB from the start, and there are two once somebody has logged in."""


def test_every_unit_started(host: Host) -> None:
    """Waits for the end of the boot, at most a minute."""
    state = host.run("timeout 60 systemctl is-system-running --wait").stdout.strip()
    failed = host.check_output("systemctl list-units --failed --plain --no-legend")
    assert (state, failed) == ("running", "")


def test_only_the_key_of_this_instance_is_authorized(host: Host) -> None:
    """The build's temporary key opens no instance; where nobody logs in, no key opens anything."""
    with host.sudo():
        keys = host.check_output(
            "cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys 2>/dev/null | grep -v '^#' | sort -u"
        )
    usable = [key for key in keys.splitlines() if "Please login as the user" not in key]
    assert len(usable) == 1


def test_host_keys_were_made_on_this_instance(host: Host) -> None:
    with host.sudo():
        keys = host.check_output(
            f"find /etc/ssh -name 'ssh_host_*_key' \\( -newer {BUILT} -printf 'new\\n' -o -print \\)"
        )
    assert set(keys.splitlines()) == {"new"}


def test_instance_has_a_machine_id(host: Host) -> None:
    assert len(host.check_output("cat /etc/machine-id")) == 32


def test_nothing_of_the_build_is_left(host: Host) -> None:
    assert (
        host.check_output(
            "ls -d /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/99-amifactory-build "
            "/etc/dpkg/dpkg.cfg.d/99-amifactory-build /tmp/amifactory 2>/dev/null || true"
        )
        == ""
    )


def test_logs_of_the_build_are_gone(host: Host) -> None:
    """What is older than the build's last steps is empty."""
    with host.sudo():
        assert host.check_output(f"find /var/log -type f -size +0 ! -newer {BUILT}") == ""


def test_logs_are_small(host: Host) -> None:
    with host.sudo():
        used = host.check_output("du --summarize --block-size=1MiB /var/log").split()[0]
    assert int(used) <= LOG_LIMIT_MIB


def test_package_caches_are_empty(host: Host) -> None:
    lists = "/var/lib/apt/lists" if host.exists("apt-get") else ""
    with host.sudo():
        found = host.check_output(f"find /var/cache {lists} -type f")
    cached = [path for path in found.splitlines() if re.search(r"\.(deb|rpm)$|_(InRelease|Packages)", path)]
    assert cached == []
