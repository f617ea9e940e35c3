"""What the commands share: options, the configuration, the AWS session, the sandbox, the clock."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from amifactory.aws.session import AwsSession
    from amifactory.cli.fleet_progress import FleetLines
    from amifactory.cli.progress import LiveProgress, PlainProgress
    from amifactory.config.models import Configuration
    from amifactory.operations.workshop import Workshop
    from amifactory.sandbox.state import SandboxState

SANDBOX_POLLING_SECONDS = 1
AWS_POLLING_SECONDS = 15
"""Packer's own default; AWS throttles DescribeImages per account, so a busy one wants no less."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that stand before the command."""

    directory: Path
    sandbox: bool
    profile: str | None


class App:
    """Makes, once and on first use, what a command asks for.

    Args:
        options: Global options.
        environment: This process's environment variables.
    """

    def __init__(self, options: Options, *, environment: Mapping[str, str]) -> None:
        self.options = options
        self.environment = environment

    @cached_property
    def root(self) -> Path:
        """Returns the factory's directory: the nearest one upwards with a ``factory.hcl``."""
        start = self.options.directory.resolve()
        for folder in (start, *start.parents):
            if (folder / "factory.hcl").is_file():
                return folder
        return start

    @cached_property
    def recorded(self) -> Configuration:
        """Returns the configuration as the files have it.

        Raises:
            ConfigError: Something in it is wrong.
        """
        from amifactory.config.load import load  # noqa: PLC0415

        return load(self.root, grammar_cache=self.grammar_cache)

    @cached_property
    def configuration(self) -> Configuration:
        """Returns the configuration in force: in the sandbox, the account's own settings give way."""
        if not self.options.sandbox:
            return self.recorded
        return self.recorded.for_sandbox(
            registry_mirror=self.sandbox.instance_registry, instance_profile=self.sandbox.instance_profile
        )

    @cached_property
    def sandbox(self) -> SandboxState:
        """Returns the running sandbox, started if need be."""
        from amifactory.sandbox.lifecycle import ensure  # noqa: PLC0415

        factory = self.recorded.factory
        return ensure(
            self.root,
            region=factory.region,
            state_bucket=factory.state_bucket,
            prepull=sorted({name for image in self.recorded.images.values() for name in image.prepull}),
            secrets=dict(
                sorted(
                    (secret.id, secret.format)
                    for image in self.recorded.images.values()
                    for secret in image.secrets
                )[::-1]  # asked for as both, a kubeconfig: it is a text as well
            ),
            say=self.say,
        )

    @cached_property
    def session(self) -> AwsSession:
        """Returns the AWS session, of the account or of the sandbox."""
        from amifactory.aws.session import AwsSession  # noqa: PLC0415

        if self.options.sandbox:
            return AwsSession(
                region=self.sandbox.region,
                endpoint_url=self.sandbox.endpoint,
                credentials=(self.sandbox.access_key_id, self.sandbox.secret_access_key),
            )
        return AwsSession(region=self.recorded.factory.region, profile=self.options.profile)

    @cached_property
    def fleet_workshop(self) -> Workshop:
        """Returns the same for operations on fleets: in the sandbox, their groups are made on first use."""
        if self.options.sandbox:
            from amifactory.sandbox.stand_in_groups import StandInGroup, make_groups  # noqa: PLC0415

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
                for fleet in self.recorded.fleets.values()
            ]
            make_groups(self.sandbox, wanted, self.say)
        return self.workshop

    @cached_property
    def workshop(self) -> Workshop:
        """Returns everything an operation needs."""
        from amifactory.operations.workshop import Workshop  # noqa: PLC0415

        sandboxed = self.options.sandbox
        mirror = self.sandbox.registry if sandboxed else self.recorded.factory.build.registry_mirror
        return Workshop(
            configuration=self.configuration,
            session=self.session,
            environment=self.environment,
            mirror=mirror,
            cache=self.cache,
            now=now,
            clock=time.monotonic,
            pause=time.sleep,
            warn=self.say,
            polling_seconds=SANDBOX_POLLING_SECONDS if sandboxed else AWS_POLLING_SECONDS,
            sandboxed=sandboxed,
        )

    @property
    def cache(self) -> Path:
        """Returns this machine's cache directory for amifactory."""
        home = self.environment.get("XDG_CACHE_HOME") or str(
            Path(self.environment.get("HOME", "/root")) / ".cache"
        )
        return Path(home) / "amifactory"

    @cached_property
    def run_id(self) -> str:
        """Returns the id of this run: when it began, and something no other run has."""
        from secrets import token_hex  # noqa: PLC0415

        return f"{now():%Y%m%dT%H%M%SZ}-{token_hex(3)}"

    def progress(self) -> LiveProgress | PlainProgress:
        """Returns what shows a run: redrawn in place on a terminal, lines elsewhere."""
        from amifactory.cli.progress import LiveProgress, PlainProgress  # noqa: PLC0415

        return LiveProgress(time.monotonic) if self.interactive else PlainProgress(self.say, time.monotonic)

    def fleet_progress(self) -> FleetLines:
        """Returns what shows a change of a channel."""
        from amifactory.cli.fleet_progress import FleetLines  # noqa: PLC0415

        return FleetLines(self.say, time.monotonic)

    @property
    def grammar_cache(self) -> Path:
        """Returns where the HCL parser's tables are kept when it is installed read-only."""
        from amifactory.config.cache import GRAMMAR_CACHE  # noqa: PLC0415

        return self.cache / GRAMMAR_CACHE

    def say(self, text: str) -> None:
        """Tells the person something on stderr."""
        click.echo(text, err=True)

    @property
    def interactive(self) -> bool:
        """Returns whether stderr is a terminal that may be redrawn."""
        return sys.stderr.isatty() and self.environment.get("TERM") != "dumb"


def image_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Returns the images that a shell completes a name to, told from their folders."""
    directory: Path = ctx.find_root().params.get("directory") or Path()
    root = App(Options(directory=directory, sandbox=False, profile=None), environment={}).root
    folders = sorted(file.parent.name for file in (root / "images").glob("[!_]*/image.hcl"))
    return [name for name in folders if name.startswith(incomplete)]


def channel_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Returns the channels that a shell completes a name to."""
    return _labels(ctx, "channel", incomplete)


def fleet_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Returns the fleets that a shell completes a name to."""
    return _labels(ctx, "fleet", incomplete)


def _labels(ctx: click.Context, block: str, incomplete: str) -> list[str]:
    """Returns the labels of a kind of block in factory.hcl, by their look: completion has to be quick."""
    directory: Path = ctx.find_root().params.get("directory") or Path()
    app = App(Options(directory=directory, sandbox=False, profile=None), environment={})
    try:
        labels = re.findall(rf'^\s*{block}\s+"([^"]+)"', (app.root / "factory.hcl").read_text(), re.MULTILINE)
    except OSError:
        return []
    return [label for label in labels if label.startswith(incomplete)]


def now() -> datetime:
    """Returns the time, UTC."""
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.now(tz=UTC)


pass_app = click.make_pass_decorator(App)
