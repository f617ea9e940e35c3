"""What is read off the instance: when it, sshd and Docker began, and how full its disks are."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from amifactory.probes.measure.instance import ANSWER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amifactory.probes.measure.docker import Docker
    from amifactory.probes.measure.instance import Instance

SSH_UNITS = ("ssh.socket", "sshd.socket", "ssh.service", "sshd.service")
_START_TIME = 19
"""Which field after the name in ``/proc/<pid>/stat`` is the start time (proc(5): field 22 of all)."""
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def boot(here: Instance, docker: Docker) -> dict[str, float | None]:
    """Returns when this boot, sshd and Docker began."""
    ticks = int(here.read("/proc/1/stat").rpartition(")")[2].split()[_START_TIME])
    clocks = here.clocks()

    def entered(units: Sequence[str]) -> float | None:
        """Returns when the first of the units that run became active."""
        shown = here.run(
            ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", *units],
            seconds=ANSWER_SECONDS,
        )
        stamps = [int(stamp) / 1e6 for stamp in shown.output.split() if int(stamp)]
        return round(clocks.realtime - (clocks.monotonic - min(stamps)), 3) if stamps else None

    return {
        "booted_at": round(clocks.realtime - (clocks.boottime - ticks / _TICKS_PER_SECOND), 3),
        "ssh_at": entered(SSH_UNITS),
        "docker_at": None if docker.problem else entered(["docker.service"]),
    }


def disk_used(here: Instance) -> int | None:
    """Returns the bytes in use on the instance's disks; None where its root is not a disk of its own."""
    disks: dict[str, str] = {}
    for line in here.read("/proc/self/mountinfo").splitlines():
        mount, _, source = line.partition(" - ")
        mounted, device = mount.split()[4], source.split()[1]
        if mounted == "/" and not device.startswith("/dev/"):
            return None
        if device.startswith("/dev/") and not device.startswith("/dev/loop"):
            disks[device] = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), mounted)
    return sum(here.used_bytes(mounted) for mounted in disks.values())
