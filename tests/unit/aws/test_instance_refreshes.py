"""Instance refreshes: what is sent, what is read, and which refusals are no errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import ANY

from amifactory.aws.instance_refreshes import InstanceRefreshes, RefreshOptions
from amifactory.domain.fleet import Group, Refresh, TemplateId, TemplateUse
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession

GROUP = Group(
    name="ci-node",
    uses=(TemplateUse(template_id=TemplateId("lt-1"), template_name="node", version="4"),),
    desired=1,
)
DEFAULTS = {
    "SkipMatching": True,
    "AutoRollback": False,
    "ScaleInProtectedInstances": "Ignore",
    "StandbyInstances": "Ignore",
}


def started(autoscaling: Stubber, session: AwsSession, options: RefreshOptions, **request: Any) -> str | None:
    versions = {TemplateId("lt-1"): "5"} if "DesiredConfiguration" in request else None
    autoscaling.add_response(
        "start_instance_refresh",
        {"InstanceRefreshId": "r-1"},
        {"AutoScalingGroupName": "ci-node", **request},
    )
    return InstanceRefreshes(session).start(GROUP, options, versions=versions)


def test_what_is_not_asked_for_is_not_sent(autoscaling: Stubber, session: AwsSession) -> None:
    """AWS's defaults are the group's maintenance policy and warm-up (API reference, RefreshPreferences)."""
    assert started(autoscaling, session, RefreshOptions(), Preferences=DEFAULTS) == "r-1"


def test_every_preference(autoscaling: Stubber, session: AwsSession) -> None:
    options = RefreshOptions(
        min_healthy=0,
        max_healthy=110,
        warmup=0,
        checkpoints=(25, 100),
        checkpoint_delay=600,
        bake_time=300,
        protected="Wait",
        standby="Terminate",
        skip_matching=False,
        auto_rollback=True,
        alarms=("errors",),
    )
    started(
        autoscaling,
        session,
        options,
        DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "5"}},
        Preferences={
            "MinHealthyPercentage": 0,
            "MaxHealthyPercentage": 110,
            "InstanceWarmup": 0,
            "CheckpointPercentages": [25, 100],
            "CheckpointDelay": 600,
            "BakeTime": 300,
            "SkipMatching": False,
            "AutoRollback": True,
            "ScaleInProtectedInstances": "Wait",
            "StandbyInstances": "Terminate",
            "AlarmSpecification": {"Alarms": ["errors"]},
        },
    )


def test_without_a_desired_configuration_aws_has_nothing_to_roll_back(
    autoscaling: Stubber, session: AwsSession
) -> None:
    """AutoRollback "cannot be set to true when the DesiredConfiguration parameter is empty"."""
    started(autoscaling, session, RefreshOptions(auto_rollback=True), Preferences=DEFAULTS)


def test_one_that_is_under_way_already_is_no_error(autoscaling: Stubber, session: AwsSession) -> None:
    autoscaling.add_client_error("start_instance_refresh", "InstanceRefreshInProgress")
    assert InstanceRefreshes(session).start(GROUP, RefreshOptions(), versions=None) is None
    autoscaling.add_client_error("start_instance_refresh", "LimitExceeded")
    with pytest.raises(AwsError, match="LimitExceeded"):
        InstanceRefreshes(session).start(GROUP, RefreshOptions(), versions=None)


@pytest.mark.parametrize("suffix", ["", "Fault"])
def test_ending_one_that_is_over_or_has_no_way_back(
    autoscaling: Stubber, session: AwsSession, suffix: str
) -> None:
    """API reference, CancelInstanceRefresh and RollbackInstanceRefresh, errors; the model adds "Fault"."""
    refreshes = InstanceRefreshes(session)
    autoscaling.add_client_error("cancel_instance_refresh", f"ActiveInstanceRefreshNotFound{suffix}")
    refreshes.cancel("ci-node")
    autoscaling.add_client_error("rollback_instance_refresh", f"IrreversibleInstanceRefresh{suffix}")
    assert refreshes.roll_back("ci-node") is False
    autoscaling.add_response("rollback_instance_refresh", {}, {"AutoScalingGroupName": "ci-node"})
    assert refreshes.roll_back("ci-node") is True
    autoscaling.add_client_error("cancel_instance_refresh", "AccessDenied")
    with pytest.raises(AwsError, match="denied autoscaling:CancelInstanceRefresh"):
        refreshes.cancel("ci-node")


def answer(**changes: Any) -> dict[str, Any]:
    return {"InstanceRefreshes": [{"InstanceRefreshId": "r-1", "Status": "InProgress", **changes}]}


def test_the_newest_one(autoscaling: Stubber, session: AwsSession) -> None:
    refreshes = InstanceRefreshes(session)
    asked = {"AutoScalingGroupName": "ci-node", "MaxRecords": 1}
    autoscaling.add_response("describe_instance_refreshes", {"InstanceRefreshes": []}, asked)
    assert refreshes.newest("ci-node") is None
    autoscaling.add_response("describe_instance_refreshes", answer(PercentageComplete=50), asked)
    assert refreshes.newest("ci-node") == Refresh(refresh_id="r-1", status="InProgress", percentage=50)


def test_one_that_aws_has_forgotten(autoscaling: Stubber, session: AwsSession) -> None:
    asked = {"AutoScalingGroupName": "ci-node", "InstanceRefreshIds": ["r-1"]}
    autoscaling.add_response("describe_instance_refreshes", {"InstanceRefreshes": []}, asked)
    with pytest.raises(AwsError, match="instance refresh r-1 of ci-node is gone"):
        InstanceRefreshes(session).refresh("ci-node", "r-1")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({}, ""),
        ({"StatusReason": "An alarm."}, "An alarm."),
        (
            {"RollbackDetails": {"RollbackReason": "Automatic rollback: an alarm."}},
            "Automatic rollback: an alarm.",
        ),
    ],
)
def test_why_it_ended_so(
    autoscaling: Stubber, session: AwsSession, told: dict[str, Any], reason: str
) -> None:
    autoscaling.add_response("describe_instance_refreshes", answer(**told), ANY_REQUEST)
    found = InstanceRefreshes(session).newest("ci-node")
    assert found is not None
    assert found.reason == reason


ANY_REQUEST = {"AutoScalingGroupName": ANY, "MaxRecords": ANY}
SPECIFICATION = {"LaunchTemplateId": "lt-1", "Version": "5"}
MIXED = {
    "LaunchTemplate": {
        "LaunchTemplateSpecification": SPECIFICATION,
        "Overrides": [
            {"InstanceType": "t3.large"},
            {"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-2", "Version": "7"}},
        ],
    }
}


@pytest.mark.parametrize(
    ("desired", "versions"),
    [
        ({}, {}),
        ({"LaunchTemplate": SPECIFICATION}, {"lt-1": "5"}),
        ({"MixedInstancesPolicy": MIXED}, {"lt-1": "5", "lt-2": "7"}),
    ],
)
def test_which_versions_it_wants_tells_whose_it_is(
    autoscaling: Stubber, session: AwsSession, desired: dict[str, Any], versions: dict[str, str]
) -> None:
    told = {"DesiredConfiguration": desired} if desired else {}
    autoscaling.add_response("describe_instance_refreshes", answer(**told), ANY_REQUEST)
    found = InstanceRefreshes(session).newest("ci-node")
    assert found is not None
    assert found.versions == versions
