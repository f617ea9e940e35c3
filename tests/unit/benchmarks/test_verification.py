"""What verification is compared with: the same facts for the specs, and which part took how long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from measure import Taken
from verification import FAMILY, IMAGE, facts, parts

from amifactory.domain.model import Architecture, Recipe, Target
from amifactory.operations.examination import spec_facts

if TYPE_CHECKING:
    from pathlib import Path

TOLD: list[dict[str, Any]] = [
    {"offline": True, "tools": {"awscli": "2", "node": "18"}, "prepull": {"alpine:3.20": "sha256:1"}},
    {"offline": True, "tools": {"node": "22"}, "prepull": {"node:22": "sha256:2"}},
]


def test_specs_are_told_what_amifactory_tells_them(tmp_path: Path) -> None:
    for name, told in zip(FAMILY, TOLD, strict=True):
        context = tmp_path / f"{name}-x86_64/context"
        context.mkdir(parents=True)
        (context / "recipe.auto.pkrvars.json").write_text(json.dumps(told))
    parent, recipe = (
        Recipe(
            architecture=Architecture.X86_64, files={}, variables=told, prepull=told["prepull"], parent=name
        )
        for name, told in zip(("ami-0", "parent"), TOLD, strict=True)
    )
    target = Target(image=IMAGE, architecture=Architecture.X86_64)
    assert facts(tmp_path) == spec_facts(target, recipe, {"parent": parent}.get)  # type: ignore[arg-type]


def verified(**seconds: float) -> Taken:
    timeline = [{"name": name.replace("_", " "), "seconds": value} for name, value in seconds.items()]
    return Taken(wall=sum(seconds.values()) + 2, cpu=0, output=json.dumps({"timeline": timeline}))


def test_parts_are_medians_over_the_rounds() -> None:
    bare = Taken(wall=7, cpu=0, output=json.dumps({"ssh": 2, "spec": 5}))
    rounds = [
        (verified(waiting_until_ready=1, running_the_spec=6, looking_for_leaks=3), bare),
        (verified(waiting_until_ready=2, running_the_spec=9), bare),
        (verified(waiting_until_ready=3, running_the_spec=5, looking_for_leaks=1), bare),
    ]
    assert parts(rounds) == {
        "ready signal, first docker runs": 2,
        "spec beside leak scan and inventory - spec alone": 1,
        "leak scan after the spec": 1,
        "start-up, clean-up": 2,
    }
