"""Parameters that name AMIs: read ten at a time, and set for certain."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.aws.image_parameters import ImageParameters
from amifactory.domain.model import AmiId
from amifactory.errors import AwsError

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from amifactory.aws.session import AwsSession

OLD, NEW = AmiId("ami-old"), AmiId("ami-new")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def parameters(session: AwsSession, clock: Any) -> ImageParameters:
    return ImageParameters(session, clock=clock, pause=clock.pause)


def values(ssm: Stubber, names: list[str], *found: dict[str, str]) -> None:
    ssm.add_response("get_parameters", {"Parameters": list(found)}, {"Names": names})


def test_they_are_read_ten_at_a_time_without_those_that_do_not_exist(
    ssm: Stubber, parameters: ImageParameters
) -> None:
    """API reference, GetParameters, Names: at most 10; missing ones are InvalidParameters."""
    names = [f"/p/{number:02}" for number in range(11)]
    values(ssm, names[:10], {"Name": names[3], "Value": NEW})
    values(ssm, names[10:])
    assert parameters.values(names) == {names[3]: NEW}


@pytest.mark.parametrize("selector", [":live", "live"])
def test_one_that_was_asked_for_by_label_is_found_by_it(
    ssm: Stubber, parameters: ImageParameters, selector: str
) -> None:
    """AWS answers ``:label``; its API reference, Parameter, does not say whether with the colon."""
    found = {"Name": "/p", "Selector": selector, "Value": NEW}
    values(ssm, ["/p", "/p:live"], {"Name": "/p", "Value": OLD}, found)
    assert parameters.values({"/p", "/p:live"}) == {"/p": OLD, "/p:live": NEW}


def put(ssm: Stubber) -> None:
    ssm.add_response(
        "put_parameter",
        {"Version": 3},
        {"Name": "/p", "Value": NEW, "Type": "String", "DataType": "aws:ec2:image", "Overwrite": True},
    )


def test_one_is_set_once_aws_has_checked_the_ami_and_only_then_is_the_label_moved(
    ssm: Stubber, parameters: ImageParameters, clock: Any
) -> None:
    """API reference, PutParameter, DataType: validated "asynchronously", after the answer."""
    put(ssm)
    values(ssm, ["/p"])
    values(ssm, ["/p"], {"Name": "/p", "Value": OLD})
    values(ssm, ["/p"], {"Name": "/p", "Value": NEW})
    ssm.add_response("label_parameter_version", {}, {"Name": "/p", "ParameterVersion": 3, "Labels": ["live"]})
    parameters.set("/p", NEW, label="live", timeout=MINUTE)
    assert clock.seconds == 4


def test_a_value_that_aws_drops_is_an_error(ssm: Stubber, parameters: ImageParameters) -> None:
    put(ssm)
    for _ in range(31):
        values(ssm, ["/p"], {"Name": "/p", "Value": OLD})
    with pytest.raises(AwsError, match="/p did not take the value ami-new") as caught:
        parameters.set("/p", NEW, timeout=MINUTE)
    assert caught.value.hint == "Look at it: aws ssm get-parameter-history --name /p"


def test_one_that_is_gone_already_is_deleted(ssm: Stubber, parameters: ImageParameters) -> None:
    """DeleteParameters, unlike DeleteParameter, answers missing names as InvalidParameters."""
    ssm.add_response("delete_parameters", {"InvalidParameters": ["/p"]}, {"Names": ["/p"]})
    parameters.delete("/p")
