"""When the instance booted and what of it answered since when; how much of its disks is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.probes.measure.conftest import MadeUp


def test_times_are_those_of_units_by_the_clock_as_it_stands_now(here: MadeUp) -> None:
    now, found = here.clocks(), here.measured()
    assert found["booted_at"] == now.realtime - (now.boottime - 5_050.0)
    assert found["ssh_at"] == now.realtime - 50
    assert found["docker_at"] == now.realtime - 40
    assert found["ready_at"] == 1_799_999_950.5
    assert found["ready_problem"] is None


def test_sshd_that_a_socket_starts_answers_since_the_socket_listens(here: MadeUp) -> None:
    here.units = {"ssh.socket": 4_940.0, "ssh.service": 4_990.0}
    found = here.measured()
    assert found["ssh_at"] == here.clocks().realtime - 60
    assert found["docker_at"] is None


def test_the_disks_of_an_instance_are_counted_once_each(here: MadeUp) -> None:
    here.mounts = (
        "21 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n"
        "22 21 0:5 / /dev rw - devtmpfs udev rw\n"
        "23 21 259:2 /docker /docker rw - xfs /dev/nvme1n1 rw\n"
        "24 21 259:2 / /data\\040disk rw - xfs /dev/nvme1n1 rw\n"
        "25 21 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro\n"
        "26 21 259:3 / /boot/efi rw - vfat /dev/nvme0n1p15 rw\n"
    )
    assert here.measured()["disk_used_bytes"] == 1023


def test_a_root_that_is_no_disk_of_the_instance_says_nothing_of_its_size(here: MadeUp) -> None:
    assert here.measured()["disk_used_bytes"] is None
