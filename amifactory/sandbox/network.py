"""The sandbox's own network: a free private range, a Docker bridge on it, the way to instance metadata."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.names import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from docker import DockerClient

    from amifactory.sandbox.names import Names

METADATA_ADDRESS = "169.254.169.254"
RESERVED = 16
"""Addresses at the start of the subnet that no instance gets: gateway, registry."""

_PREFIX = 20
_POOLS = (
    IPv4Network("172.31.0.0/16"),  # AWS's own default VPC is this one, cut in /20s
    IPv4Network("172.30.0.0/16"),
    IPv4Network("10.128.0.0/10"),
)
_LITTLE_ENDIAN_HEX = re.compile(r"[0-9A-F]{8}")
_RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@dataclass(frozen=True, kw_only=True)
class Network:
    """The bridge every instance of one sandbox is on."""

    name: str
    bridge: str
    subnet: IPv4Network

    @property
    def gateway(self) -> IPv4Address:
        """The host's address on it."""
        return self.subnet[1]

    @property
    def registry(self) -> IPv4Address:
        """The container registry's address on it."""
        return self.subnet[2]


def free_subnets(taken: Iterable[IPv4Network], *, seed: int) -> Iterator[IPv4Network]:
    """Yields the /20 ranges that overlap nothing taken; ``seed`` makes sandboxes begin at different ones."""
    busy = tuple(taken)
    for pool in _POOLS:
        candidates = list(pool.subnets(new_prefix=_PREFIX))
        first = seed % len(candidates)
        for candidate in candidates[first:] + candidates[:first]:
            if not any(candidate.overlaps(network) for network in busy):
                yield candidate


def routed_networks(route_table: str) -> list[IPv4Network]:
    """Returns the destinations in the text of ``/proc/net/route``, the default route left out."""
    networks = []
    for line in route_table.splitlines()[1:]:
        fields = line.split()
        destination, mask = _address(fields[1]), _address(fields[7])
        if int(mask):
            networks.append(IPv4Network(f"{destination}/{mask}", strict=False))
    return networks


def _address(little_endian_hex: str) -> IPv4Address:
    return IPv4Address(bytes.fromhex(little_endian_hex)[::-1])


def nameservers(resolver_files: Sequence[Path] = _RESOLVER_FILES) -> list[IPv4Address]:
    """Returns the name servers an instance can use: those of this machine that are not on its loopback."""
    for file in resolver_files:
        text = file.read_text() if file.exists() else ""
        found = [_ipv4(address) for address in re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE)]
        reachable = [address for address in found if address is not None and not address.is_loopback]
        if reachable:
            return reachable
    return []


def _ipv4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ipaddress.AddressValueError:
        return None


def create_network(client: DockerClient, names: Names) -> Network:
    """Makes the sandbox's network on a range nothing on this machine uses.

    Raises:
        DriverError: No range is free, or Docker refuses the network.
    """
    taken = routed_networks(Path("/proc/net/route").read_text())
    taken += [IPv4Network(address) for address in nameservers()]
    for network in client.networks.list():
        configurations = network.attrs.get("IPAM", {}).get("Config") or []
        taken += [IPv4Network(c["Subnet"]) for c in configurations if ":" not in c.get("Subnet", ":")]
    for subnet in free_subnets(taken, seed=names.seed):
        created = Network(name=names.network, bridge=names.bridge, subnet=subnet)
        try:
            client.networks.create(
                created.name,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=str(created.gateway))]),
                options={"com.docker.network.bridge.name": created.bridge},
                labels={LABEL: names.sandbox_id},
            )
        except APIError as error:
            if "overlap" in str(error.explanation).lower():  # another sandbox took it meanwhile
                continue
            raise DriverError(
                f"Docker cannot make the network {created.name}: {error.explanation}"
            ) from error
        return created
    raise DriverError(
        "no private /20 network is free on this machine for the sandbox",
        hint="remove Docker networks nobody uses: docker network prune",
    )


def address_on(client: DockerClient, names: Names, address: str) -> dict[str, Any]:
    """Returns the networking part of a container's configuration: that address on the sandbox's network."""
    endpoint = client.api.create_endpoint_config(ipv4_address=address)
    configuration: dict[str, Any] = client.api.create_networking_config({names.network: endpoint})  # type: ignore[arg-type]  # the stubs are wrong
    return configuration


def open_metadata(
    client: DockerClient, names: Names, network: Network, *, aws_port: int, imds_port: int
) -> None:
    """Sends what instances say to the metadata address to this sandbox's server, and lets them reach it.

    Only packets that come in over the sandbox's own bridge are touched: neither a real metadata service
    of this machine nor another sandbox notices.
    """
    _iptables(client, names, metadata_rules(names, network, aws_port=aws_port, imds_port=imds_port))


def metadata_rules(names: Names, network: Network, *, aws_port: int, imds_port: int) -> list[list[str]]:
    """Returns the arguments for iptables: the metadata address leads here, and two ports are open."""
    gateway, tcp = str(network.gateway), ["-p", "tcp", "--dport"]
    comment = ["-m", "comment", "--comment", names.rule_comment]
    redirect = ["-i", network.bridge, "-d", METADATA_ADDRESS, *tcp, "80", *comment]
    accept = ["-i", network.bridge, "-d", gateway, *tcp]
    return [
        [
            "-t",
            "nat",
            "-I",
            "PREROUTING",
            *redirect,
            "-j",
            "DNAT",
            "--to-destination",
            f"{gateway}:{imds_port}",
        ],
        *(["-I", "INPUT", *accept, str(port), *comment, "-j", "ACCEPT"] for port in (aws_port, imds_port)),
    ]


def close_metadata(client: DockerClient, names: Names) -> None:
    """Removes every rule that carries this sandbox's comment; none left is no error."""
    if os.geteuid() and not client.images.list(names.source_image):
        return  # no rule was made, as making one took that image
    rules = [("nat", "PREROUTING"), ("filter", "INPUT")]
    listed = _iptables(client, names, [["-t", table, "-S", chain] for table, chain in rules])
    removals = [
        ["-t", table, "-D", *rule[1:]]
        for (table, _), text in zip(rules, listed, strict=True)
        for rule in (line.replace('"', "").split() for line in text.splitlines())
        if names.rule_comment in rule
    ]
    _iptables(client, names, removals)


def _iptables(client: DockerClient, names: Names, commands: Sequence[Sequence[str]]) -> list[str]:
    """Runs iptables on this machine's network: directly as root, else in a helper container that may."""
    return [_iptables_once(client, names, ["iptables", "--wait", *command]) for command in commands]


def _iptables_once(client: DockerClient, names: Names, command: list[str]) -> str:
    if os.geteuid() == 0:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DriverError(f"{' '.join(command)} failed: {done.stderr.strip()}")
        return done.stdout
    output: bytes = client.containers.run(
        names.source_image, command, network_mode="host", cap_add=["NET_ADMIN", "NET_RAW"], remove=True,
        labels={LABEL: names.sandbox_id},
    )  # fmt: skip
    return output.decode()
