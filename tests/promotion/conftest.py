"""An account with worker groups in this process: the sandbox's AWS over HTTP, machines only remembered."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from amifactory.aws.machine_images import identity_tags, verdict_tags
from amifactory.aws.session import AwsSession
from amifactory.config.load import load
from amifactory.domain.cancellation import Cancellation
from amifactory.domain.model import AmiId, Architecture, Fingerprint, Target, Verdict
from amifactory.errors import AmifactoryError
from amifactory.operations.change_channel import Author, ChannelChange
from amifactory.operations.fleet_status import read_status
from amifactory.operations.promote import PromotionRequest, plan_promotion
from amifactory.operations.resume import plan_resume
from amifactory.operations.rollback import plan_rollback
from amifactory.operations.workshop import Workshop
from amifactory.sandbox.ec2_world import ACCOUNT
from amifactory.sandbox.remembered_machines import RememberedMachines, local_settings, local_state
from amifactory.sandbox.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from amifactory.config.models import Configuration
    from amifactory.domain.release import Release
    from amifactory.operations.fleet_status import Status
    from amifactory.sandbox.driver import ServerSettings
    from amifactory.sandbox.ec2_world import World

IMAGE = """\
source_ami "debian-12" {
  owner        = "136693071363"
  name         = { x86_64 = "debian-12-amd64-*", arm64 = "debian-12-arm64-*" }
  ssh_username = "admin"
}
architectures = ["x86_64", "arm64"]
instance_type = { x86_64 = "t3.large", arm64 = "t4g.large" }
"""
HARDWARE = {Architecture.X86_64: "t3.micro", Architecture.ARM64: "t4g.micro"}


class Silent:
    """Progress that nobody watches."""

    def step(self, fleet: str, what: str) -> None:
        """Is told nothing."""

    def finished(self, fleet: str, what: str) -> None:
        """Is told nothing."""


@dataclass(kw_only=True)
class Clock:
    """Time that passes only while somebody waits; the sandbox's clock is taken along.

    Attributes:
        take_along: Moves the sandbox's clock by so many seconds, and its groups by a step.
    """

    take_along: Callable[[float], None]
    seconds: float = 0.0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def monotonic(self) -> float:
        """Returns seconds."""
        return self.seconds

    def utc(self) -> datetime:
        """Returns the date."""
        return self.began + timedelta(seconds=self.seconds)

    def pause(self, seconds: float) -> None:
        """Passes time."""
        self.seconds += seconds
        self.take_along(seconds)


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account a test acts on, and what a person would type there.

    Attributes:
        endpoint: The sandbox's AWS.
        root: The factory.
        connect: Makes a session.
    """

    endpoint: str
    settings: ServerSettings
    world: World
    root: Path
    clock: Clock
    warnings: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    connect: Callable[..., AwsSession] = AwsSession

    def session(self) -> AwsSession:
        """Returns a session with clients of its own."""
        return self.connect(
            region=self.settings.region,
            endpoint_url=self.endpoint,
            credentials=(self.settings.access_key_id, self.settings.secret_access_key),
        )

    @cached_property
    def kept(self) -> AwsSession:
        """Returns one session that stays, as making clients takes long."""
        return self.session()

    @property
    def configuration(self) -> Configuration:
        """Returns the factory as its files are now."""
        return load(self.root)

    def workshop(self, session: AwsSession | None = None, **changes: Any) -> Workshop:
        """Returns what operations need, of a run of its own."""
        workshop = Workshop(
            configuration=self.configuration,
            session=session or self.session(),
            environment={"PATH": "/usr/bin:/bin"},
            mirror=None,
            cache=self.root / "cache",
            now=self.clock.utc,
            clock=self.clock.monotonic,
            pause=self.clock.pause,
            warn=self.warnings.append,
            polling_seconds=1,
            sandboxed=True,
        )
        return replace(workshop, **changes)

    def configure(self, text: str) -> None:
        """Writes the channels and fleets of factory.hcl."""
        head = (
            f'factory "example" {{\n  region = "{self.settings.region}"\n'
            f'  state_bucket = "{self.settings.state_bucket}"\n}}\n'
        )
        (self.root / "factory.hcl").write_text(head + text)

    def image(self, name: str) -> None:
        """Writes an image, which is never built here."""
        folder = self.root / "images" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "image.hcl").write_text(IMAGE)

    def build(
        self,
        image: str,
        *,
        architecture: Architecture = Architecture.X86_64,
        verdict: Verdict = Verdict.VERIFIED,
        offline: bool = False,
    ) -> AmiId:
        """Makes a build of an image: an AMI with the name and tags that a real one has."""
        ec2, number = self.kept.ec2, next(self.numbers)
        target = Target(image=image, architecture=architecture)
        fingerprint = Fingerprint(f"{number:064x}")
        ami_id = AmiId(
            ec2.copy_image(
                SourceImageId=self.settings.source_ami_id,
                SourceRegion=self.settings.region,
                Name=f"amifactory/example/{image}/{architecture}/{fingerprint[:12]}-{number}",
            )["ImageId"]
        )
        self.world.work.wait(5)
        made = self._moto_image(ami_id)
        made.architecture = architecture.value  # as if copied from such a one
        made.creation_date += timedelta(seconds=number)  # no two in the same second
        tags = identity_tags(
            factory="example",
            target=target,
            fingerprint=fingerprint,
            parent=AmiId(self.settings.source_ami_id),
            offline=offline,
            carries_secret=(),
            run="run",
        )
        tags |= verdict_tags(verdict, "0" * 16)
        ec2.create_tags(
            Resources=[ami_id], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )
        return ami_id

    def changing_calls(self) -> list[str]:
        """Returns the calls since ``DELETE calls`` that changed something, or tried to."""
        return [call["operation"] for call in self.ask("GET", "calls") if call["changes"]]

    def _moto_image(self, ami_id: AmiId) -> Any:
        from moto.ec2.models import ec2_backends  # noqa: PLC0415 - takes long

        return ec2_backends[ACCOUNT][self.settings.region].amis[ami_id]

    def change(self, workshop: Workshop, owner: str = "somebody") -> ChannelChange:
        """Returns what carries changes out, as one run of the command does."""
        return ChannelChange(
            workshop=workshop,
            author=Author(owner=owner, by="arn:aws:iam::123456789012:user/somebody", commit=None),
            progress=Silent(),
            cancelled=Cancellation(),
        )

    def promote(self, channel: str, **request: Any) -> Release:
        """Promotes, as ``amifactory promote --yes`` does."""
        workshop = self.workshop(self.kept)
        planned = plan_promotion(workshop, PromotionRequest(channel=channel, **request))
        assert planned.all_refusals == ()
        return self.change(workshop).promote(planned)

    def roll_back(self, channel: str, to: int | None = None) -> Release | None:
        """Rolls back, as ``amifactory rollback --yes`` does."""
        workshop = self.workshop(self.kept)
        return self.change(workshop).roll_back(plan_rollback(workshop, channel, to=to))

    def resume(self, channel: str) -> Release | None:
        """Goes on with what was cut off."""
        workshop = self.workshop(self.kept)
        return self.change(workshop).resume(plan_resume(workshop, channel))

    def status(self) -> Status:
        """Returns what ``amifactory status`` shows."""
        return read_status(self.workshop(self.kept))

    def settle(self) -> None:
        """Waits until groups have the workers they want."""
        scaling = self.kept.autoscaling
        for _ in range(200):
            self.clock.take_along(0.0)
            groups = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
            if all(
                len(group["Instances"]) == group["DesiredCapacity"]
                and all(instance["LifecycleState"] == "InService" for instance in group["Instances"])
                for group in groups
            ):
                return
            time.sleep(0.01)
        raise AssertionError(groups)

    def ask(self, method: str, what: str, document: object = None) -> Any:
        """Asks what the sandbox offers beside AWS: faults, calls, its clock."""
        request = urllib.request.Request(  # noqa: S310 - the sandbox's own address
            f"{self.endpoint}/amifactory/{what}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


def forget() -> None:
    """Empties what moto keeps in this process beside EC2, which `serve` makes anew."""
    from moto.cloudwatch.models import cloudwatch_backends  # noqa: PLC0415 - takes long
    from moto.s3.models import s3_backends  # noqa: PLC0415
    from moto.ssm.models import ssm_backends  # noqa: PLC0415

    for backends in (cloudwatch_backends, s3_backends, ssm_backends):
        for _, _, backend in list(backends.iter_backends()):
            backend.reset()


@pytest.fixture
def make_account(tmp_path: Path) -> Callable[..., Account]:
    """Returns what makes an account of a world and its clock: test files cannot import each other."""
    forget()

    def make(*, settings: ServerSettings, take_along: Callable[[float], None], **given: Any) -> Account:
        return Account(
            endpoint=f"http://127.0.0.1:{settings.port}",
            settings=settings,
            root=tmp_path,
            clock=Clock(take_along=take_along),
            **given,
        )

    return make


@pytest.fixture
def account(make_account: Callable[..., Account]) -> Iterator[Account]:
    """Returns an account with nothing in it but the source AMI."""
    machines = RememberedMachines()
    machines.gate.set()
    settings = local_settings()
    endpoint = f"http://127.0.0.1:{settings.port}"

    def take_along(seconds: float) -> None:
        body = json.dumps({"advance": seconds}).encode()
        request = urllib.request.Request(f"{endpoint}/amifactory/clock", method="POST", data=body)  # noqa: S310
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310

    with serve(machines, settings) as world:
        yield make_account(settings=settings, take_along=take_along, world=world)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that ran in this process, without a terminal."""

    code: int
    stdout: str
    error: str
    stderr: str

    @property
    def json(self) -> Any:
        """Returns the document on stdout."""
        return json.loads(self.stdout)


@pytest.fixture
def command(account: Account) -> Callable[..., Ran]:
    """Runs the command line as a person does who has a real account."""
    from amifactory.cli.main import cli  # noqa: PLC0415 - takes long

    settings = account.settings
    environment = {
        "AWS_ENDPOINT_URL": account.endpoint,
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key,
        "AWS_PROFILE": None,
        "AMIFACTORY_SANDBOX": None,
        "XDG_CACHE_HOME": str(account.root / "cache"),
    }

    def run(*words: str) -> Ran:
        arguments = ["-C", str(account.root), *words]
        done = CliRunner().invoke(cli, arguments, env=environment, standalone_mode=False)
        error = done.exception
        if error is not None and not isinstance(error, AmifactoryError):
            raise error
        code = error.exit_code if isinstance(error, AmifactoryError) else done.return_value or 0
        said = f"{error}\n{error.hint or ''}" if isinstance(error, AmifactoryError) else ""
        return Ran(code=int(code), stdout=done.stdout, error=said, stderr=done.stderr)

    return run


@pytest.fixture
def groups(account: Account) -> Callable[..., None]:
    """Makes the groups of the configured fleets, as their `sandbox` blocks say."""
    from amifactory.sandbox.stand_in_groups import StandInGroup, make_groups  # noqa: PLC0415

    def make() -> None:
        wanted = [
            StandInGroup(
                name=fleet.group,
                version=fleet.sandbox.version,
                workers=fleet.sandbox.workers,
                largest=fleet.sandbox.max,
                attributes=fleet.sandbox.attributes,
                protected=fleet.sandbox.protected,
                termination_hook=fleet.sandbox.termination_hook,
            )
            for fleet in account.configuration.fleets.values()
        ]
        make_groups(local_state(account.settings), wanted, lambda _: None)
        account.settle()

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many cases of changes that were cut off were run, and how many survived."""
    counts = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", ())
        if name == "cut off"
    ]
    if counts:
        cases, survived = (sum(some) for some in zip(*counts, strict=True))
        terminalreporter.section("changes cut off")
        terminalreporter.line(f"{cases} cases run, {survived} survived")
