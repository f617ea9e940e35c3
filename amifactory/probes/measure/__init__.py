"""Measures, on a freshly booted instance, how soon it was of use, and proves its pre-pulled images.

Runs on the instance as root. It waits for the ready signal, cuts the instance off from the container
registries for good, and then starts each pre-pulled image once, one after the other: the first start reads
the image from a cold disk. So nothing here reads an image's layers before that, nor anything else meanwhile.

Times are by the instance's clock as it stands at the end. Those of units are taken from a clock that nobody
sets, so it does not matter when time synchronization put the other one right. So is what the account cost.

Input: ``{"prepull": {reference: digest}, "registries": ["host", "host:port"], "ready_timeout": seconds,
"secrets": [names], "boot_secrets": bool, "drains": bool}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amifactory.probes.measure.cutting_off import cut_off_registries
from amifactory.probes.measure.docker import ask_docker
from amifactory.probes.measure.figures import boot, disk_used
from amifactory.probes.measure.first_runs import prove_images
from amifactory.probes.measure.instance import Instance
from amifactory.probes.measure.readiness import disabled_units, unlisted_settings, wait_until_ready
from amifactory.probes.measure.waiting import waited_for_account

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(given: Mapping[str, Any], instance: Instance | None = None) -> dict[str, Any]:
    """Returns what was measured."""
    here = instance or Instance()
    prepull: Mapping[str, str] = given["prepull"]
    ready_at, ready_problem = wait_until_ready(here, given["ready_timeout"])
    waited = waited_for_account(here)
    ready_problem = (
        ready_problem
        or unlisted_settings(here, given["secrets"], drains=given["drains"])
        or disabled_units(here, boot_secrets=given["boot_secrets"], drains=given["drains"])
    )
    docker = ask_docker(here)
    cut_off, uncut = cut_off_registries(here, [*given["registries"], *docker.ways_out])
    first_run, problems = prove_images(here, prepull, docker.problem, uncut)
    return {
        **boot(here, docker),
        "ready_at": ready_at,
        "ready_problem": ready_problem,
        "waited_for_account": waited,
        "first_run": first_run,
        "prepull_problems": problems,
        "cut_off": cut_off,
        "disk_used_bytes": disk_used(here),
    }
