"""What no image may bring along, and what every instance of one must have of its own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host

    from amifactory.spec.plugin import Facts


def test_no_unit_failed(host: Host) -> None:
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_only_the_key_of_this_instance_is_authorized(host: Host) -> None:
    """The build's temporary key opens no instance; where nobody logs in, no key opens anything."""
    with host.sudo():
        keys = host.check_output(
            "cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys 2>/dev/null | grep -v '^#' | sort -u"
        )
    usable = [key for key in keys.splitlines() if "Please login as the user" not in key]
    assert len(usable) == 1


def test_host_keys_were_made_on_this_instance(host: Host) -> None:
    """Each is younger than what the build wrote last."""
    with host.sudo():
        for key in host.check_output("ls /etc/ssh/ssh_host_*_key").splitlines():
            assert host.run("test %s -nt /etc/amifactory/secrets.json", key).succeeded, key


def test_instance_has_a_machine_id(host: Host) -> None:
    assert len(host.check_output("cat /etc/machine-id")) == 32


def test_nobody_logs_in_with_a_password(host: Host) -> None:
    with host.sudo():
        settings = host.check_output("sshd -T").splitlines()
        shadow = host.check_output("cut -d: -f1,2 /etc/shadow").splitlines()
    assert "passwordauthentication no" in settings
    assert "kbdinteractiveauthentication no" in settings
    assert [line for line in shadow if line.partition(":")[2][:1] not in {"!", "*"}] == []


def test_nothing_of_the_build_is_left(host: Host) -> None:
    for path in (
        "/usr/sbin/policy-rc.d",
        "/etc/apt/apt.conf.d/99-amifactory-build",
        "/etc/dpkg/dpkg.cfg.d/99-amifactory-build",
    ):
        with host.sudo():
            assert not host.file(path).exists, path


def test_logs_of_the_build_are_gone(host: Host) -> None:
    """What is older than the build's last steps is empty; what this instance wrote is younger."""
    with host.sudo():
        assert host.check_output("find /var/log -type f -size +0 ! -newer /etc/amifactory/secrets.json") == ""


def test_package_caches_are_empty(host: Host) -> None:
    lists = "/var/lib/apt/lists" if host.exists("apt-get") else ""
    with host.sudo():
        found = host.check_output(f"find /var/cache {lists} -type f")
    cached = [path for path in found.splitlines() if re.search(r"\.(deb|rpm)$|_(InRelease|Packages)", path)]
    assert cached == []


def test_prepulled_images_are_there(host: Host, facts: Facts) -> None:
    """By the name they were asked for, and by the digest it had when the build was planned."""
    for reference, digest in facts.prepull.items():
        with host.sudo():
            image = json.loads(host.check_output("docker image inspect %s", reference))[0]
            assert any(known.endswith(f"@{digest}") for known in image["RepoDigests"]), reference


def test_prepulled_images_are_whole(host: Host, facts: Facts) -> None:
    """Docker can make a container of each; its own program need not be run for that."""
    for reference in facts.prepull:
        with host.sudo():
            container = host.check_output("docker create --network none --entrypoint true %s", reference)
            host.check_output("docker rm %s", container)
