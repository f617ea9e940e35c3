"""Looks at a build on a fresh instance: how it starts, what its spec says, what it has and what it leaks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from amifactory.aws.instances import InstanceSettings
from amifactory.domain.cold_start import ColdStart, read_cold_start
from amifactory.domain.inventory import Inventory, read_inventory
from amifactory.domain.model import Verdict
from amifactory.domain.references import registry_hosts
from amifactory.errors import AwsError
from amifactory.operations.plan import drains, root_source, spec_folders
from amifactory.operations.secrets import secrets_of
from amifactory.probes.run import ProbeError, run_probe
from amifactory.spec.run import run_specs
from amifactory.ssh import SshHost, SshTimeoutError, boot_identity, connected, wait_for_ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from amifactory.aws.instances import RunningInstance
    from amifactory.config.models import Image
    from amifactory.domain.cancellation import Cancellation
    from amifactory.domain.model import AmiId, Fingerprint, Recipe, Target
    from amifactory.operations.outcome import Progress
    from amifactory.operations.timeline import Timeline
    from amifactory.operations.workshop import Workshop
    from amifactory.spec.result import SpecResult

RUNNING_WITHIN = timedelta(minutes=10)
"""How long EC2 may take from RunInstances to ``running``; botocore's own waiter allows as much."""
SPARE = timedelta(minutes=10)
"""How much longer than all its steps a verification instance lives when nobody ends it."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is to be proven.

    Attributes:
        recipe: What the build was made from; tells the specs what to expect.
        directory: Where logs and keys of this verification are put; exists.
        verdict: What was said of it before.
    """

    target: Target
    ami_id: AmiId
    parent: AmiId
    recipe: Recipe
    directory: Path
    verdict: Verdict = Verdict.CANDIDATE


