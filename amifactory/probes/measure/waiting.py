"""How long an instance was kept from being ready by its account, and by nothing of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from amifactory.probes.measure.instance import ANSWER_SECONDS
from amifactory.probes.measure.readiness import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from amifactory.probes.measure.instance import Instance

STATES = "/run/amifactory/secrets"
DOCKER, READY, SECRETS = "docker.service", "amifactory-ready.service", "amifactory-secrets.service"
ENABLED = {"enabled", "enabled-runtime"}
_UP, _DONE = "ActiveEnterTimestampMonotonic", "InactiveEnterTimestampMonotonic"
_PASSED_OVER = "ConditionTimestampMonotonic"


class Wait(NamedTuple):
    """Since and until when something was waited for, in seconds by the clock that nobody sets."""

    since: float
    until: float


def waited_for_account(here: Instance) -> float:
    """Returns the seconds by which the instance would have been ready sooner, had its account been well.

    Waiting cost nothing for as long as Docker or a hook was not up either. Hooks that are ordered after the
    secrets do not count, since they waited too, nor do those that are ordered after the ready signal.

    Both clocks are ``CLOCK_MONOTONIC``: that of the secrets' hook (Python, ``time.monotonic``) and that of
    systemd's timestamps (org.freedesktop.systemd1(5)).
    """
    waits = sorted(_waits(here))
    if not waits:
        return 0.0
    taken, reached = 0.0, _everything_else_up(here)
    for wait in waits:
        taken += max(0.0, wait.until - max(wait.since, reached))
        reached = max(reached, wait.until)
    return round(taken, 3)


def _waits(here: Instance) -> Iterator[Wait]:
    """Yields what the hook noted of each secret that it put in place."""
    for secret in json.loads(here.read_or(f"{SETTINGS}/secrets.json", "[]")):
        waited = json.loads(here.read_or(f"{STATES}/{secret['name']}.json", "{}")).get("waited")
        if waited:
            yield Wait(waited["since"], waited["until"])


def _everything_else_up(here: Instance) -> float:
    """Returns since when nothing but secrets was missing."""
    hooks = here.read_or(f"{SETTINGS}/hooks", "").split()
    own = [name for name in hooks if name not in {SECRETS, READY}]
    units = _ask_systemd(here, [DOCKER, *own])
    awaited = [units[DOCKER], *(units[name] for name in own if _is_awaited(units[name]))]
    # The latest of a unit's own is when it came into the state that it is in.
    return max(int(unit.get(stamp) or 0) / 1e6 for unit in awaited for stamp in (_UP, _DONE, _PASSED_OVER))


def _is_awaited(hook: Mapping[str, str]) -> bool:
    """Returns whether the ready signal waits for a hook that does not wait for the secrets itself."""
    after = hook.get("After", "").split()
    return hook.get("UnitFileState") in ENABLED and SECRETS not in after and READY not in after


def _ask_systemd(here: Instance, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Returns what systemd says of units; nothing of those it does not speak of."""
    properties = ",".join(("UnitFileState", "After", _UP, _DONE, _PASSED_OVER))
    shown = here.run(["systemctl", "show", f"--property={properties}", "--", *names], seconds=ANSWER_SECONDS)
    said = shown.output.rstrip("\n").split("\n\n")
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in said]
    told = dict(zip(names, blocks))
    return {name: told.get(name, {}) for name in names}
