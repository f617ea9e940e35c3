"""What every operation needs from outside, put together once by the command line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from amifactory.aws.alarms import Alarms
from amifactory.aws.image_parameters import ImageParameters
from amifactory.aws.instance_refreshes import InstanceRefreshes
from amifactory.aws.instance_types import InstanceTypes
from amifactory.aws.instances import Instances
from amifactory.aws.launch_templates import LaunchTemplates
from amifactory.aws.machine_images import MachineImages
from amifactory.aws.scaling_groups import ScalingGroups
from amifactory.aws.secrets import Secrets
from amifactory.aws.state_bucket import StateBucket
from amifactory.aws.state_documents import StateDocuments
from amifactory.operations.channel_lock import Channels
from amifactory.operations.releases import Releases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from amifactory.aws.session import AwsSession
    from amifactory.config.models import Configuration
    from amifactory.domain.model import AmiId, Target


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A factory with its account, this machine and a clock.

    Attributes:
        environment: This process's environment; each child process gets what it needs of it.
        polling_seconds: How often AWS is asked whether something is done.
        mirror: Where Docker Hub references are resolved, as seen from this machine.
        cache: This machine's cache directory, shared by all factories.
        clock: Seconds that only ever grow.
        pause: Sleeps that many seconds.
        warn: Tells the person what they have to know although the work went on.
        sandboxed: AWS is the sandbox, where every build is one of distribution packages only.
    """

    configuration: Configuration
    session: AwsSession
    environment: Mapping[str, str]
    mirror: str | None
    cache: Path
    now: Callable[[], datetime]
    clock: Callable[[], float]
    pause: Callable[[float], object]
    warn: Callable[[str], None]
    polling_seconds: int = 15
    sandboxed: bool = False

    @property
    def factory(self) -> str:
        """Returns the factory's name."""
        return self.configuration.factory.name

    @property
    def work(self) -> Path:
        """Returns the directory for logs, reports and build contexts."""
        return self.configuration.root / ".amifactory"

    def run_directory(self, run: str, target: Target) -> Path:
        """Returns the directory for a run's logs and build context of one target."""
        return self.work / "runs" / run / f"{target.image}-{target.architecture}"

    def report_directory(self, ami_id: AmiId) -> Path:
        """Returns the directory for what is known of a build; the state bucket has the same."""
        return self.work / "reports" / ami_id

    @cached_property
    def machine_images(self) -> MachineImages:
        """Returns the account's AMIs."""
        return MachineImages(self.session)

    @cached_property
    def instances(self) -> Instances:
        """Returns the account's instances."""
        return Instances(
            self.session,
            clock=self.clock,
            pause=self.pause,
            warn=self.warn,
            interval=min(5, self.polling_seconds),
        )

    @cached_property
    def secrets(self) -> Secrets:
        """Returns the account's secrets."""
        return Secrets(self.session)

    @cached_property
    def bucket(self) -> StateBucket:
        """Returns the factory's state bucket."""
        return StateBucket(self.session, self.configuration.factory.state_bucket)

    @cached_property
    def scaling_groups(self) -> ScalingGroups:
        """Returns the account's Auto Scaling groups."""
        return ScalingGroups(self.session)

    @cached_property
    def launch_templates(self) -> LaunchTemplates:
        """Returns the account's launch templates."""
        return LaunchTemplates(self.session)

    @cached_property
    def instance_refreshes(self) -> InstanceRefreshes:
        """Returns the instance refreshes of the account's groups."""
        return InstanceRefreshes(self.session)

    @cached_property
    def instance_types(self) -> InstanceTypes:
        """Returns the Region's instance types."""
        return InstanceTypes(self.session)

    @cached_property
    def image_parameters(self) -> ImageParameters:
        """Returns the SSM parameters that name AMIs."""
        return ImageParameters(
            self.session, clock=self.clock, pause=self.pause, interval=min(2, self.polling_seconds)
        )

    @cached_property
    def alarms(self) -> Alarms:
        """Returns the account's CloudWatch alarms."""
        return Alarms(self.session)

    @cached_property
    def _documents(self) -> StateDocuments:
        return StateDocuments(self.session, self.configuration.factory.state_bucket, pause=self.pause)

    @cached_property
    def releases(self) -> Releases:
        """Returns the factory's releases."""
        return Releases(self._documents)

    @cached_property
    def channels(self) -> Channels:
        """Returns the factory's channels."""
        return Channels(self._documents, now=self.now)
