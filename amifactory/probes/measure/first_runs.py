"""Proves the pre-pulled images: each is the right one, starts, and needs no registry for that."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from amifactory.probes.measure.instance import ANSWER_SECONDS, CANNOT_EXECUTE, NOT_FOUND, OTHER_ARCHITECTURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amifactory.probes.measure.instance import Instance

RUN_SECONDS = 300.0
"""How long the first start of an image may take: more than any budget, so that slow is told from stuck."""
HOSTS_SECONDS = 5.0
"""How long a Go program, such as Docker, relies on what it read in ``/etc/hosts`` (Go, ``net/hosts.go``)."""


class StuckError(Exception):
    """Docker hangs. Trying the next image would cost as long again, and the probe has not that much time."""


def prove_images(
    here: Instance, prepull: Mapping[str, str], broken: str | None, uncut: str | None
) -> tuple[dict[str, float], dict[str, str]]:
    """Returns how long the first start of each image took, and what is wrong with those that are not right.

    ``broken`` says why Docker is of no use, ``uncut`` which registry is still reached, if so.
    """
    first_run: dict[str, float] = {}
    problems: dict[str, str] = {}
    for number, (reference, digest) in enumerate(sorted(prepull.items())):
        try:
            pinned, problem = (None, broken) if broken else find(here, reference, digest)
            if pinned:
                taken, problem = first_start(here, reference, f"amifactory-first-run-{os.getpid()}-{number}")
                problem = problem or uncut or reached(here, pinned)
                if taken is not None:
                    first_run[reference] = round(taken, 3)
        except StuckError as error:
            problem = str(error)
            broken = f"it was not tried after {reference}: {error}"
        if problem:
            problems[reference] = problem
    return first_run, problems


def find(here: Instance, reference: str, digest: str) -> tuple[str | None, str | None]:
    """Returns an image's name with its digest, or why it is not the right one, by Docker's books.

    Raises:
        StuckError: Docker takes too long to tell.
    """
    ended = here.run(["docker", "image", "inspect", reference], seconds=ANSWER_SECONDS)
    if ended.status is None:
        raise StuckError(f"Docker did not look at it within {ANSWER_SECONDS:g} s")
    if ended.status != 0:
        absent = "no such image" in ended.errors.lower()
        return None, "it is not on the instance" if absent else f"Docker cannot look at it: {ended.why}"
    known = json.loads(ended.output)[0].get("RepoDigests") or ["@one that came from no registry"]
    for pinned in known:
        if pinned.endswith(f"@{digest}"):
            return pinned, None
    return None, f"the one on the instance is {known[0].partition('@')[2]}, not {digest}"


def reached(here: Instance, pinned: str) -> str | None:
    """Returns how Docker still gets an answer to a pull; None when it does not.

    Pulling by digest what is there already moves nothing but a manifest, should it succeed.
    """
    for wait in (0.0, HOSTS_SECONDS):
        here.pause(wait)
        ended = here.run(["docker", "pull", "--quiet", pinned], seconds=ANSWER_SECONDS)
        # Go's words for a connection that does not come about; anything else was said by a registry.
        if ended.status != 0 and "dial tcp" in ended.errors:
            return None
    said = "the image" if ended.status == 0 else ended.why
    return f"its registry cannot be cut off, and answers a pull with: {said}"


def first_start(here: Instance, reference: str, name: str) -> tuple[float | None, str | None]:
    """Returns how many seconds the first start of an image took, or why Docker cannot start it.

    It runs ``true`` to its end. An image without that is started a second time, with its own program, and
    both count; once that runs it has shown what it should, and is removed. The first image of all also pays
    for what Docker itself reads for the first time.

    Raises:
        StuckError: It takes too long.
    """
    fixed = ["--name", name, "--network", "none", "--pull", "never"]
    began = here.clocks().monotonic
    ended = here.run(
        ["docker", "run", "--rm", *fixed, "--entrypoint", "true", reference], seconds=RUN_SECONDS
    )
    has_true = ended.status not in (CANNOT_EXECUTE, NOT_FOUND)
    if not has_true:
        ended = here.run(["docker", "run", "--detach", *fixed, reference], seconds=RUN_SECONDS)
    taken = here.clocks().monotonic - began
    here.run(["docker", "rm", "--force", name], seconds=ANSWER_SECONDS)
    if ended.status is None:
        raise StuckError(f"it did not start within {RUN_SECONDS:g} s")
    # Docker calls a program started that the kernel then refuses to execute.
    if ended.status != 0 or (not has_true and OTHER_ARCHITECTURE in ended.errors):
        return None, f"it does not run: {ended.why}"
    return taken, None
