"""Which images are stale, and the reason each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.model import (
    AmiId,
    Architecture,
    Build,
    Fingerprint,
    Recipe,
    SourceAmi,
    Target,
    Verdict,
)
from amifactory.domain.staleness import Action, BuildPlan, Wanted, plan_builds, short_duration

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
BASE = Target(image="base", architecture=Architecture.X86_64)
NODE = Target(image="node", architecture=Architecture.X86_64)
SOURCE = SourceAmi(ami_id=AmiId("ami-source"), name="debian-12-1", root_device="/dev/xvda")


def recipe(*, parent: str = "ami-source", **changes: object) -> Recipe:
    plain = Recipe(
        architecture=Architecture.X86_64,
        files={"build.pkr.hcl": "aa", "provision/install-node.sh": "x:bb"},
        variables={"tools": {"node": "22.11.0"}},
        prepull={"node:22": "sha256:11"},
        parent=parent,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def want_base(made: Recipe | None = None, **changes: object) -> Wanted:
    made = made or recipe()
    plain = Wanted(
        target=BASE,
        recipe=made,
        fingerprint=made.fingerprint,
        spec="spec-1",
        root_device="/dev/xvda",
        source=SOURCE,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def want_node(base: Wanted) -> Wanted:
    made = recipe(parent=base.fingerprint)
    return Wanted(
        target=NODE,
        recipe=made,
        fingerprint=made.fingerprint,
        spec="spec-1",
        root_device="/dev/xvda",
        parent=BASE,
    )


def build_of(want: Wanted, ami_id: str, *, parent: str = "ami-source", **changes: object) -> Build:
    plain = Build(
        target=want.target,
        ami_id=AmiId(ami_id),
        name=ami_id,
        region="eu-central-1",
        fingerprint=want.fingerprint,
        parent=AmiId(parent),
        verdict=Verdict.VERIFIED,
        created_at=NOW - timedelta(days=1),
        spec="spec-1",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def plan_one(want: Wanted, *builds: Build, known: Recipe | None = None) -> tuple[Action, tuple[str, ...]]:
    recipes = {known.fingerprint: known} if known else {}
    (step,) = plan_builds([want], builds, now=NOW, recipes=recipes).steps
    return step.action, step.reasons


def test_what_was_never_built_is_built() -> None:
    assert plan_one(want_base()) == (Action.BUILD, ("no build yet",))


def test_a_verified_build_of_the_same_content_is_reused() -> None:
    want = want_base()
    assert plan_one(want, build_of(want, "ami-1")) == (Action.REUSE, ())


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (
            recipe(files={"build.pkr.hcl": "aa", "provision/install-node.sh": "x:old"}),
            "recipe changed: provision/install-node.sh",
        ),
        (
            recipe(files={"build.pkr.hcl": "aa", "provision/install-node.sh": "bb"}),
            "recipe changed: provision/install-node.sh",
        ),
        (recipe(variables={"tools": {"node": "20.0.0"}}), "setting changed: tools.node"),
        (recipe(prepull={"node:22": "sha256:00"}), "prepull node:22 moved"),
        (recipe(prepull={}), "prepull node:22 added"),
        (recipe(prepull={"node:22": "sha256:11", "redis:7": "sha256:22"}), "prepull redis:7 removed"),
        (recipe(parent="ami-older"), "newer source AMI"),
    ],
)
def test_the_reason_names_what_changed(before: Recipe, reason: str) -> None:
    old = build_of(want_base(before), "ami-1")
    assert plan_one(want_base(), old, known=before) == (Action.BUILD, (reason,))


def test_without_the_earlier_recipe_the_reason_is_general() -> None:
    old = build_of(want_base(recipe(files={})), "ami-1")
    assert plan_one(want_base(), old) == (Action.BUILD, ("recipe changed",))


def test_a_candidate_left_by_a_killed_run_is_verified_not_rebuilt() -> None:
    want = want_base()
    left = build_of(want, "ami-1", verdict=Verdict.CANDIDATE, spec=None)
    (step,) = plan_builds([want], [left], now=NOW, recipes={}).steps
    assert (step.action, step.reasons, step.build) == (Action.VERIFY, ("not yet verified",), left)


def test_a_build_that_was_never_tagged_is_known_by_the_digits_in_its_name() -> None:
    want = want_base()
    left = build_of(want, "ami-1", verdict=Verdict.CANDIDATE, fingerprint=Fingerprint(want.fingerprint[:12]))
    assert plan_one(want, left)[0] is Action.VERIFY


def test_a_rejected_build_is_made_again() -> None:
    want = want_base()
    assert plan_one(want, build_of(want, "ami-1", verdict=Verdict.REJECTED)) == (
        Action.BUILD,
        ("previous build rejected",),
    )


def test_a_rejected_build_whose_spec_was_mended_is_verified_again() -> None:
    want = want_base(spec="spec-2")
    assert plan_one(want, build_of(want, "ami-1", verdict=Verdict.REJECTED)) == (
        Action.VERIFY,
        ("spec changed",),
    )


@pytest.mark.parametrize("verdict", [Verdict.VERIFIED, Verdict.REJECTED])
@pytest.mark.parametrize(
    ("before", "now", "reasons"),
    [
        ("aa", "aa+11", ("verification limits changed",)),
        ("aa+11", "aa", ("verification limits changed",)),
        ("aa+11", "aa+22", ("verification limits changed",)),
        ("aa+11", "bb+11", ("spec changed",)),
        ("aa+11", "bb+22", ("spec changed", "verification limits changed")),
        (None, "aa", ("spec changed",)),
    ],
)
def test_what_a_build_is_judged_by_has_changed(
    before: str | None, now: str, reasons: tuple[str, ...], verdict: Verdict
) -> None:
    """The build is verified again; nothing is built."""
    want = want_base(spec=now)
    judged = build_of(want, "ami-1", verdict=verdict, spec=before)
    assert plan_one(want, judged) == (Action.VERIFY, reasons)


def test_a_verified_build_outranks_a_newer_rejected_one() -> None:
    want = want_base()
    newer = build_of(want, "ami-2", verdict=Verdict.REJECTED, created_at=NOW)
    (step,) = plan_builds([want], [newer, build_of(want, "ami-1")], now=NOW, recipes={}).steps
    assert step.build is not None
    assert step.build.ami_id == "ami-1"


def test_what_is_too_old_is_built_again() -> None:
    want = want_base(max_age=timedelta(hours=12))
    assert plan_one(want, build_of(want, "ami-1")) == (Action.BUILD, ("older than 12h",))


def test_a_child_is_rebuilt_with_its_parent_and_reused_without() -> None:
    base = want_base()
    node = want_node(base)
    builds = [build_of(base, "ami-1"), build_of(node, "ami-2", parent="ami-1")]
    fresh = plan_builds([base, node], builds, now=NOW, recipes={})
    assert fresh.stale == ()
    forced = plan_builds([base, node], builds, now=NOW, recipes={}, forced=frozenset({BASE}))
    assert [step.reasons for step in forced.steps] == [("forced",), ("parent rebuilt",)]


def test_a_child_of_an_earlier_build_of_its_parent_is_rebuilt() -> None:
    base = want_base()
    node = want_node(base)
    builds = [
        build_of(base, "ami-1", created_at=NOW - timedelta(days=2)),
        build_of(base, "ami-9"),
        build_of(node, "ami-2", parent="ami-1"),
    ]
    plan = plan_builds([base, node], builds, now=NOW, recipes={})
    assert [(step.action, step.reasons) for step in plan.steps] == [
        (Action.REUSE, ()),
        (Action.BUILD, ("parent rebuilt",)),
    ]


def test_a_changed_parent_is_one_reason_beside_the_childs_own() -> None:
    base = want_base()
    node = want_node(base)
    before = recipe(parent="older-parent", prepull={"node:22": "sha256:00"})
    old = build_of(replace(node, recipe=before, fingerprint=before.fingerprint), "ami-2")
    plan = plan_builds([base, node], [old], now=NOW, recipes={before.fingerprint: before})
    assert plan.steps[1].reasons == ("prepull node:22 moved", "parent rebuilt")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Verdict)),
            st.integers(0, 20),
            st.sampled_from(["ami-source", "ami-older"]),
            st.booleans(),
            st.sampled_from(["spec-1", "spec-0"]),
        ),
        max_size=6,
    )
)
def test_only_a_verified_build_of_the_wanted_content_on_the_wanted_parent_is_reused(
    made: list[tuple[Verdict, int, str, bool, str]],
) -> None:
    want = want_base(max_age=timedelta(days=10))
    other = want_base(recipe(files={}))
    builds = [
        build_of(
            want if same else other,
            f"ami-{number}",
            verdict=verdict,
            created_at=NOW - timedelta(days=age),
            parent=parent,
            spec=spec,
        )
        for number, (verdict, age, parent, same, spec) in enumerate(made)
    ]
    (step,) = plan_builds([want], builds, now=NOW, recipes={}).steps
    assert bool(step.reasons) is (step.action is not Action.REUSE)
    if step.action is Action.BUILD:
        assert step.build is None
    else:
        build = step.build
        assert build is not None
        assert (build.fingerprint, build.parent) == (want.fingerprint, "ami-source")
        assert NOW - build.created_at <= timedelta(days=10)
    if step.action is Action.REUSE:
        assert (step.build.verdict, step.build.spec) == (Verdict.VERIFIED, "spec-1")  # type: ignore[union-attr]


def test_planning_the_result_of_a_plan_leaves_nothing_to_do() -> None:
    base = want_base()
    node = want_node(base)
    first: BuildPlan = plan_builds([base, node], [], now=NOW, recipes={})
    made = [
        build_of(
            step.wanted, f"ami-{step.target.image}", parent="ami-base" if step.wanted.parent else "ami-source"
        )
        for step in first.steps
    ]
    assert plan_builds([base, node], made, now=NOW, recipes={}).stale == ()


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=7), "7d"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=45), "45s"),
        (timedelta(), "0s"),
    ],
)
def test_durations_read_as_they_are_written(duration: timedelta, text: str) -> None:
    assert short_duration(duration) == text
