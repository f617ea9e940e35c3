"""What somebody else could reach or change on an instance."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host

OPEN_PORTS = {"tcp 22", "udp 68", "udp 546"}
"""SSH, and the two of a DHCP client. An image that serves something to other machines adds its port here."""

ASK_AS_IMDSV1 = """
curl --silent --output /dev/null --write-out '%{http_code}' --noproxy '*' --max-time 5 \
  http://169.254.169.254/latest/meta-data/instance-id
"""

FIND_WRITABLE_FOR_ALL = r"""
find / -xdev \( \
    -path '/tmp/*' -o -path '/var/tmp/*' -o -path '/var/lib/docker/*' -o -path '/var/lib/containerd/*' \
  \) -prune -o -perm -0002 \( -type f -o -type d ! -perm -1000 \) -print
"""
"""But what is in the sticky folders meant for it, and in the layers of container images."""


def test_metadata_needs_a_token(host: Host) -> None:
    status = host.check_output(ASK_AS_IMDSV1)
    assert status == "401", "the AMI's ImdsSupport is not v2.0, or the account's default overrides it"


def test_ssh_takes_no_password(host: Host) -> None:
    with host.sudo():
        settings = host.check_output("sshd -T").splitlines()
    assert {"passwordauthentication no", "kbdinteractiveauthentication no"} <= set(settings)


def test_no_user_has_a_password(host: Host) -> None:
    with host.sudo():
        assert host.check_output("awk -F: '$2 !~ /^[!*]/ { print $1 }' /etc/shadow") == ""


def test_nothing_listens_for_other_machines_but_what_must(host: Host) -> None:
    """What listens on the loopback interface is reached by nobody else."""
    with host.sudo():
        sockets = host.check_output("ss --listening --tcp --udp --numeric --processes --no-header")
    assert [socket for socket in sockets.splitlines() if is_stray(socket)] == []


def is_stray(socket: str) -> bool:
    """Whether other machines reach a port that is not in `OPEN_PORTS`, given a line of ss."""
    protocol, _, _, _, local, *_ = socket.split()
    address, _, port = local.rpartition(":")
    address = address.partition("%")[0].strip("[]")
    is_loopback = address != "*" and ip_address(address).is_loopback
    return not is_loopback and f"{protocol} {port}" not in OPEN_PORTS


def test_no_file_is_writable_for_everybody(host: Host) -> None:
    with host.sudo():
        assert host.check_output(FIND_WRITABLE_FOR_ALL) == ""
