"""An account with many worker groups and no worker: the sandbox's AWS, served by this process."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from factories import SOURCE
from measure import BenchmarkError

from amifactory.aws.machine_images import identity_tags, verdict_tags
from amifactory.domain.model import AmiId, Architecture, Fingerprint, Target, Verdict
from amifactory.sandbox.remembered_machines import RememberedMachines, local_settings, local_state
from amifactory.sandbox.server import serve
from amifactory.sandbox.stand_in_groups import StandInGroup, make_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from measure import Bench, Taken

    from amifactory.sandbox.driver import ServerSettings

KINDS = ("pinned", "$Default", "attributes", "parameter")
"""How groups name what they start; ``attributes`` are pinned, of types that AWS chooses."""
LOOKS, LOOK_SECONDS = 100, 0.05
"""How often, and how long apart, an AMI is looked for."""

FACTORY = """\
factory "example" {{
  region       = "{region}"
  state_bucket = "{bucket}"
}}
"""
FLEET = """
fleet "{name}" {{
  image   = "node"
  group   = "ci-{name}"
  channel = "{channel}"
}}
"""


@dataclass(frozen=True, kw_only=True)
class Fleets:
    """The fleets of a channel, all of one kind."""

    channel: str
    number: int
    kind: str = "pinned"

    @property
    def names(self) -> tuple[str, ...]:
        """Returns the fleets' names."""
        return tuple(f"{self.channel}-{number:03}" for number in range(self.number))


NEWEST = Fleets(channel="newest", number=1)
"""The channel that goes first where there are several: only that one takes the newest builds."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command took, and the calls AWS got of it."""

    taken: Taken
    calls: tuple[Mapping[str, Any], ...]

    @property
    def throttled(self) -> int:
        """Returns how many calls were."""
        return sum(call["fault"] == "throttle" for call in self.calls)

    def of_service(self, *services: str) -> int:
        """Returns how many calls went to these services."""
        return sum(call["service"] in services for call in self.calls)


@dataclass(kw_only=True)
class FleetAccount:
    """A factory and its account, which has no other images than those of `build`.

    Attributes:
        root: The factory.
        builds: How many there are.
    """

    bench: Bench
    root: Path
    settings: ServerSettings
    builds: int = 0

    @property
    def endpoint(self) -> str:
        """Returns where the account's AWS is."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Returns the variables that send a command's AWS calls here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.settings.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.settings.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def configure(self, *channels: Fleets) -> None:
        """Writes a factory with these fleets, and makes their groups and launch templates.

        The first channel is the one that takes the newest builds.
        """
        folder = self.root / "images/node"
        folder.mkdir(parents=True)
        (folder / "image.hcl").write_text(SOURCE.format(pattern="debian-12-amd64-*"))
        text = FACTORY.format(region=self.settings.region, bucket=self.settings.state_bucket)
        for fleets in channels:
            text += f'\nchannel "{fleets.channel}" {{}}\n'
            text += "".join(FLEET.format(name=name, channel=fleets.channel) for name in fleets.names)
        (self.root / "factory.hcl").write_text(text)
        groups = [_group(name, fleets.kind) for fleets in channels for name in fleets.names]
        make_groups(local_state(self.settings), groups, lambda _: None)

    def build(self) -> AmiId:
        """Makes a verified build: an AMI with the name and the tags of a real one.

        Raises:
            BenchmarkError: The AMI does not become available.
        """
        import boto3  # noqa: PLC0415 - once moto is set up

        self.builds += 1
        fingerprint = Fingerprint(f"{self.builds:064x}")
        target = Target(image="node", architecture=Architecture.X86_64)
        ec2 = boto3.client(
            "ec2",
            endpoint_url=self.endpoint,
            region_name=self.settings.region,
            aws_access_key_id=self.settings.access_key_id,
            aws_secret_access_key=self.settings.secret_access_key,
        )
        ami_id = AmiId(
            ec2.copy_image(
                SourceImageId=self.settings.source_ami_id,
                SourceRegion=self.settings.region,
                Name=f"amifactory/example/{target.image}/{target.architecture}/{fingerprint[-12:]}-x",
            )["ImageId"]
        )
        tags = identity_tags(
            factory="example",
            target=target,
            fingerprint=fingerprint,
            parent=AmiId(self.settings.source_ami_id),
            offline=False,
            carries_secret=(),
            run="20260101T000000Z-000000",
        )
        tags |= verdict_tags(Verdict.VERIFIED, "0" * 16)
        ec2.create_tags(
            Resources=[ami_id], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )
        for _ in range(LOOKS):
            if ec2.describe_images(ImageIds=[ami_id])["Images"][0]["State"] == "available":
                return ami_id
            time.sleep(LOOK_SECONDS)
        raise BenchmarkError(f"{ami_id} does not become available")

    def run(self, *arguments: str) -> Asked:
        """Runs amifactory as a user of this account does; the calls before are forgotten."""
        self.ask("DELETE", "calls")
        taken = self.bench.amifactory(self.root, *arguments, environment=self.environment)
        return Asked(taken=taken, calls=tuple(self.ask("GET", "calls")))

    def promote(self, fleets: Fleets, ami_id: AmiId, *, release: int | None = None) -> Asked:
        """Promotes a build to all fleets of a channel.

        Args:
            release: Number of the release that has it, else it is the newest.

        Raises:
            BenchmarkError: The release is not current then, or not of all fleets.
        """
        source = () if release is None else ("--release", str(release))
        asked = self.run("promote", "--channel", fleets.channel, *source, "--yes", "--json")
        promoted = json.loads(asked.taken.output)
        amis = {place["after"]["ami_id"] for fleet in promoted["fleets"] for place in fleet["placements"]}
        if (promoted["state"], len(promoted["fleets"]), amis) != ("current", fleets.number, {ami_id}):
            raise BenchmarkError(f"not what was to be promoted: {asked.taken.output[:2000]}")
        return asked

    def ask(self, method: str, what: str, document: object = None) -> Any:
        """Asks what the sandbox offers beside AWS: its calls, and failures."""
        request = Request(  # noqa: S310 - the sandbox's own address
            f"{self.endpoint}/amifactory/{what}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
        )
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)


@contextmanager
def fleet_account(bench: Bench) -> Iterator[FleetAccount]:
    """Serves an empty account while entered; one at a time in a process."""
    _forget()
    machines, settings = RememberedMachines(), local_settings()
    machines.gate.set()
    with serve(machines, settings):
        yield FleetAccount(bench=bench, root=bench.folder(), settings=settings)


def promote_all(account: FleetAccount, channels: Sequence[Fleets]) -> tuple[Asked, ...]:
    """Promotes a new build to `NEWEST`, and its release to each of these channels."""
    ami_id = account.build()
    first = account.promote(NEWEST, ami_id)
    release = json.loads(first.taken.output)["number"]
    return tuple(account.promote(fleets, ami_id, release=release) for fleets in channels)


def _group(name: str, kind: str) -> StandInGroup:
    return StandInGroup(
        name=f"ci-{name}",
        version="pinned" if kind == "attributes" else kind,
        workers=0,
        largest=4,
        attributes=kind == "attributes",
        protected=False,
        termination_hook=None,
    )


def _forget() -> None:
    """Empties what moto keeps in this process beside EC2, which `serve` makes anew."""
    from moto.s3.models import s3_backends  # noqa: PLC0415 - takes long
    from moto.ssm.models import ssm_backends  # noqa: PLC0415

    for backends in (s3_backends, ssm_backends):
        for _, _, backend in list(backends.iter_backends()):
            backend.reset()
