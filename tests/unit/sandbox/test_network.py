"""The sandbox's network keeps out of everything this machine already talks to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.sandbox.names import Names
from amifactory.sandbox.network import Network, free_subnets, metadata_rules, nameservers, routed_networks

if TYPE_CHECKING:
    from pathlib import Path

ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""

networks = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(8, 32),
)


@given(taken=st.lists(networks, max_size=8), seed=st.integers(0, 2**32 - 1))
def test_a_subnet_is_private_and_overlaps_nothing_taken(taken: list[IPv4Network], seed: int) -> None:
    for subnet in islice(free_subnets(taken, seed=seed), 3):
        assert subnet.is_private
        assert subnet.prefixlen == 20
        assert not any(subnet.overlaps(network) for network in taken)


@given(taken=st.lists(networks, max_size=8), seed=st.integers(0, 2**32 - 1))
def test_no_subnet_is_offered_twice(taken: list[IPv4Network], seed: int) -> None:
    first = list(islice(free_subnets(taken, seed=seed), 64))
    assert len(first) == len(set(first))


def test_sandboxes_with_different_seeds_start_at_different_subnets() -> None:
    assert len({next(free_subnets([], seed=seed)) for seed in range(16)}) == 16


def test_none_is_offered_when_everything_is_taken() -> None:
    assert not list(free_subnets([IPv4Network("0.0.0.0/0")], seed=0))


def test_routes_are_read_without_the_default_one() -> None:
    assert routed_networks(ROUTES) == [IPv4Network("172.17.0.0/16"), IPv4Network("192.0.2.0/24")]


def test_the_host_and_the_registry_have_the_first_addresses() -> None:
    network = Network(name="n", bridge="b", subnet=IPv4Network("172.31.16.0/20"))
    assert (str(network.gateway), str(network.registry)) == ("172.31.16.1", "172.31.16.2")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("nameserver 192.0.2.53\n", "nameserver 192.0.2.54\n", ["192.0.2.53"]),
        ("nameserver 127.0.0.53\noptions edns0\n", "nameserver 192.0.2.54\n", ["192.0.2.54"]),
        ("nameserver ::1\nnameserver 192.0.2.53 # ours\n", "", ["192.0.2.53"]),
        ("nameserver 127.0.0.1\n", None, []),
        ("# nameserver 192.0.2.53\n", None, []),
    ],
)
def test_instances_get_the_name_servers_that_they_can_reach(
    tmp_path: Path, first: str, second: str | None, expected: list[str]
) -> None:
    files = [tmp_path / "resolv.conf", tmp_path / "upstream.conf"]
    files[0].write_text(first)
    if second is not None:
        files[1].write_text(second)
    assert nameservers(files) == [IPv4Address(address) for address in expected]


def test_instances_reach_two_ports_of_this_machine_and_no_other(tmp_path: Path) -> None:
    network = Network(name="n", bridge="b", subnet=IPv4Network("172.31.16.0/20"))
    rules = metadata_rules(Names.of(tmp_path), network, aws_port=5001, imds_port=5002)
    accepted = [rule for rule in rules if "ACCEPT" in rule]
    assert [rule[rule.index("--dport") + 1] for rule in accepted] == ["5001", "5002"]
    assert all(rule[rule.index("-p") + 1] == "tcp" and "172.31.16.1" in rule for rule in accepted)


def test_two_factories_share_no_name(tmp_path: Path) -> None:
    one, other = Names.of(tmp_path / "one"), Names.of(tmp_path / "other")
    pairs = [
        (one.network, other.network),
        (one.bridge, other.bridge),
        (one.rule_comment, other.rule_comment),
        (one.source_image, other.source_image),
        (one.registry, other.registry),
        (one.instance("i-1"), other.instance("i-1")),
        (one.ami("ami-1"), other.ami("ami-1")),
        (one.snapshot("ami-1"), other.snapshot("ami-1")),
    ]
    assert all(mine != theirs for mine, theirs in pairs)


def test_a_bridge_has_a_name_that_linux_takes(tmp_path: Path) -> None:
    assert len(Names.of(tmp_path).bridge) <= 15


def test_a_factory_reached_by_another_path_has_the_same_sandbox(tmp_path: Path) -> None:
    (tmp_path / "factory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "factory")
    assert Names.of(tmp_path / "link") == Names.of(tmp_path / "factory")
