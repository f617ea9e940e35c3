"""Which images need a new build, and why: the plan behind ``amifactory plan`` and ``build``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from amifactory.domain.model import Build, Fingerprint, Recipe, SourceAmi, Target, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

LIMITS_MARK = "+"
"""What is between the digests of the specs and of the limits that a build was verified with."""


class Action(StrEnum):
    """What has to be done for a target."""

    BUILD = "build"
    VERIFY = "verify"
    REUSE = "reuse"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a target should look like now.

    Attributes:
        parent: The target it is built on; None when it is built on ``source``.
        spec: Digest of the specs that decide its verdict; if it has limits, theirs follows `LIMITS_MARK`.
        root_device: Name of the root volume, such as ``/dev/xvda``; inherited from the source AMI.
    """

    target: Target
    recipe: Recipe
    fingerprint: Fingerprint
    spec: str
    root_device: str
    parent: Target | None = None
    source: SourceAmi | None = None
    max_age: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """What ``apply`` will do for one target.

    Attributes:
        reasons: Why it is not simply reused; empty exactly when it is.
        build: The build to reuse or verify; None when a new one is made.
    """

    wanted: Wanted
    action: Action
    reasons: tuple[str, ...] = ()
    build: Build | None = None

    @property
    def target(self) -> Target:
        """Returns the image and architecture this step is for."""
        return self.wanted.target


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """Steps with every parent before its children; printing it is the dry run.

    Attributes:
        made_at: The time the facts were looked at.
        builds: Every build that existed then.
    """

    steps: tuple[Step, ...]
    made_at: datetime
    builds: tuple[Build, ...] = ()

    @property
    def stale(self) -> tuple[Step, ...]:
        """Returns the steps that do something."""
        return tuple(step for step in self.steps if step.action is not Action.REUSE)


def plan_builds(
    wanted: Sequence[Wanted],
    builds: Iterable[Build],
    *,
    now: datetime,
    recipes: Mapping[Fingerprint, Recipe],
    forced: frozenset[Target] = frozenset(),
) -> BuildPlan:
    """Decides for each target whether to build, verify or reuse.

    Args:
        wanted: Targets in an order that puts parents first.
        builds: Every build that exists.
        now: The time ages are measured at.
        recipes: Recipes of earlier builds, to say what changed; missing ones cost only detail.
        forced: Targets to build whatever exists.
    """
    builds = tuple(builds)
    existing = newest_first(builds)
    steps: dict[Target, Step] = {}
    for want in wanted:
        parent = steps[want.parent] if want.parent else None
        history = existing.get(want.target, ())
        if want.target in forced:
            steps[want.target] = Step(wanted=want, action=Action.BUILD, reasons=("forced",))
        elif parent and parent.action is Action.BUILD:
            reasons = (*_changes(want, history, recipes), *(("parent rebuilt",) if history else ()))
            unique = tuple(dict.fromkeys(reasons))
            steps[want.target] = Step(wanted=want, action=Action.BUILD, reasons=unique)
        else:
            steps[want.target] = _plan_one(want, history, parent, now, recipes)
    return BuildPlan(steps=tuple(steps.values()), made_at=now, builds=builds)


def newest(builds: Iterable[Build]) -> dict[Target, Build]:
    """Returns each target's newest build."""
    return {target: history[0] for target, history in newest_first(builds).items()}


def newest_first(builds: Iterable[Build]) -> dict[Target, tuple[Build, ...]]:
    """Returns each target's builds; of two made in the same second always the same one first."""
    grouped: dict[Target, list[Build]] = {}
    for build in builds:
        grouped.setdefault(build.target, []).append(build)
    return {
        target: tuple(sorted(group, key=lambda build: (build.created_at, build.ami_id), reverse=True))
        for target, group in grouped.items()
    }


