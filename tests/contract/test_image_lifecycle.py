"""How an AMI ends: deprecated, disabled, protected, deregistered. EC2 API reference and user guide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from moto.ec2.models import ec2_backends

from amifactory.sandbox.ec2_world import ACCOUNT
from amifactory.sandbox.images_lifecycle import deprecation_date, years_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OTHER = "210987654321"


@pytest.fixture
def made(ec2: Any, run: Callable[..., str], world: World, request: pytest.FixtureRequest) -> str:
    """Makes an AMI and returns its id."""
    name = f"end of {request.node.name[:60]}"
    ami = ec2.create_image(InstanceId=run(), Name=name, NoReboot=True)["ImageId"]
    world.work.wait(5)
    return str(ami)


@pytest.fixture
def attribute(ec2: Any, made: str) -> Callable[[str], Any]:
    """Returns an attribute of the AMI."""

    def attribute(name: str) -> Any:
        answer = ec2.describe_image_attribute(ImageId=made, Attribute=name)
        return answer[name[0].upper() + name[1:]].get("Value")

    return attribute


@pytest.fixture
def ami(made: str) -> Any:
    """Returns the AMI itself, to ask it about another time than now."""
    return ec2_backends[ACCOUNT]["eu-central-1"].amis[made]


def image(ec2: Any, ami: str, **asked: Any) -> dict[str, Any]:
    return dict(ec2.describe_images(ImageIds=[ami], **asked)["Images"][0])


def test_a_deprecated_image_goes_on_as_before(ec2: Any, made: str, run: Callable[..., str]) -> None:
    """DescribeImages, IncludeDeprecated: the owner sees it anyway. Launches go on."""
    when = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=30)
    assert ec2.enable_image_deprecation(ImageId=made, DeprecateAt=when)["Return"] is True
    assert image(ec2, made)["DeprecationTime"] == f"{when:%Y-%m-%dT%H:%M:%S.000Z}"
    run(ImageId=made)
    ec2.disable_image_deprecation(ImageId=made)
    assert "DeprecationTime" not in image(ec2, made)


@pytest.mark.parametrize(("second", "minute"), [(0, 30), (29, 30), (30, 31), (59, 31)])
def test_deprecation_is_to_the_nearest_minute(second: int, minute: int) -> None:
    """DeprecateAt: with "a value for seconds, Amazon EC2 rounds the seconds to the nearest minute"."""
    asked = NOW.replace(minute=30, second=second)
    found = deprecation_date(asked, now=NOW, public_since=None)
    assert (found.minute, found.second) == (minute, 0)


def test_deprecation_is_in_the_future_and_not_too_far(ec2: Any, made: str, code: Callable[..., str]) -> None:
    """DeprecateAt: not in the past, at most 10 years from now, of a public AMI 2 years from its creation."""
    now = datetime.now(UTC)
    ask = ec2.enable_image_deprecation
    past = now - timedelta(minutes=1)
    assert code(ask, ImageId=made, DeprecateAt=past) == "InvalidParameterValue"
    assert code(ask, ImageId=made, DeprecateAt=now + timedelta(days=3660)) == "InvalidParameterValue"
    later = now + timedelta(days=800)
    ask(ImageId=made, DeprecateAt=later)
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    assert code(ask, ImageId=made, DeprecateAt=later) == "InvalidParameterValue"


def test_years_after_a_leap_day() -> None:
    assert years_after(datetime(2028, 2, 29, tzinfo=UTC), 10) == datetime(2038, 3, 1, tzinfo=UTC)


def test_a_disabled_image_is_hidden_unless_asked_for(ec2: Any, made: str) -> None:
    """DisableImage: "A disabled AMI does not appear in DescribeImages API calls by default"."""
    ec2.disable_image(ImageId=made)
    assert ec2.describe_images(ImageIds=[made])["Images"] == []
    assert made not in [found["ImageId"] for found in ec2.describe_images(Owners=["self"])["Images"]]
    assert image(ec2, made, IncludeDisabled=True)["State"] == "disabled"


def test_disabling_ends_sharing_and_enabling_does_not_bring_it_back(
    ec2: Any, made: str, code: Callable[..., str]
) -> None:
    """DisableImage: "A disabled AMI can't be shared"; EnableImage: those that lost access "do not regain
    access automatically".
    """
    share = {"ImageId": made, "LaunchPermission": {"Add": [{"UserId": OTHER}]}}
    ec2.modify_image_attribute(**share)
    ec2.disable_image(ImageId=made)
    assert code(ec2.modify_image_attribute, **share) == "InvalidAMIID.Unavailable"
    ec2.enable_image(ImageId=made)
    found = ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")
    assert found["LaunchPermissions"] == []
    assert image(ec2, made)["State"] == "available"


def test_a_disabled_image_is_not_launched(
    ec2: Any, made: str, run: Callable[..., str], code: Callable[..., str]
) -> None:
    """DisableImage: "A disabled AMI can't be used for instance launches"; from a template neither."""
    template = ec2.create_launch_template(
        LaunchTemplateName=f"of-{made}", LaunchTemplateData={"ImageId": made}
    )
    ec2.disable_image(ImageId=made)
    assert code(run, ImageId=made) == "InvalidAMIID.Unavailable"
    chosen = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]}
    assert code(ec2.run_instances, LaunchTemplate=chosen, MinCount=1, MaxCount=1) == (
        "InvalidAMIID.Unavailable"
    )
    ec2.enable_image(ImageId=made)
    run(ImageId=made)


def test_a_snapshot_stays_while_its_image_is_disabled(ec2: Any, made: str, code: Callable[..., str]) -> None:
    """EC2 user guide, "Disable an AMI": the snapshots of a disabled AMI cannot be deleted."""
    snapshot = image(ec2, made)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.disable_image(ImageId=made)
    assert code(ec2.delete_snapshot, SnapshotId=snapshot) == "InvalidSnapshot.InUse"


def test_a_protected_image_is_not_deregistered(
    ec2: Any, made: str, attribute: Any, code: Callable[..., str]
) -> None:
    """EnableImageDeregistrationProtection: "the AMI can't be deregistered"."""
    assert attribute("deregistrationProtection") == "disabled"
    ec2.enable_image_deregistration_protection(ImageId=made)
    assert attribute("deregistrationProtection") == "enabled-without-cooldown"
    assert image(ec2, made)["DeregistrationProtection"] == "enabled-without-cooldown"
    assert code(ec2.deregister_image, ImageId=made) == "OperationNotPermitted"
    ec2.disable_image_deregistration_protection(ImageId=made)
    ec2.deregister_image(ImageId=made)


def test_a_cooldown_protects_for_a_day_more(
    ec2: Any, made: str, ami: Any, attribute: Any, code: Callable[..., str]
) -> None:
    """WithCooldown: "enforces deregistration protection for 24 hours after deregistration protection is
    disabled".
    """
    ec2.enable_image_deregistration_protection(ImageId=made, WithCooldown=True)
    assert attribute("deregistrationProtection") == "enabled-with-cooldown"
    before = datetime.now(UTC)
    ec2.disable_image_deregistration_protection(ImageId=made)
    assert attribute("deregistrationProtection").startswith("disabled after 20")
    assert code(ec2.deregister_image, ImageId=made) == "OperationNotPermitted"
    hours = [hours for hours in (23, 25) if ami.is_protected(before + timedelta(hours=hours))]
    assert hours == [23]
    assert ami.told_protection(before + timedelta(hours=25)) == "disabled"


def test_snapshots_stay_unless_their_deletion_is_asked_for(
    ec2: Any, made: str, run: Callable[..., str], world: World
) -> None:
    """DeregisterImage, DeleteAssociatedSnapshots: "Default: The snapshots are not deleted"."""
    snapshot = image(ec2, made)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert ec2.deregister_image(ImageId=made).get("DeleteSnapshotResults", []) == []
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    other = ec2.create_image(InstanceId=run(), Name=f"after {made}", NoReboot=True)["ImageId"]
    world.work.wait(5)
    snapshot = image(ec2, other)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    answer = ec2.deregister_image(ImageId=other, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": snapshot, "ReturnCode": "success"}]


def test_a_snapshot_that_another_image_has_is_skipped(
    ec2: Any, made: str, ami: Any, run: Callable[..., str], world: World
) -> None:
    """DeleteAssociatedSnapshots: "If a snapshot is associated with multiple AMIs, it is not deleted,
    regardless of this setting." RegisterImage makes such AMIs, which the sandbox has not got.
    """
    other = ec2.create_image(InstanceId=run(), Name=f"beside {made}", NoReboot=True)["ImageId"]
    world.work.wait(5)
    ec2_backends[ACCOUNT]["eu-central-1"].amis[other].ebs_snapshot = ami.ebs_snapshot
    answer = ec2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": ami.ebs_snapshot.id, "ReturnCode": "skipped"}]
    assert ec2.describe_snapshots(SnapshotIds=[ami.ebs_snapshot.id])["Snapshots"]


def test_a_launch_is_told_a_day_later(
    ec2: Any, made: str, ami: Any, attribute: Any, run: Callable[..., str]
) -> None:
    """Image, LastLaunchedTime: "there is a 24-hour delay before that usage is reported"."""
    run(ImageId=made)
    assert attribute("lastLaunchedTime") is None
    assert "LastLaunchedTime" not in image(ec2, made)
    (launched,) = ami.launched_at
    assert ami.told_launch(launched + timedelta(hours=25)) == f"{launched:%Y-%m-%dT%H:%M:%SZ}"
    assert ami.told_launch(launched + timedelta(hours=23)) is None


@pytest.mark.parametrize(
    "operation",
    [
        "deregister_image",
        "disable_image",
        "disable_image_deprecation",
        "enable_image_deregistration_protection",
    ],
)
def test_an_image_of_others_is_left_alone(ec2: Any, code: Callable[..., str], operation: str) -> None:
    """DisableImage: "Only the AMI owner can disable an AMI"; AuthFailure: EC2 API error codes."""
    assert code(getattr(ec2, operation), ImageId="ami-0debdebdebdebdeb0") == "AuthFailure"
