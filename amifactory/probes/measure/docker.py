"""What the instance's Docker daemon says of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from amifactory.probes.measure.instance import ANSWER_SECONDS, NOT_FOUND

if TYPE_CHECKING:
    from amifactory.probes.measure.instance import Instance


class Docker(NamedTuple):
    """What the Docker daemon says of itself.

    Attributes:
        problem: Why it is of no use.
        ways_out: Mirrors and proxies: registries are reached through these too.
    """

    problem: str | None
    ways_out: tuple[str, ...]


def ask_docker(here: Instance) -> Docker:
    """Returns what Docker says; where it starts on demand, this starts it."""
    ended = here.run(["docker", "info", "--format", "{{json .}}"], seconds=ANSWER_SECONDS)
    if ended.status == NOT_FOUND:
        return Docker("Docker is not installed on the instance", ())
    try:
        info = json.loads(ended.output)
    except ValueError:
        info = {}
    if ended.status != 0 or not info.get("ServerVersion"):
        why = (info.get("ServerErrors") or [ended.why])[-1]
        return Docker(f"Docker does not answer: {why}", ())
    registries = info.get("RegistryConfig") or {}
    mirrors = list(registries.get("Mirrors") or ())
    for index in (registries.get("IndexConfigs") or {}).values():
        mirrors += index.get("Mirrors") or ()
    proxies = [info.get("HttpProxy"), info.get("HttpsProxy")]
    ways_out = dict.fromkeys(way for way in [*mirrors, *proxies] if way)
    return Docker(None, tuple(ways_out))