def _plan_one(
    want: Wanted,
    history: tuple[Build, ...],
    parent: Step | None,
    now: datetime,
    recipes: Mapping[Fingerprint, Recipe],
) -> Step:
    """Plans a target whose parent, if any, already has a build."""
    same = tuple(build for build in history if build.made_from(want.fingerprint))
    if not same:
        reasons = _changes(want, history, recipes)
        return Step(wanted=want, action=Action.BUILD, reasons=reasons)
    on_parent = _on_parent(same, parent, want)
    if not on_parent:
        return Step(wanted=want, action=Action.BUILD, reasons=("parent rebuilt",))
    build = _best(on_parent)
    action, reasons = _judge(build, want, now)
    return Step(wanted=want, action=action, reasons=reasons, build=None if action is Action.BUILD else build)


def _judge(build: Build, want: Wanted, now: datetime) -> tuple[Action, tuple[str, ...]]:
    """Says what to do about a build that has the wanted content and parent."""
    if want.max_age and now - build.created_at > want.max_age:
        return Action.BUILD, (f"older than {short_duration(want.max_age)}",)
    if build.verdict is Verdict.CANDIDATE:
        return Action.VERIFY, ("not yet verified",)
    if build.spec != want.spec:
        return Action.VERIFY, tuple(_verification_changes(build.spec or "", want.spec))
    if build.verdict is Verdict.REJECTED:
        return Action.BUILD, ("previous build rejected",)
    return Action.REUSE, ()


def _verification_changes(before: str, now: str) -> Iterable[str]:
    (old_specs, _, old_limits), (specs, _, limits) = before.partition(LIMITS_MARK), now.partition(LIMITS_MARK)
    if specs != old_specs:
        yield "spec changed"
    if limits != old_limits:
        yield "verification limits changed"


def _on_parent(builds: tuple[Build, ...], parent: Step | None, want: Wanted) -> tuple[Build, ...]:
    if parent and parent.build:
        ami_id = parent.build.ami_id
    elif want.source:
        ami_id = want.source.ami_id
    else:
        return ()
    return tuple(build for build in builds if build.parent == ami_id)


def _best(builds: tuple[Build, ...]) -> Build:
    """Returns the newest verified build; without one, the newest candidate, then the newest at all."""
    for verdict in (Verdict.VERIFIED, Verdict.CANDIDATE):
        for build in builds:
            if build.verdict is verdict:
                return build
    return builds[0]


def _changes(
    want: Wanted, history: tuple[Build, ...], recipes: Mapping[Fingerprint, Recipe]
) -> tuple[str, ...]:
    """Says how the wanted recipe differs from the newest build's."""
    if not history:
        return ("no build yet",)
    if history[0].made_from(want.fingerprint):
        return ()
    before = recipes.get(history[0].fingerprint)
    if before is None:
        return ("recipe changed",)
    return tuple(_differences(before, want))


def _differences(before: Recipe, want: Wanted) -> Iterable[str]:
    yield from recipe_differences(before, want.recipe)
    if before.parent != want.recipe.parent:
        yield "parent rebuilt" if want.parent else "newer source AMI"


def recipe_differences(before: Recipe, now: Recipe) -> Iterable[str]:
    """Yields what differs between two recipes, but for what they are built on."""
    for path in _changed_keys(before.files, now.files):
        yield f"recipe changed: {path}"
    for name in _changed_settings(before.variables, now.variables):
        yield f"setting changed: {name}"
    for reference in _changed_keys(before.prepull, now.prepull):
        if reference in before.prepull and reference in now.prepull:
            yield f"prepull {reference} moved"
        else:
            yield f"prepull {reference} {'added' if reference in now.prepull else 'removed'}"


def _changed_settings(before: Mapping[str, object], now: Mapping[str, object]) -> Iterable[str]:
    """Yields the settings that differ, and of a table of settings its keys: ``tools.node``."""
    for name in _changed_keys(before, now):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from (f"{name}.{key}" for key in _changed_keys(old, new))
        else:
            yield name


def _changed_keys(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))


def short_duration(duration: timedelta) -> str:
    """Returns a duration as a configuration file would write it: ``7d``, ``90m``, ``45s``."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
