"""AMIs as builds: what is asked of EC2, and how its answers read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.aws.machine_images import MachineImages, ami_name, identity_tags
from amifactory.domain.model import AmiId, Architecture, Fingerprint, Target, Verdict
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession

NODE = Target(image="node", architecture=Architecture.X86_64)
FINGERPRINT = Fingerprint("ab" * 32)
NAME = f"amifactory/example/node/x86_64/{FINGERPRINT[:12]}-20260115T120000Z"
TAGS = identity_tags(
    factory="example",
    target=NODE,
    fingerprint=FINGERPRINT,
    parent=AmiId("ami-parent"),
    offline=True,
    carries_secret=("kubeconfig", "token"),
    run="run-1",
)


def image(**changes: Any) -> dict[str, Any]:
    return {
        "ImageId": "ami-1",
        "Name": NAME,
        "State": "available",
        "CreationDate": "2026-01-15T12:00:00.000Z",
        "RootDeviceName": "/dev/xvda",
        "Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()],
        "BlockDeviceMappings": [{"Ebs": {"SnapshotId": "snap-1"}}, {"VirtualName": "ephemeral0"}],
        **changes,
    }


def builds(ec2: Stubber, session: AwsSession, *images: dict[str, Any]) -> tuple[Any, ...]:
    ec2.add_response(
        "describe_images",
        {"Images": list(images)},
        {
            "Owners": ["self"],
            "Filters": [{"Name": "name", "Values": ["amifactory/example/*"]}],
            "MaxResults": 1000,
        },
    )
    return MachineImages(session).builds("example")


def test_an_ami_with_our_tags_is_a_build(ec2: Stubber, session: AwsSession) -> None:
    (build,) = builds(ec2, session, image())
    assert build.target == NODE
    assert build.fingerprint == FINGERPRINT
    assert build.parent == "ami-parent"
    assert build.verdict is Verdict.CANDIDATE
    assert build.offline
    assert build.carries_secret == ("kubeconfig", "token")
    assert build.created_at == datetime(2026, 1, 15, 12, tzinfo=UTC)
    assert build.snapshot_ids == ("snap-1",)


def test_an_ami_nobody_tagged_is_known_by_its_name(ec2: Stubber, session: AwsSession) -> None:
    (build,) = builds(ec2, session, image(Tags=[], SourceImageId="ami-parent"))
    assert (build.target, build.verdict, build.parent) == (NODE, Verdict.CANDIDATE, "ami-parent")
    assert build.made_from(FINGERPRINT)
    assert not build.made_from(Fingerprint("cd" * 32))


@pytest.mark.parametrize(
    "changes",
    [
        {"State": "failed"},
        {"State": "disabled"},
        {"Name": "amifactory/example/something-else"},
        {"Tags": [{"Key": "amifactory:factory", "Value": "other"}]},
        {"Tags": [{"Key": "amifactory:verdict", "Value": "excellent"}]},
    ],
)
def test_what_is_no_usable_build_of_ours_is_left_out(
    ec2: Stubber, session: AwsSession, changes: dict[str, Any]
) -> None:
    assert builds(ec2, session, image(**changes)) == ()


def test_a_pending_ami_is_a_build_that_is_not_available(ec2: Stubber, session: AwsSession) -> None:
    (build,) = builds(ec2, session, image(State="pending"))
    assert not build.available


def test_every_page_is_read(ec2: Stubber, session: AwsSession) -> None:
    ec2.add_response("describe_images", {"Images": [image()], "NextToken": "more"})
    ec2.add_response("describe_images", {"Images": [image(ImageId="ami-2")]})
    assert [build.ami_id for build in MachineImages(session).builds("example")] == ["ami-1", "ami-2"]


def test_the_newest_source_ami_is_taken(ec2: Stubber, session: AwsSession) -> None:
    dates = {"ami-1": "2026-01-01", "ami-3": "2026-03-01", "ami-2": "2026-02-01"}
    found = [image(ImageId=name, CreationDate=f"{date}T00:00:00.000Z") for name, date in dates.items()]
    ec2.add_response("describe_images", {"Images": found})
    source = MachineImages(session).newest_source(
        owner="123456789012", name="debian-12-*", architecture=Architecture.X86_64
    )
    assert source is not None
    assert (source.ami_id, source.root_device) == ("ami-3", "/dev/xvda")


def test_a_filter_that_matches_nothing_gives_nothing(ec2: Stubber, session: AwsSession) -> None:
    ec2.add_response("describe_images", {"Images": []})
    find = MachineImages(session).newest_source
    assert find(owner="123456789012", name="x", architecture=Architecture.ARM64) is None


@pytest.mark.parametrize("state", ["failed", "error", "deregistered"])
def test_an_ami_that_will_never_be_available_is_not_waited_for(
    ec2: Stubber, session: AwsSession, clock: Any, state: str
) -> None:
    ec2.add_response("describe_images", {"Images": [image(State="pending")]})
    ec2.add_response("describe_images", {"Images": [image(State=state)]})
    with pytest.raises(AwsError, match=state):
        MachineImages(session).wait_available(
            AmiId("ami-1"), timeout=timedelta(hours=1), clock=clock, pause=clock.pause, check=lambda: None
        )
    assert clock.seconds == 5


def test_waiting_for_an_ami_ends(ec2: Stubber, session: AwsSession, clock: Any) -> None:
    for _ in range(3):
        ec2.add_response("describe_images", {"Images": [image(State="pending")]})
    with pytest.raises(AwsError, match="still pending after 0:00:10"):
        MachineImages(session).wait_available(
            AmiId("ami-1"), timeout=timedelta(seconds=10), clock=clock, pause=clock.pause, check=lambda: None
        )


def test_the_name_of_a_build_fits_ec2() -> None:
    long = Target(image="i" * 40, architecture=Architecture.X86_64)
    name = ami_name(
        factory="f" * 20, target=long, fingerprint=FINGERPRINT, now=datetime(2026, 1, 15, 12, tzinfo=UTC)
    )
    # EC2 API reference, CreateImage: 3 to 128 letters, digits, ()[] ./-'@_ and spaces.
    assert 3 <= len(name) <= 128
    assert name.endswith("/x86_64/abababababab-20260115T120000Z")


def test_imdsv2_is_asked_for_by_the_ami(ec2: Stubber, session: AwsSession) -> None:
    asked = {"ImageId": "ami-1", "ImdsSupport": {"Value": "v2.0"}}
    ec2.add_response("modify_image_attribute", {}, asked)
    ec2.add_client_error("modify_image_attribute", "UnauthorizedOperation", expected_params=asked)
    MachineImages(session).require_imdsv2(AmiId("ami-1"))
    with pytest.raises(AwsError, match="ModifyImageAttribute"):
        MachineImages(session).require_imdsv2(AmiId("ami-1"))


@pytest.mark.parametrize(("images", "name"), [([{"Name": "debian-12"}], "debian-12"), ([], None)])
def test_the_name_of_an_ami_that_may_be_gone(
    ec2: Stubber, session: AwsSession, images: list[dict[str, Any]], name: str | None
) -> None:
    query = {"Filters": [{"Name": "image-id", "Values": ["ami-1"]}], "MaxResults": 1000}
    ec2.add_response("describe_images", {"Images": images}, query)
    assert MachineImages(session).name(AmiId("ami-1")) == name
