"""What a group starts, by which name, and which of its workers are of a version."""

from __future__ import annotations

import pytest

from amifactory.domain.fleet import (
    Group,
    Parameter,
    Pointer,
    Refresh,
    TemplateId,
    TemplateUse,
    TemplateVersion,
    Worker,
    is_of,
)

TEMPLATE = TemplateId("lt-1")


def worker(
    state: str = "InService", version: int | None = 1, template: TemplateId | None = TEMPLATE
) -> Worker:
    return Worker(instance_id="i-1", template_id=template, version=version, state=state)


@pytest.mark.parametrize(
    ("version", "pointer"),
    [("7", Pointer.NUMBER), ("$Default", Pointer.DEFAULT), ("$Latest", Pointer.LATEST)],
)
def test_how_a_version_is_named(version: str, pointer: Pointer) -> None:
    use = TemplateUse(template_id=TEMPLATE, template_name="node", version=version)
    assert use.pointer is pointer


@pytest.mark.parametrize(
    ("image", "parameter", "label", "fixed"),
    [
        ("resolve:ssm:/ci/node", Parameter(name="/ci/node"), None, False),
        ("resolve:ssm:/ci/node:3", Parameter(name="/ci/node", selector="3"), None, True),
        ("resolve:ssm:/ci/node:live", Parameter(name="/ci/node", selector="live"), "live", False),
    ],
)
def test_an_ami_named_by_a_parameter(
    image: str, parameter: Parameter, label: str | None, fixed: bool
) -> None:
    """EC2 user guide, "Use a Systems Manager parameter instead of an AMI ID"."""
    version = TemplateVersion(template_id=TEMPLATE, number=1, image=image)
    assert version.parameter == parameter
    assert (parameter.label, parameter.fixed) == (label, fixed)
    assert f"resolve:ssm:{parameter}" == image


def test_an_ami_id_is_no_parameter() -> None:
    assert TemplateVersion(template_id=TEMPLATE, number=1, image="ami-1").parameter is None


def test_workers_are_counted_by_version_without_those_that_leave_or_are_set_aside() -> None:
    group = Group(
        name="ci-node",
        uses=(),
        desired=4,
        workers=(
            worker(),
            worker("Pending:Wait"),
            worker(version=2),
            worker(version=1, template=TemplateId("lt-2")),
            worker(version=None, template=None),
            worker("Terminating:Wait"),
            worker("Standby", version=2),
        ),
    )
    assert group.versions_in_use({TEMPLATE: 1}) == (2, 3)
    assert not is_of(worker(version=None, template=None), {TEMPLATE: 1})


def test_a_group_is_empty_when_it_has_no_worker_and_wants_none() -> None:
    assert Group(name="g", uses=(), desired=0).empty
    assert not Group(name="g", uses=(), desired=1).empty
    assert not Group(name="g", uses=(), desired=0, workers=(worker("Terminating"),)).empty


@pytest.mark.parametrize(
    ("status", "active"),
    [
        *(
            (status, True)
            for status in ("Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress")
        ),
        *(
            (status, False)
            for status in ("Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful")
        ),
    ],
)
def test_which_refreshes_are_over(status: str, active: bool) -> None:
    """Auto Scaling API reference, InstanceRefresh, Status."""
    assert Refresh(refresh_id="r", status=status).active is active