@dataclass(frozen=True, kw_only=True)
class Start:
    """How one fresh instance started.

    Attributes:
        cold_start: The times.
        not_ready: Why ``amifactory-ready`` does not succeed.
        prepull_problems: Container reference to what is wrong with it on the instance.
        cut_off: The registries that could not be reached from then on.
        disk_used: Bytes on its file systems; None when that could not be told.
    """

    cold_start: ColdStart
    not_ready: str | None
    prepull_problems: Mapping[str, str]
    cut_off: tuple[str, ...]
    disk_used: int | None


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What fresh instances showed of a build.

    Attributes:
        boot_problem: Why there is nothing more to say: no SSH in time, or a reboot meanwhile.
        starts: Of each instance; the first is the one that was examined.
        leaks: What the leak scan found, as it said it.
    """

    boot_problem: str | None = None
    starts: tuple[Start, ...] = ()
    spec: SpecResult | None = None
    leaks: Mapping[str, Any] | None = None
    inventory: Inventory | None = None


@dataclass(frozen=True, kw_only=True)
class _Fresh:
    """An instance that answers over SSH, and the ssh_config that knows it."""

    instance: RunningInstance
    host: SshHost
    configuration: Path


class _RebootedError(Exception):
    """The instance is not in the boot it was in before."""


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Boots fresh instances of a build and looks at them.

    Attributes:
        run: Id of the run; names and tags what it starts.
        ancestors: Finds the recipe of an ancestor by fingerprint.
        progress: Told of each step.
        cancelled: Ends an examination early when requested.
    """

    workshop: Workshop
    run: str
    ancestors: Callable[[Fingerprint], Recipe | None]
    progress: Progress
    cancelled: Cancellation

    def examine(self, subject: Subject, *, repeat: int, timeline: Timeline) -> Examination:
        """Returns what a fresh instance shows of a build, and how ``repeat`` instances in all start.

        Raises:
            AwsError: A call was refused or an instance did not start, or a secret could not be read.
            ProbeError: A probe did not come to its end.
            CancelledError: The run was told to stop.
        """
        try:
            with self._fresh(subject, timeline, number=1) as fresh:
                boot = self._boot(subject, fresh)
                try:
                    start = self._start(subject, fresh, timeline)
                    found = self._look(subject, fresh, timeline)
                finally:
                    self._check_boot(subject, fresh, boot)
        except SshTimeoutError as error:
            if subject.verdict is Verdict.VERIFIED:
                raise  # it worked before, so the way to it is more likely broken than the build
            return Examination(boot_problem=str(error))
        except _RebootedError:
            return Examination(boot_problem="the instance rebooted while it was verified")
        again = (self._start_again(subject, number, timeline) for number in range(2, repeat + 1))
        return Examination(starts=(start, *again), **found)

    @contextmanager
    def _fresh(self, subject: Subject, timeline: Timeline, *, number: int) -> Iterator[_Fresh]:
        target, image = subject.target, self._image(subject)
        name = f"amifactory-{self.run}-{target.image}-{target.architecture}-{number}"
        self._step(subject, timeline, "booting a fresh instance")
        with (
            self.workshop.instances.fresh(
                subject.ami_id,
                self._settings(subject),
                name=name,
                timeout=RUNNING_WITHIN,
                check=self.cancelled.check,
            ) as instance,
            self._ssh(subject, instance) as host,
        ):
            self._step(subject, timeline, "waiting for SSH")
            try:
                self._wait_for_ssh(host, image.verify.boot_timeout)
            except SshTimeoutError as error:
                (subject.directory / "spec.log").write_text(f"{error}\n\nconsole:\n{self._console(instance)}")
                raise
            with connected(host, environment=self.workshop.environment) as configuration:
                yield _Fresh(instance=instance, host=host, configuration=configuration)

    def _start(self, subject: Subject, fresh: _Fresh, timeline: Timeline) -> Start:
        """Waits until the instance is ready for jobs and measures how long everything took.

        Raises:
            AwsError: It is not ready for a reason that lies outside of the build.
        """
        self._step(subject, timeline, "waiting until ready")
        prepull = spec_facts(subject.target, subject.recipe, self.ancestors)["prepull"]
        configuration, image = self.workshop.configuration, self._image(subject)
        verify = image.verify
        measured = self._probe(
            "measure",
            {
                "prepull": prepull,
                "registries": registry_hosts(prepull),
                "ready_timeout": verify.ready_timeout.total_seconds(),
                "secrets": [secret.name for secret in secrets_of(configuration, image)],
                "drains": drains(configuration, image),
            },
            fresh.configuration,
            timeout=verify.ready_timeout + verify.timeout,
        )
        problem = measured["ready_problem"]
        if problem and problem["of"] == "account":
            raise AwsError(
                f"the instance does not get ready: {problem['why']}",
                hint="This says nothing of the build: mend it, and run the command again.",
            )
        return Start(
            cold_start=read_cold_start(measured, launched_at=fresh.instance.launched_at),
            not_ready=problem["why"] if problem else None,
            prepull_problems=measured["prepull_problems"],
            cut_off=tuple(measured["cut_off"]),
            disk_used=measured["disk_used_bytes"],
        )

    def _start_again(self, subject: Subject, number: int, timeline: Timeline) -> Start:
        with self._fresh(subject, timeline, number=number) as fresh:
            return self._start(subject, fresh, timeline)

    def _look(self, subject: Subject, fresh: _Fresh, timeline: Timeline) -> dict[str, Any]:
        """Runs the spec, the leak scan and the inventory at the same time."""
        self._step(subject, timeline, "running the spec")
        image = self._image(subject)
        probe = partial(self._probe, configuration=fresh.configuration, timeout=image.verify.timeout)
        looked_for = {"values": self._secret_values(), "allow": list(image.verify.allow_leaks)}
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="probes") as pool:
            leaks = pool.submit(probe, "leaks", looked_for)
            inventory = pool.submit(probe, "inventory", {})
            spec = run_specs(
                spec_folders(self.workshop.configuration, image),
                fresh.configuration,
                log=subject.directory / "spec.log",
                junit=subject.directory / "junit.xml",
                timeout=image.verify.timeout,
                environment=self.workshop.environment,
                facts=spec_facts(subject.target, subject.recipe, self.ancestors),
                on_line=lambda line: self.progress.output(subject.target, line),
                cancelled=self.cancelled,
            )
            if not leaks.done():
                self._step(subject, timeline, "looking for leaks")
            return {"spec": spec, "leaks": leaks.result(), "inventory": read_inventory(inventory.result())}

    def _secret_values(self) -> list[dict[str, str]]:
        """Returns what the build used to log in to registries; the instance knows its own secrets."""
        found = []
        for registry in self.workshop.configuration.factory.build.registries:
            username, password = self.workshop.secrets.credentials(registry.credentials)
            found += [
                {"name": f"registry {registry.host}", "value": password},
                {"name": f"registry {registry.host}", "value": f"{username}:{password}"},
            ]
        return found

    def _probe(
        self, name: str, given: Mapping[str, object], configuration: Path, *, timeout: timedelta
    ) -> dict[str, Any]:
        return run_probe(
            name,
            given,
            configuration=configuration,
            environment=self.workshop.environment,
            timeout=timeout,
            cancelled=self.cancelled,
            clock=self.workshop.clock,
        )

    def _check_boot(self, subject: Subject, fresh: _Fresh, boot: str) -> None:
        self.cancelled.check()
        if self._boot(subject, fresh) != boot:
            raise _RebootedError

    def _boot(self, subject: Subject, fresh: _Fresh) -> str:
        """Returns which boot the instance is in, waiting for one that is under way."""
        environment = self.workshop.environment
        found = boot_identity(fresh.configuration, environment=environment)
        if found is None:
            self._wait_for_ssh(fresh.host, self._image(subject).verify.boot_timeout)
            found = boot_identity(fresh.configuration, environment=environment)
        if found is None:
            raise ProbeError("the instance stopped answering over SSH while it was verified")
        return found

    def _wait_for_ssh(self, host: SshHost, timeout: timedelta) -> None:
        wait_for_ssh(
            host,
            timeout=timeout,
            clock=self.workshop.clock,
            pause=self.workshop.pause,
            cancelled=self.cancelled,
        )

    def _step(self, subject: Subject, timeline: Timeline, name: str) -> None:
        timeline.begin(name)
        self.progress.step(subject.target, name)

    def _console(self, instance: RunningInstance) -> str:
        try:
            return self.workshop.instances.console_output(instance.instance_id)
        except AwsError as error:
            return error.message

    def _image(self, subject: Subject) -> Image:
        return self.workshop.configuration.images[subject.target.image]

    def _settings(self, subject: Subject) -> InstanceSettings:
        build, verify = self.workshop.configuration.factory.build, self._image(subject).verify
        steps = verify.boot_timeout + verify.ready_timeout + verify.timeout
        return InstanceSettings(
            instance_type=self._image(subject).verify_instance_type_for(subject.target.architecture),
            subnet_id=build.subnet_id,
            security_group_ids=tuple(build.security_group_ids),
            instance_profile=build.instance_profile,
            public_ip=build.associate_public_ip or build.ssh_interface == "public_ip",
            by_public_ip=build.ssh_interface == "public_ip",
            lifetime=RUNNING_WITHIN + steps + SPARE,
            tags=run_tags(self.workshop.factory, subject.target, self.run, purpose="verify"),
        )

    @contextmanager
    def _ssh(self, subject: Subject, instance: RunningInstance) -> Iterator[SshHost]:
        """Keeps the one-time key in a file only its owner can read, for as long as the block runs."""
        key = subject.directory / f"ssh-key-{instance.instance_id}"
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        key.write_text(instance.private_key)
        user = root_source(self.workshop.configuration, self._image(subject)).ssh_username
        try:
            yield SshHost(address=instance.address, user=user, key_file=key)
        finally:
            key.unlink(missing_ok=True)


def spec_facts(
    target: Target, recipe: Recipe, ancestors: Callable[[Fingerprint], Recipe | None]
) -> dict[str, Any]:
    """Returns what specs may know of a build: tools and pre-pulled images, ancestors' included."""
    tools: dict[str, object] = {}
    prepull: dict[str, str] = {}
    current: Recipe | None = recipe
    while current:
        own = current.variables.get("tools")
        tools = {**(own if isinstance(own, dict) else {}), **tools}
        prepull = {**current.prepull, **prepull}
        current = ancestors(current.parent)  # type: ignore[arg-type]  # a source AMI id has no recipe
    return {
        "image": target.image,
        "architecture": target.architecture.value,
        "offline": recipe.variables["offline"],
        "tools": tools,
        "prepull": prepull,
    }


def run_tags(factory: str, target: Target, run: str, *, purpose: str) -> dict[str, str]:
    """Returns the tags of everything a run starts, so that leftovers can be told and removed."""
    return {
        "Name": f"amifactory {purpose} {target}",
        "amifactory:factory": factory,
        "amifactory:image": target.image,
        "amifactory:run": run,
        "amifactory:purpose": purpose,
    }
