"""Cuts the instance off from the container registries, for good."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from amifactory.probes.measure.instance import ANSWER_SECONDS, LOOK_UP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from amifactory.probes.measure.instance import Instance

SINKS = ("192.0.2.1", "100::1")
"""Where the names of registries lead once cut off: nowhere (RFC 5737, documentation; RFC 6666, discard)."""
HOSTS = "/etc/hosts"
_PREFERENCE = "100"
"""Where in the list of routing rules ours stand: before every table but the instance's own addresses."""
_PORTS = {"http": 80, "https": 443, "": 443}


class Endpoint(NamedTuple):
    """Where a registry, a mirror or a proxy listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return self.host if self.port == _PORTS["https"] else f"{self.host}:{self.port}"


def endpoint_of(text: str) -> Endpoint:
    """Returns the endpoint of a URL, a ``host`` or a ``host:port``; without a scheme it is HTTPS."""
    parts = urlsplit(text if "://" in text else f"//{text}")
    return Endpoint(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443))


def cut_off_registries(here: Instance, ways: Iterable[str]) -> tuple[list[str], str | None]:
    """Makes every way to a registry lead nowhere; returns those that do, and what is wrong when one does not.

    A name gets an address that nobody has; the addresses it had until now, and those given as such, cannot be
    reached on that port any more. Only on that port: the same machine may be where we are called from.
    """
    endpoints = list(dict.fromkeys(endpoint_of(way) for way in ways))
    refusals = [refused for endpoint in endpoints for refused in _close(here, endpoint)]
    names = dict.fromkeys(endpoint.host for endpoint in endpoints if _is_name(endpoint.host))
    if names:
        lines = [f"{sink} {name}" for name in names for sink in SINKS]
        here.append(
            HOSTS, "\n".join(["", "# Cut off by amifactory, to see that no registry is needed", *lines, ""])
        )
        refusals += [refused for sink in SINKS for refused in _forbid(here, sink)]
    open_ones = [endpoint for endpoint in endpoints if here.connects(endpoint.host, endpoint.port)]
    cut = [str(endpoint) for endpoint in endpoints if endpoint not in open_ones]
    if not open_ones:
        return cut, None
    because = f" ({refusals[0]})" if refusals else ""
    return cut, f"the registries cannot be cut off: {open_ones[0]} still answers{because}"


def _is_name(host: str) -> bool:
    """Returns whether a host is a name, and not the instance's own, which has to stay what it is."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def _close(here: Instance, endpoint: Endpoint) -> Iterator[str]:
    found = here.run(["getent", "ahosts", endpoint.host], seconds=LOOK_UP_SECONDS)
    for address in dict.fromkeys(line.split()[0] for line in found.output.splitlines()):
        yield from _forbid(here, address, endpoint.port)


def _forbid(here: Instance, address: str, port: int | None = None) -> Iterator[str]:
    """Forbids the way to an address; yields what ``ip`` says when it cannot, unless that is done already."""
    family = f"-{ipaddress.ip_address(address).version}"
    only = [] if port is None else ["ipproto", "tcp", "dport", str(port)]
    command = ["ip", family, "rule", "add", "pref", _PREFERENCE, "to", address, *only, "unreachable"]
    ended = here.run(command, seconds=ANSWER_SECONDS)
    if ended.status != 0 and "File exists" not in ended.errors:
        yield f"{' '.join(command)}: {ended.why}"
