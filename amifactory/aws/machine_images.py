"""AMIs: the builds that exist, the source AMIs they start from, and the tags that tell them apart."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from amifactory.aws.session import aws_errors
from amifactory.domain.model import AmiId, Architecture, Build, Fingerprint, SourceAmi, Target, Verdict
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from amifactory.aws.session import AwsSession

PREFIX = "amifactory:"
FILTER_VALUES = 200
"""The most values of a filter (EC2 user guide, "Filter resources")."""
PAGE_SIZE = 1000
"""The most DescribeImages returns in one answer (EC2 API reference, DescribeImages, MaxResults)."""


class MachineImages:
    """The AMIs of one account and region."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def builds(self, factory: str) -> tuple[Build, ...]:
        """Returns every build of a factory, one call per thousand.

        Builds are found by name, not by tag: Packer tags an AMI only after AWS has finished it, so
        that a run killed in between leaves a build whose name alone tells what it is.

        Raises:
            AwsError: The call was refused.
        """
        images = self._describe(
            Owners=["self"], Filters=[{"Name": "name", "Values": [f"{name_prefix(factory)}*"]}]
        )
        builds = (_to_build(image, factory, self._session.region) for image in images)
        return tuple(build for build in builds if build is not None)

    def newest_source(self, *, owner: str, name: str, architecture: Architecture) -> SourceAmi | None:
        """Returns the newest available AMI of an owner whose name matches; None when none does.

        Raises:
            AwsError: The call was refused.
        """
        images = self._describe(
            Owners=[owner],
            Filters=[
                {"Name": "name", "Values": [name]},
                {"Name": "architecture", "Values": [architecture.value]},
                {"Name": "root-device-type", "Values": ["ebs"]},
                {"Name": "virtualization-type", "Values": ["hvm"]},
                {"Name": "state", "Values": ["available"]},
            ],
        )
        if not images:
            return None
        image = max(images, key=lambda image: (image["CreationDate"], image["ImageId"]))
        return SourceAmi(
            ami_id=AmiId(image["ImageId"]), name=image["Name"], root_device=image["RootDeviceName"]
        )

    def name(self, ami_id: AmiId) -> str | None:
        """Returns the name of an AMI, whoever owns it; None when it cannot be seen (any more).

        Raises:
            AwsError: The call was refused.
        """
        found = self._describe(Filters=[{"Name": "image-id", "Values": [ami_id]}])
        return found[0].get("Name") if found else None

    def architectures(self, ami_ids: Iterable[AmiId]) -> dict[AmiId, Architecture]:
        """Returns the architecture of AMIs, anybody's; without those that are gone or of another kind.

        Raises:
            AwsError: The call was refused.
        """
        wanted = sorted(set(ami_ids))
        found: dict[AmiId, Architecture] = {}
        for start in range(0, len(wanted), FILTER_VALUES):
            for image in self._describe(
                Filters=[{"Name": "image-id", "Values": wanted[start : start + FILTER_VALUES]}]
            ):
                if image.get("Architecture") in set(Architecture):
                    found[AmiId(image["ImageId"])] = Architecture(image["Architecture"])
        return found

    def tag(self, ami_id: AmiId, tags: Mapping[str, str]) -> None:
        """Sets tags, such as those of `identity_tags` and `verdict_tags`.

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("ec2"):
            self._session.ec2.create_tags(
                Resources=[ami_id],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )

    def require_imdsv2(self, ami_id: AmiId) -> None:
        """Makes IMDSv2 the default of an AMI's instances, with two hops, so that containers reach it too.

        It cannot be undone, and does no harm twice (EC2 API reference, ModifyImageAttribute, ImdsSupport).

        Raises:
            AwsError: The call was refused.
        """
        with aws_errors("ec2"):
            self._session.ec2.modify_image_attribute(ImageId=ami_id, ImdsSupport={"Value": "v2.0"})

    def wait_available(
        self,
        ami_id: AmiId,
        *,
        timeout: timedelta,
        clock: Callable[[], float],
        pause: Callable[[float], object],
        check: Callable[[], None],
        interval: float = 5.0,
    ) -> None:
        """Waits until AWS has finished an AMI, or ``check`` raises.

        Raises:
            AwsError: AWS gave it up, it is gone, or it took longer than ``timeout``.
        """
        deadline = clock() + timeout.total_seconds()
        while True:
            check()
            images = self._describe(ImageIds=[ami_id])
            state = images[0]["State"] if images else "gone"
            if state == "available":
                return
            if state != "pending":
                raise AwsError(f"{ami_id} is {state}, not available")
            if clock() >= deadline:
                raise AwsError(f"{ami_id} is still pending after {timeout}")
            pause(interval)

    def _describe(self, **query: Any) -> list[Any]:
        with aws_errors("ec2"):
            paginator = self._session.ec2.get_paginator("describe_images")
            if "ImageIds" not in query:  # AWS refuses a page size together with ids
                query["PaginationConfig"] = {"PageSize": PAGE_SIZE}
            return [image for page in paginator.paginate(**query) for image in page["Images"]]


def name_prefix(factory: str) -> str:
    """Returns what every build's AMI name starts with."""
    return f"amifactory/{factory}/"


