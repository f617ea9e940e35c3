"""The sandbox's AWS, served over HTTP in this process, with machines that are only remembered."""

from __future__ import annotations

import json
import urllib.request
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from amifactory.sandbox.remembered_machines import REGION, RememberedMachines, local_settings
from amifactory.sandbox.remembered_machines import SOURCE_AMI as SOURCE
from amifactory.sandbox.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.sandbox.driver import ServerSettings
    from amifactory.sandbox.ec2_world import World


@pytest.fixture(scope="session")
def settings() -> ServerSettings:
    return local_settings()


@pytest.fixture(scope="session")
def machines() -> RememberedMachines:
    driver = RememberedMachines()
    driver.gate.set()
    return driver


@pytest.fixture(scope="module")
def world(machines: RememberedMachines, settings: ServerSettings) -> Iterator[World]:
    with serve(machines, settings) as world:
        yield world


@pytest.fixture
def driver(machines: RememberedMachines, world: World) -> Iterator[RememberedMachines]:
    machines.asked.clear()
    yield machines
    machines.broken.clear()
    machines.gate.set()
    world.work.wait(5)


@pytest.fixture(scope="session")
def endpoint(settings: ServerSettings) -> str:
    return f"http://127.0.0.1:{settings.port}"


@pytest.fixture(scope="session")
def session(settings: ServerSettings) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name=REGION,
    )


@pytest.fixture(scope="session")
def kept_clients() -> dict[tuple[str, str], Any]:
    return {}


@pytest.fixture
def client(
    session: boto3.Session, endpoint: str, world: World, kept_clients: dict[tuple[str, str], Any]
) -> Callable[..., Any]:
    """Makes a client that asks once; clients are kept, making one takes long."""
    del world
    made = kept_clients

    def make(service: str, region: str = REGION) -> Any:
        if (service, region) not in made:
            config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
            make_any: Any = session.client
            made[service, region] = make_any(
                service, region_name=region, endpoint_url=endpoint, config=config
            )
        return made[service, region]

    return make


@pytest.fixture
def ec2(client: Callable[..., Any], driver: RememberedMachines) -> Any:
    del driver
    return client("ec2")


@pytest.fixture
def run(ec2: Any, driver: RememberedMachines, world: World) -> Callable[..., str]:
    """Runs an instance of the source AMI and returns its id; it is pending only while the gate is closed."""

    def run(**options: Any) -> str:
        wanted = {"ImageId": SOURCE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **options}
        instance = str(ec2.run_instances(**wanted)["Instances"][0]["InstanceId"])
        if driver.gate.is_set():
            world.work.wait(5)
        return instance

    return run


@pytest.fixture
def described(ec2: Any) -> Callable[[str], dict[str, Any]]:
    """Returns an instance as DescribeInstances has it."""

    def described(instance_id: str) -> dict[str, Any]:
        return dict(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0])

    return described


@pytest.fixture
def state(described: Callable[[str], dict[str, Any]]) -> Callable[[str], str]:
    """Returns the name of an instance's state."""
    return lambda instance_id: str(described(instance_id)["State"]["Name"])


@pytest.fixture
def code() -> Callable[..., str]:
    """Returns the error code a call is refused with."""

    def code(call: Callable[..., Any], **arguments: Any) -> str:
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        return str(refused.value.response["Error"]["Code"])

    return code


