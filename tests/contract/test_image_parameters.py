"""Parameters that hold AMIs. Systems Manager API reference, PutParameter, and user guide."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.ssm_parameters import work_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from amifactory.sandbox.ec2_world import World

SOURCE = "ami-0debdebdebdebdeb0"


def wait_for(gate: threading.Event) -> None:
    gate.wait(5)


@pytest.fixture
def ssm(client: Callable[..., Any], driver: Any) -> Any:
    del driver
    return client("ssm")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"/amifactory/{request.node.name}"


@pytest.fixture
def put(ssm: Any, name: str) -> Callable[..., Any]:
    """Puts a value of the data type for AMIs."""

    def put(value: str, **more: Any) -> Any:
        return ssm.put_parameter(Name=name, Value=value, Type="String", DataType="aws:ec2:image", **more)

    return put


@pytest.fixture
def settle(put: Callable[..., Any], world: World) -> Callable[..., int]:
    """Puts a value, waits until it has been looked at, and returns the version's number."""

    def settle(value: str, **more: Any) -> int:
        version = put(value, **more)["Version"]
        world.work.wait(5)
        return int(version)

    return settle


def test_the_answer_comes_before_the_value(
    ssm: Any, name: str, put: Any, world: World, code: Callable[..., str]
) -> None:
    """DataType: "the PutParameter call returns before the validation is complete"."""
    gate = threading.Event()
    world.work.submit(work_key(name), partial(wait_for, gate))
    answer = put(SOURCE)
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Version"]) == (200, 1)
    assert code(ssm.get_parameter, Name=name) == "ParameterNotFound"
    gate.set()
    world.work.wait(5)
    found = ssm.get_parameter(Name=name)["Parameter"]
    assert (found["Value"], found["Version"], found["DataType"]) == (SOURCE, 1, "aws:ec2:image")


@pytest.mark.parametrize("value", ["ami-0123456789abcdef0", "debian-12"])
def test_a_bad_ami_never_becomes_the_value(
    ssm: Any, name: str, settle: Any, code: Callable[..., str], value: str
) -> None:
    """DataType: "If you submit an invalid AMI value, the PutParameter operation will return success, but the
    asynchronous validation will fail and the parameter will not be created or updated."
    """
    settle(value)
    assert code(ssm.get_parameter, Name=name) == "ParameterNotFound"
    settle(SOURCE)
    assert settle(value, Overwrite=True) == 2
    found = ssm.get_parameter(Name=name)["Parameter"]
    assert (found["Value"], found["Version"]) == (SOURCE, 1)
    assert len(ssm.get_parameter_history(Name=name)["Parameters"]) == 1


def test_tags_come_with_a_new_parameter_only(
    ssm: Any, name: str, put: Any, world: World, code: Callable[..., str]
) -> None:
    """PutParameter, Tags: "To add tags to an existing Systems Manager parameter, use the AddTagsToResource
    operation"; with Overwrite they are refused (ValidationException).
    """
    tags = [{"Key": "channel", "Value": "production"}]
    put(SOURCE, Tags=tags)
    world.work.wait(5)
    asked = {"ResourceType": "Parameter", "ResourceId": name}
    assert ssm.list_tags_for_resource(**asked)["TagList"] == tags
    assert code(put, value=SOURCE, Overwrite=True, Tags=tags) == "ValidationException"


def test_an_existing_parameter_is_refused_at_once(put: Any, world: World, code: Callable[..., str]) -> None:
    """PutParameter: ParameterAlreadyExists without Overwrite."""
    put(SOURCE)
    world.work.wait(5)
    assert code(put, value=SOURCE) == "ParameterAlreadyExists"


def test_an_ami_is_no_secret(ssm: Any, name: str, code: Callable[..., str]) -> None:
    """DataType: "When you create a String parameter and specify aws:ec2:image"."""
    wrong = {"Name": name, "Value": SOURCE, "Type": "SecureString", "DataType": "aws:ec2:image"}
    assert code(ssm.put_parameter, **wrong) == "ValidationException"


def test_a_label_on_the_oldest_of_100_versions_refuses_the_next(
    ssm: Any, name: str, put: Any, world: World, code: Callable[..., str]
) -> None:
    """PutParameter: "if the oldest version has a label attached to it, Parameter Store [...] doesn't create a
    new version": ParameterMaxVersionLimitExceeded. 100 are kept: user guide, "Working with
    parameter versions".
    """
    for _ in range(100):
        put(SOURCE, Overwrite=True)
    world.work.wait(5)
    ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["production"])
    assert code(put, value=SOURCE, Overwrite=True) == "ParameterMaxVersionLimitExceeded"
    ssm.label_parameter_version(Name=name, ParameterVersion=100, Labels=["production"])
    assert put(SOURCE, Overwrite=True)["Version"] == 101
    world.work.wait(5)
    assert ssm.get_parameter(Name=f"{name}:production")["Parameter"]["Version"] == 100
    assert code(ssm.get_parameter, Name=f"{name}:1") == "ParameterVersionNotFound"


def test_a_name_may_begin_with_a_slash_and_have_no_other(ssm: Any, world: World) -> None:
    """PutParameter, Name: "For parameters in a hierarchy, you must include a leading forward slash"."""
    for _ in range(2):
        ssm.put_parameter(
            Name="/plain", Value=SOURCE, Type="String", DataType="aws:ec2:image", Overwrite=True
        )
        world.work.wait(5)
    found = ssm.get_parameter(Name="/plain")["Parameter"]
    assert (found["Value"], found["Version"]) == (SOURCE, 2)


def test_values_by_version_or_label_say_which(
    ssm: Any, name: str, settle: Callable[..., int], world: World
) -> None:
    """GetParameters, Parameter, Selector: "the version number or the label used to retrieve the value"."""
    del world
    settle(SOURCE)
    settle(SOURCE, Overwrite=True)
    ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["live"])
    asked = [name, f"{name}:2", f"{name}:live", f"{name}:absent"]
    answer = ssm.get_parameters(Names=asked)
    found = {(one["Name"], one.get("Selector"), one["Version"]) for one in answer["Parameters"]}
    assert found == {(name, None, 2), (name, ":2", 2), (name, ":live", 1)}
    assert answer["InvalidParameters"] == [f"{name}:absent"]