def ami_name(*, factory: str, target: Target, fingerprint: Fingerprint, now: datetime) -> str:
    """Returns the name of a new build: identity first, then what makes it unique."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    return f"{name_prefix(factory)}{target.image}/{target.architecture}/{fingerprint[:12]}-{stamp}"


def identity_tags(
    *,
    factory: str,
    target: Target,
    fingerprint: Fingerprint,
    parent: AmiId,
    offline: bool,
    carries_secret: Sequence[str],
    run: str,
) -> dict[str, str]:
    """Returns the tags, prefix included, that a new build carries from the start."""
    tags = {
        "factory": factory,
        "image": target.image,
        "architecture": target.architecture.value,
        "fingerprint": fingerprint,
        "parent": parent,
        "verdict": Verdict.CANDIDATE.value,
        "run": run,
    }
    if offline:
        tags["offline"] = "true"
    if carries_secret:
        tags["carries-secret"] = ",".join(carries_secret)
    return {PREFIX + key: value for key, value in tags.items()}


def verdict_tags(verdict: Verdict, spec: str) -> dict[str, str]:
    """Returns the tags that say what specs and limits, told by their digest, said of a build."""
    return {f"{PREFIX}verdict": verdict.value, f"{PREFIX}spec": spec}


def _to_build(image: Any, factory: str, region: str) -> Build | None:
    """Returns the build an AMI is; None for one that failed or that this factory did not make."""
    if image["State"] not in {"available", "pending"}:
        return None
    tags = {tag["Key"].removeprefix(PREFIX): tag["Value"] for tag in image.get("Tags", [])}
    if tags.get("factory", factory) != factory:
        return None
    try:
        _, _, name, architecture, rest = image["Name"].split("/")
        target = Target(
            image=tags.get("image", name), architecture=Architecture(tags.get("architecture", architecture))
        )
        verdict = Verdict(tags.get("verdict", Verdict.CANDIDATE))
    except ValueError:
        return None
    return Build(
        target=target,
        ami_id=AmiId(image["ImageId"]),
        name=image["Name"],
        region=region,
        fingerprint=Fingerprint(tags.get("fingerprint", rest.partition("-")[0])),
        parent=AmiId(tags.get("parent", image.get("SourceImageId", ""))),
        verdict=verdict,
        created_at=datetime.fromisoformat(image["CreationDate"]),
        available=image["State"] == "available",
        offline=tags.get("offline") == "true",
        spec=tags.get("spec"),
        run=tags.get("run"),
        carries_secret=tuple(filter(None, tags.get("carries-secret", "").split(","))),
        snapshot_ids=tuple(_snapshots(image.get("BlockDeviceMappings", []))),
    )


def _snapshots(mappings: Iterable[Any]) -> Iterable[str]:
    for mapping in mappings:
        if snapshot := mapping.get("Ebs", {}).get("SnapshotId"):
            yield snapshot