@pytest.fixture
def admin(endpoint: str, world: Any) -> Iterator[Callable[..., Any]]:
    """Calls the admin endpoint; failures left over are removed afterwards."""
    del world

    def admin(method: str, what: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{endpoint}/amifactory/{what}", method=method, data=data)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    yield admin
    admin("DELETE", "failures")


@pytest.fixture
def scaling(client: Callable[..., Any], driver: RememberedMachines) -> Any:
    """A client of Auto Scaling."""
    del driver
    return client("autoscaling")


@pytest.fixture
def clock(admin: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Moves the sandbox's clock on by so many seconds, after which every group takes one step."""

    def clock(advance: float = 0.0) -> dict[str, Any]:
        return dict(admin("POST", "clock", {"advance": advance}))

    return clock


@pytest.fixture
def settle(
    scaling: Any, clock: Callable[..., Any], driver: RememberedMachines, world: World
) -> Callable[..., None]:
    """Lets time pass and then groups take steps, and machines do their work, until no activity changes."""

    def seen() -> list[tuple[str, str]]:
        activities = scaling.describe_scaling_activities(MaxRecords=100)["Activities"]
        return [(found["ActivityId"], found["StatusCode"]) for found in activities]

    def settle(advance: float = 0.0) -> None:
        clock(advance)
        before = None
        for _ in range(100):
            if driver.gate.is_set():
                world.work.wait(5)
            clock()
            now = seen()
            if now == before:
                return
            before = now
        pytest.fail("the groups do not settle")

    return settle


@pytest.fixture
def template(ec2: Any) -> Callable[..., str]:
    """Makes a launch template of the source AMI, or of what is given, and returns its id."""

    def template(**data: Any) -> str:
        name = f"workers-{uuid.uuid4()}"
        wanted = {"ImageId": SOURCE, "InstanceType": "t3.micro", **data}
        made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=wanted)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    return template


@pytest.fixture
def new_version(ec2: Any) -> Callable[..., int]:
    """Adds a version to a launch template and returns its number."""

    def new_version(template_id: str, **data: Any) -> int:
        made = ec2.create_launch_template_version(
            LaunchTemplateId=template_id, SourceVersion="1", LaunchTemplateData=data
        )
        return int(made["LaunchTemplateVersion"]["VersionNumber"])

    return new_version


@pytest.fixture
def make_group(
    scaling: Any, template: Callable[..., str], settle: Callable[..., None], driver: RememberedMachines
) -> Iterator[Callable[..., str]]:
    """Makes a group of 0 to 10 instances, waits until it has them, returns its name; it goes afterwards."""
    made: list[str] = []

    def make_group(*, settled: bool = True, **options: Any) -> str:
        name = f"workers-{uuid.uuid4()}"
        wanted = {"MinSize": 0, "MaxSize": 10, "AvailabilityZones": [f"{REGION}a"], **options}
        if "LaunchTemplate" not in wanted and "MixedInstancesPolicy" not in wanted:
            wanted["LaunchTemplate"] = {"LaunchTemplateId": template(), "Version": "1"}
        scaling.create_auto_scaling_group(AutoScalingGroupName=name, **wanted)
        made.append(name)
        if settled:
            settle()
        return name

    yield make_group
    driver.broken.clear()
    driver.gate.set()
    there = (
        scaling.describe_auto_scaling_groups(AutoScalingGroupNames=made)["AutoScalingGroups"] if made else []
    )
    for group in there:
        scaling.delete_auto_scaling_group(
            AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True
        )
    settle()


@pytest.fixture
def group(scaling: Any) -> Callable[[str], dict[str, Any]]:
    """Returns a group as DescribeAutoScalingGroups has it; empty when there is none."""

    def group(name: str) -> dict[str, Any]:
        found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return dict(found[0]) if found else {}

    return group


@pytest.fixture
def members(group: Callable[[str], dict[str, Any]]) -> Callable[..., list[dict[str, Any]]]:
    """Returns a group's instances as DescribeAutoScalingGroups has them, those in a state or all."""

    def members(name: str, state: str | None = None) -> list[dict[str, Any]]:
        return [found for found in group(name)["Instances"] if state in {None, found["LifecycleState"]}]

    return members


@pytest.fixture
def refusal() -> Callable[..., tuple[str, str]]:
    """Returns code and text of the error a call is refused with."""

    def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        error = refused.value.response["Error"]
        return str(error["Code"]), str(error["Message"])

    return refusal


@pytest.fixture
def desire(scaling: Any, settle: Callable[..., None]) -> Callable[[str, int], None]:
    """Sets a group's desired capacity and waits until the group has it."""

    def desire(name: str, capacity: int) -> None:
        scaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=capacity)
        settle()

    return desire


@pytest.fixture
def activities(scaling: Any) -> Callable[[str], list[dict[str, Any]]]:
    """Returns a group's activities, newest first."""
    return lambda name: list(scaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"])


@pytest.fixture
def instance_of(members: Callable[..., list[dict[str, Any]]]) -> Callable[[str], str]:
    """Returns the id of a group's only instance in service."""

    def instance_of(name: str) -> str:
        (member,) = members(name, "InService")
        return str(member["InstanceId"])

    return instance_of


FLEET = (
    "activities",
    "clock",
    "code",
    "described",
    "desire",
    "group",
    "instance_of",
    "make_group",
    "members",
    "new_version",
    "refusal",
    "scaling",
    "settle",
    "state",
    "template",
)


@pytest.fixture
def fleet(request: pytest.FixtureRequest) -> SimpleNamespace:
    """The fixtures about groups in one, by their names, for tests that need many of them."""
    return SimpleNamespace(**{name: request.getfixturevalue(name) for name in FLEET})
