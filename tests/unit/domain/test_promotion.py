"""The decision table, each reason not to promote, and drift in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.fleet import (
    FleetFacts,
    Group,
    InEffect,
    Parameter,
    Pointer,
    Refresh,
    TemplateId,
    TemplateUse,
    Worker,
)
from amifactory.domain.model import AmiId, Architecture
from amifactory.domain.promotion import (
    Promotion,
    Replacement,
    distinct,
    drift,
    may_skip_matching,
    plan_fleet,
    replacement,
    takes_desired,
)
from amifactory.domain.refusals import FleetSettings, Reason, Refusal, refusals_back, soak_refusal
from amifactory.domain.release import ChangeKind, FleetRecord, Rollout, Start

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD, NEW, ARM = AmiId("ami-old"), AmiId("ami-new"), AmiId("ami-arm")
TEMPLATE = TemplateId("lt-1")
WANTED = {Architecture.X86_64: NEW}
SETTINGS = FleetSettings(
    name="node", image="node", group="ci-node", channel="staging", rollout=Rollout.REFRESH
)


def effect(version: str = "4", **changes: Any) -> InEffect:
    """Returns what a group starts: version 4 of the launch template ``node``, with the old AMI."""
    use = TemplateUse(template_id=TEMPLATE, template_name="node", version=version)
    given: dict[str, Any] = {
        "use": use,
        "number": 4,
        "image": OLD,
        "ami_id": OLD,
        "architecture": Architecture.X86_64,
        **changes,
    }
    return InEffect(**given)


def workers(number: int = 1, *, version: int = 4, protected: bool = False) -> tuple[Worker, ...]:
    return tuple(
        Worker(
            instance_id=f"i-{index}",
            template_id=TEMPLATE,
            version=version,
            state="InService",
            protected=protected,
        )
        for index in range(number)
    )


def facts(*effects: InEffect, refresh: Refresh | None = None, **group: Any) -> FleetFacts:
    effects = effects or (effect(),)
    given: dict[str, Any] = {"desired": 1, "workers": workers(), **group}
    return FleetFacts(
        name="node",
        group=Group(name="ci-node", uses=tuple(one.use for one in effects), **given),
        in_effect=effects,
        refresh=refresh,
    )


def plan(
    found: FleetFacts,
    settings: FleetSettings = SETTINGS,
    wanted: Mapping[Architecture, AmiId] | None = None,
    last: FleetRecord | None = None,
    **options: Any,
) -> Any:
    return plan_fleet(settings, found, WANTED if wanted is None else wanted, last=last, **options)


PARAMETER = effect(image="resolve:ssm:/ci/node", parameter=Parameter(name="/ci/node"))
NO_ROLLBACK = 'user guide, "Undo changes with a rollback": a numbered version with a literal AMI id'
NO_DESIRED = 'user guide, "How an instance refresh works", limitations'

DECISIONS = [
    # found, rollout, how workers get replaced, desired configuration, skip matching, source
    (facts(), "refresh", Replacement.DESIRED, True, True, NO_ROLLBACK),
    (facts(by_attributes=True), "refresh", Replacement.PLAIN, False, False, NO_DESIRED),
    (facts(effect("$Default")), "refresh", Replacement.PLAIN, False, True, NO_ROLLBACK),
    (facts(effect("$Latest")), "refresh", Replacement.PLAIN, False, True, NO_ROLLBACK),
    (facts(PARAMETER), "refresh", Replacement.PLAIN, False, False, NO_DESIRED),
    (facts(desired=0, workers=()), "refresh", Replacement.NONE, True, True, "nothing to replace"),
    (facts(desired=0, workers=()), "passive", Replacement.NONE, True, True, "nothing to replace"),
    (facts(desired=0), "refresh", Replacement.DESIRED, True, True, "a worker that still leaves counts"),
    (facts(), "passive", Replacement.PASSIVE, True, True, "workers leave as their jobs end"),
]


@pytest.mark.parametrize("row", DECISIONS, ids=lambda row: f"{row[1]}-{row[2].name}")
def test_the_decision_table(row: tuple[FleetFacts, str, Replacement, bool, bool, str]) -> None:
    found, rollout, kind, desired, skips, source = row
    planned = plan(found, replace(SETTINGS, rollout=Rollout(rollout)))
    assert found.group is not None
    assert planned.replacement is replacement(planned.record, found.group) is kind, source
    assert takes_desired(planned.record, found.group) is desired, source
    assert may_skip_matching(planned.record, found.group) is skips, source


@pytest.mark.parametrize("version", ["4", "$Default"])
def test_a_version_is_made_from_the_one_in_effect(version: str) -> None:
    (placement,) = plan(facts(effect(version))).record.placements
    assert (placement.before, placement.after) == (
        Start(ami_id=OLD, version=4),
        Start(ami_id=NEW, version=None),
    )
    assert placement.pointer is (Pointer.NUMBER if version == "4" else Pointer.DEFAULT)


def test_a_parameter_moves_and_the_version_stays() -> None:
    planned = plan(facts(PARAMETER, workers=workers(2)))
    (placement,) = planned.record.placements
    assert placement.parameter == "/ci/node"
    assert placement.after == Start(ami_id=NEW, version=4)
    assert (planned.current, planned.old, planned.moves) == (0, 2, True)


def test_what_is_so_already_is_left_alone() -> None:
    planned = plan(facts(effect(ami_id=NEW, image=NEW)))
    assert planned.record.placements[0].after == Start(ami_id=NEW, version=4)
    assert (planned.current, planned.old, planned.moves) == (1, 0, False)


def test_old_workers_are_moved_by_a_refresh_only_and_if_they_are_not_protected() -> None:
    def moves(rollout: Rollout, *, protected: bool) -> bool:
        old = workers(version=3, protected=protected)
        found = facts(effect(ami_id=NEW, image=NEW), workers=old)
        return bool(plan(found, replace(SETTINGS, rollout=rollout)).moves)

    assert moves(Rollout.REFRESH, protected=False)
    assert not moves(Rollout.REFRESH, protected=True)
    assert not moves(Rollout.PASSIVE, protected=False)


def test_an_instance_type_of_the_fleet_makes_a_version_even_with_the_same_ami() -> None:
    settings = replace(SETTINGS, instance_type="m7i.large")
    found = effect(ami_id=NEW, image=NEW, instance_type="t3.large")
    (placement,) = plan(facts(found), settings).record.placements
    assert (placement.instance_type, placement.after.version) == ("m7i.large", None)
    same = replace(found, instance_type="m7i.large")
    (placement,) = plan(facts(same), settings).record.placements
    assert (placement.instance_type, placement.after.version) == (None, 4)


def test_each_launch_template_is_placed_once_with_its_architectures_ami() -> None:
    arm_use = TemplateUse(template_id=TemplateId("lt-2"), template_name="arm", version="2", override=1)
    again = TemplateUse(template_id=TEMPLATE, template_name="node", version="4", override=0)
    arm = effect(use=arm_use, number=2, architecture=Architecture.ARM64)
    found = (effect(), effect(use=again), arm)
    assert distinct(found) == (found[0], arm)
    wanted = {**WANTED, Architecture.ARM64: ARM}
    planned = plan(facts(*found), wanted=wanted)
    assert [(one.template_name, one.after.ami_id) for one in planned.record.placements] == [
        ("node", NEW),
        ("arm", ARM),
    ]
    assert planned.refusals == ()


@pytest.mark.parametrize(
    ("seconds", "estimate"), [(None, None), (120.0, 240.0)], ids=["not known", "two workers took 120 s"]
)
def test_how_long_it_takes_is_told_by_the_last_time(seconds: float | None, estimate: float | None) -> None:
    last = replace(plan(facts(workers=workers(2))).record, seconds=seconds)
    last = replace(last, placements=placed(last))
    planned = plan(facts(workers=workers(4)), last=last)
    assert planned.seconds == estimate
    assert plan(facts(desired=0, workers=()), last=last).seconds == 0.0


def placed(record: FleetRecord) -> tuple[Any, ...]:
    """Returns placements that say that what is in effect was to be so."""
    return tuple(replace(one, after=one.before) for one in record.placements)


ACTIVE = Refresh(refresh_id="r-1", status="Baking", percentage=100)
NODE_GROUP = "--auto-scaling-group-name ci-node"
OTHER_USE = TemplateUse(template_id=TEMPLATE, template_name="node", version="5", override=0)

REFUSALS: list[tuple[FleetFacts, Reason, str, str]] = [
    (
        FleetFacts(name="node", group=None),
        Reason.NO_GROUP,
        "there is no Auto Scaling group ci-node",
        "Check its name in factory.hcl: aws autoscaling describe-auto-scaling-groups",
    ),
    (
        FleetFacts(name="node", group=Group(name="ci-node", uses=(), desired=0)),
        Reason.NO_TEMPLATE,
        "group ci-node has no launch template",
        "Launch configurations are not supported: give the group a launch template.",
    ),
    (
        facts(effect("$Latest")),
        Reason.LATEST,
        "node is used as $Latest, so that making a version would already be the promotion",
        "Run: amifactory fleets convert node",
    ),
    (
        facts(effect(parameter=Parameter(name="/ci/node", selector="3"))),
        Reason.FIXED_PARAMETER,
        "node is bound to version 3 of SSM parameter /ci/node",
        "Let the template say resolve:ssm:/ci/node",
    ),
    (
        facts(effect(), effect(use=OTHER_USE, number=5)),
        Reason.TWO_VERSIONS,
        "its group uses node as 4 and as 5",
        "Let it name one version of a launch template, or two templates.",
    ),
    (
        facts(effect(architecture=Architecture.ARM64)),
        Reason.NO_BUILD,
        "node starts arm64 workers, for which node has no build to promote",
        "Run: amifactory build node (architectures in images/node/image.hcl)",
    ),
    (
        facts(effect(unfit_types=("t4g.large", "m7g.large"))),
        Reason.ARCHITECTURE,
        "node starts x86_64 AMIs, which t4g.large, m7g.large cannot run",
        "Give that instance type's override a launch template of its own, with an AMI it can run.",
    ),
    (
        facts(effect(architecture=None)),
        Reason.UNKNOWN_AMI,
        "node version 4 starts ami-old, which is gone",
        "Give the template a version with an AMI that exists: it says what architecture is wanted here.",
    ),
    (
        facts(effect(ami_id=None, image="resolve:ssm:/gone", architecture=None)),
        Reason.UNKNOWN_AMI,
        "node version 4 starts resolve:ssm:/gone, which is gone",
        "Give the template a version with an AMI that exists: it says what architecture is wanted here.",
    ),
    (
        facts(refresh=ACTIVE),
        Reason.REFRESH,
        "an instance refresh is under way (Baking, 100 %)",
        f"Wait for it, or: aws autoscaling cancel-instance-refresh {NODE_GROUP}",
    ),
    (
        facts(suspended=frozenset({"Terminate", "AZRebalance", "Launch"})),
        Reason.SUSPENDED,
        "suspended, so a refresh would not get on: Launch Terminate",
        f"Run: aws autoscaling resume-processes {NODE_GROUP} --scaling-processes Launch Terminate",
    ),
]


@pytest.mark.parametrize(("found", "reason", "message", "hint"), REFUSALS)
def test_each_reason_of_a_fleet_with_what_to_do(
    found: FleetFacts, reason: Reason, message: str, hint: str
) -> None:
    assert plan(found).refusals == (Refusal(reason=reason, message=message, hint=hint, fleet="node"),)


def test_suspended_processes_matter_to_a_refresh_only() -> None:
    suspended = frozenset({"Launch"})
    assert plan(facts(suspended=frozenset({"AZRebalance"}))).refusals == ()
    assert plan(facts(suspended=suspended), replace(SETTINGS, rollout=Rollout.PASSIVE)).refusals == ()
    assert plan(facts(suspended=suspended, desired=0, workers=())).refusals == ()


def test_a_refresh_that_is_over_is_in_nobodys_way() -> None:
    planned = plan(facts(refresh=Refresh(refresh_id="r-1", status="Failed")))
    assert planned.refusals == ()
    assert planned.record.last_refresh == "r-1"


def test_draining_by_the_manager_is_refused_with_what_does_the_same() -> None:
    (refusal,) = plan(facts(), replace(SETTINGS, rollout=Rollout.DRAIN)).refusals
    assert refusal.reason is Reason.DRAIN
    assert 'rollout = "passive"' in refusal.hint


def test_several_reasons_are_all_told_the_channels_first() -> None:
    planned = plan(facts(effect("$Latest"), refresh=ACTIVE))
    soak = soak_refusal(source="staging release 3", left_seconds=60)
    promotion = Promotion(
        kind=ChangeKind.PROMOTE,
        channel="production",
        source="staging release 3",
        release=None,
        fleets=(planned,),
        refusals=(soak,),
    )
    assert [refusal.reason for refusal in promotion.all_refusals] == [
        Reason.SOAK,
        Reason.REFRESH,
        Reason.LATEST,
    ]
    assert str(promotion.all_refusals[2]).startswith("fleet node: node is used as $Latest")
    assert str(soak) == f"{soak.message}\n  {soak.hint}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(86_400, "24 h 0 min"), (5_400.4, "1 h 30 min"), (3_599, "59 min 59 s"), (1, "0 min 1 s")],
)
def test_the_rest_of_a_soak_in_words(seconds: float, words: str) -> None:
    refusal = soak_refusal(source="release 3", left_seconds=seconds)
    assert refusal.message == f"release 3 has not soaked: {words} are left"


BACK: list[tuple[FleetFacts, list[str]]] = [
    (facts(), []),
    (FleetFacts(name="node", group=None), ["no-group: there is no Auto Scaling group ci-node"]),
    (facts(refresh=ACTIVE), ["active-refresh: an instance refresh is under way (Baking, 100 %)"]),
    (
        facts(suspended=frozenset({"Launch"})),
        ["suspended-process: suspended, so a refresh would not get on: Launch"],
    ),
    (
        facts(effect("$Latest")),
        ["latest: node is used as $Latest, so that making a version would already be the promotion"],
    ),
    (
        facts(effect(use=TemplateUse(template_id=TemplateId("lt-2"), template_name="new", version="1"))),
        [
            "drift: group ci-node is not as it was: it does not use node any more",
            "drift: group ci-node is not as it was: it also uses new",
        ],
    ),
]


@pytest.mark.parametrize(("found", "words"), BACK)
def test_each_reason_not_to_roll_a_fleet_back(found: FleetFacts, words: list[str]) -> None:
    record = plan(facts()).record
    told = refusals_back(SETTINGS, found, record, known={NEW})
    assert [f"{refusal.reason}: {refusal.message}" for refusal in told] == words
    assert all(refusal.hint and refusal.fleet == "node" for refusal in told)


def test_a_rollback_to_an_ami_that_is_gone_is_refused() -> None:
    (refusal,) = refusals_back(SETTINGS, facts(), plan(facts()).record, known={OLD})
    assert refusal.reason is Reason.GONE
    assert refusal.message == "ami-new, which node started then, is gone"


DRIFTS: list[tuple[FleetFacts, tuple[str, ...]]] = [
    (facts(), ()),
    (facts(effect(number=5)), ("node is at version 5, not 4",)),
    (facts(effect("$Default")), ("node is used as $Default, not pinned",)),
    (facts(effect(ami_id=NEW)), ("node starts ami-new, not ami-old",)),
    (FleetFacts(name="node", group=None), ("group ci-node is gone",)),
    (
        facts(effect(use=TemplateUse(template_id=TemplateId("lt-2"), template_name="new", version="1"))),
        ("ci-node does not use node any more", "ci-node also uses new"),
    ),
]


@pytest.mark.parametrize(("found", "words"), DRIFTS)
def test_drift_in_words(found: FleetFacts, words: tuple[str, ...]) -> None:
    record = plan(facts()).record
    record = replace(record, placements=placed(record))
    assert drift(found, record) == words
    refused = [one for one in plan(found, last=record).refusals if one.reason is Reason.DRIFT]
    assert [one.message.partition("by somebody else: ")[2] for one in refused] == list(words)
    assert not any(one.reason is Reason.DRIFT for one in plan(found, last=record, accept_drift=True).refusals)
