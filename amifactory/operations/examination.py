"""What is examined of a build, and what comes of it; and what a run leaves its name on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.domain.model import Verdict
from amifactory.operations.records import recipes_below

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from amifactory.domain.cold_start import ColdStart
    from amifactory.domain.inventory import Inventory
    from amifactory.domain.model import AmiId, Fingerprint, Recipe, Target
    from amifactory.spec.result import SpecResult


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is to be proven.

    Attributes:
        recipe: What it was made from; it, not today's configuration, says what it has to have.
        facts: What specs may know of it, see `spec_facts`.
        directory: Where logs and keys of this verification are put; exists.
        verdict: What was said of it before.
    """

    target: Target
    ami_id: AmiId
    parent: AmiId
    recipe: Recipe
    facts: Mapping[str, Any]
    directory: Path
    verdict: Verdict = Verdict.CANDIDATE

    @property
    def secrets(self) -> tuple[Mapping[str, str], ...]:
        """Returns the secrets its instances have, with the keys of a ``secret`` block."""
        return tuple(json.loads(str(self.recipe.variables["secrets"])))

    @property
    def drains(self) -> bool:
        """Returns whether its instances watch for notices."""
        return bool(self.recipe.variables.get("drain"))

    @property
    def ssh_username(self) -> str:
        """Returns who its instances let in."""
        return str(self.recipe.variables["ssh_username"])


@dataclass(frozen=True, kw_only=True)
class Start:
    """How one fresh instance started.

    Attributes:
        cold_start: The times.
        not_ready: Why ``amifactory-ready`` does not succeed.
        prepull_problems: Container reference to what is wrong with it on the instance.
        cut_off: The registries that could not be reached from then on.
        disk_used: Bytes on its file systems; None when that could not be told.
    """

    cold_start: ColdStart
    not_ready: str | None
    prepull_problems: Mapping[str, str]
    cut_off: tuple[str, ...]
    disk_used: int | None


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What fresh instances showed of a build.

    Attributes:
        starts: Of each instance; the first is the one that was looked at.
        leaks: What the leak scan found, as it said it.
        boot_problem: Why one that was to be measured only did not come so far.
    """

    starts: tuple[Start, ...]
    spec: SpecResult
    leaks: Mapping[str, Any]
    inventory: Inventory
    boot_problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class NotBooted:
    """Why there is nothing more to say of a build: no SSH in time, or a reboot meanwhile."""

    problem: str


def spec_facts(target: Target, recipe: Recipe, ancestors: Callable[[Fingerprint], Recipe]) -> dict[str, Any]:
    """Returns what specs may know of a build: tools and pre-pulled images, ancestors' included.

    Args:
        target: What it is for.
        recipe: What it was made from.
        ancestors: Finds the recipe of an ancestor by fingerprint, or raises: without it the facts would be
            too few, and gates pass that should not.
    """
    tools: dict[str, object] = {}
    prepull: dict[str, str] = {}
    for current in recipes_below(recipe, ancestors):
        own = current.variables.get("tools")
        tools = {**(own if isinstance(own, dict) else {}), **tools}
        prepull = {**current.prepull, **prepull}
    return {
        "image": target.image,
        "architecture": target.architecture.value,
        "offline": recipe.variables["offline"],
        "tools": tools,
        "prepull": prepull,
    }


def run_tags(factory: str, target: Target, run: str, *, purpose: str) -> dict[str, str]:
    """Returns the tags of everything a run starts, so that leftovers can be told and removed."""
    return {
        "Name": f"amifactory {purpose} {target}",
        "amifactory:factory": factory,
        "amifactory:image": target.image,
        "amifactory:run": run,
        "amifactory:purpose": purpose,
    }
