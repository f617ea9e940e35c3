"""Waits until the instance is ready for jobs; says what keeps it from that, and whose fault it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from amifactory.probes.measure.instance import ANSWER_SECONDS, NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amifactory.probes.measure.instance import Instance

READY_PROGRAM = "/usr/local/bin/amifactory-ready"
SETTINGS = "/etc/amifactory"
READY_SPARE = 30.0
"""Seconds that `READY_PROGRAM` may take longer than its own limit."""
DRAIN_UNITS = ("amifactory-drain.service",)
BOOT_SECRET_UNITS = ("amifactory-secrets.service", "amifactory-secrets.timer")


def wait_until_ready(here: Instance, timeout: float) -> tuple[float | None, dict[str, str] | None]:
    """Returns when the instance was ready, or why it is not and whose fault that is."""
    command = [READY_PROGRAM, "--json", "--timeout", f"{timeout:g}"]
    ended = here.run(command, seconds=timeout + READY_SPARE, errors_to_stderr=True)
    if ended.status == NOT_FOUND:
        return None, _image_fault(
            f"{READY_PROGRAM} is not on the instance: "
            "shared/provision/install-hooks.sh puts it there, and build.pkr.hcl has to run that"
        )
    if ended.status is None:
        return None, _image_fault(f"{READY_PROGRAM} did not end by itself within {timeout:g} s")
    try:
        said = json.loads(ended.output)
        if said["ready"]:
            return float(said["at"]), None
        return None, _blame(said["waiting"])
    except (ValueError, TypeError, KeyError):
        return None, _image_fault(
            f"{READY_PROGRAM} ended with {ended.why} and said nothing that is understood"
        )


def _blame(waiting: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns what keeps the instance from being ready, and whose fault that is.

    `READY_PROGRAM` ends at once when anything is final: what is merely unfinished then may still come.
    """
    decisive = [one for one in waiting if one["final"]] or waiting
    why = "; ".join(f"{one['what']}: {one['why']}" for one in decisive)
    # What is wrong with the image is wrong whatever the account has.
    of_image = not decisive or any(one["of"] == "image" for one in decisive)
    return {
        "why": why or "it does not say for what it waits",
        "of": "image" if of_image else "account",
    }


def unlisted_settings(here: Instance, secrets: Sequence[str], *, drains: bool) -> dict[str, str] | None:
    """Returns which settings of the image its hooks do not know of, so that nothing came of them."""
    known = {secret["name"] for secret in json.loads(here.read_or(f"{SETTINGS}/secrets.json", "[]"))}
    missing = [f'secret "{name}"' for name in secrets if name not in known]
    if drains and not here.read_or(f"{SETTINGS}/drain.json", ""):
        missing.append("drain")
    if not missing:
        return None
    return _image_fault(
        f"the instance knows nothing of {', '.join(missing)}: "
        "shared/provision/install-hooks.sh lists it, and build.pkr.hcl has to run that"
    )


def disabled_units(here: Instance, *, boot_secrets: bool, drains: bool) -> dict[str, str] | None:
    """Returns which units that the image's settings need will not start with the instance."""
    needed = [*(BOOT_SECRET_UNITS if boot_secrets else ()), *(DRAIN_UNITS if drains else ())]
    states = {
        unit: here.run(["systemctl", "is-enabled", unit], seconds=ANSWER_SECONDS).output.strip()
        for unit in needed
    }
    wrong = [f"{unit} is {state or 'not there'}" for unit, state in states.items() if state != "enabled"]
    if not wrong:
        return None
    return _image_fault(
        f"{', '.join(wrong)}: shared/provision/install-hooks.sh enables what the settings need, "
        "and nothing after it may take that back"
    )


def _image_fault(why: str) -> dict[str, str]:
    return {"why": why, "of": "image"}
