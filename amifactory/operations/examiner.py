"""Boots fresh instances of a build; looks how they start, what the spec says, what is there, what leaks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from amifactory.aws.instances import InstanceSettings
from amifactory.domain.cancellation import Cancellation
from amifactory.domain.cold_start import read_cold_start
from amifactory.domain.inventory import read_inventory
from amifactory.domain.masking import Mask
from amifactory.domain.model import Verdict
from amifactory.domain.references import registry_hosts
from amifactory.errors import AwsError
from amifactory.operations.examination import Examination, NotBooted, Start, run_tags
from amifactory.operations.lineage import spec_folders
from amifactory.probes.run import ProbeError, run_probe
from amifactory.spec.run import run_specs
from amifactory.ssh import (
    SshHost,
    SshTimeoutError,
    boot_identity,
    connected,
    read_files,
    wait_for_ssh,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from amifactory.aws.instances import RunningInstance
    from amifactory.config.models import Image
    from amifactory.operations.examination import Subject
    from amifactory.operations.outcome import Progress
    from amifactory.operations.timeline import Timeline
    from amifactory.operations.workshop import Workshop
    from amifactory.spec.result import SpecResult

RUNNING_WITHIN = timedelta(minutes=10)
"""How long EC2 may take from RunInstances to ``running``; botocore's own waiter allows as much."""
PROBED_WITHIN = timedelta(minutes=15)
"""How long the leak scan and the inventory may take, or starting all pre-pulled images."""
REBOOTED = "the instance rebooted while it was verified"
SPARE = timedelta(minutes=10)
"""How much longer than all its steps a verification instance lives when nobody ends it."""


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
        progress: Told of each step.
        cancelled: Ends an examination early when requested.
    """

    workshop: Workshop
    run: str
    progress: Progress
    cancelled: Cancellation

    def examine(self, subject: Subject, *, repeat: int, timeline: Timeline) -> Examination | NotBooted:
        """Returns what a fresh instance shows of a build, and how ``repeat`` instances in all start.

        Raises:
            AwsError: A call was refused or an instance did not start, or a secret could not be read.
            ProbeError: A probe did not come to its end.
            CancelledError: The run was told to stop.
        """
        try:
            start, found = self._examine_one(subject, timeline)
        except SshTimeoutError as error:
            if subject.verdict is Verdict.VERIFIED:
                raise  # it worked before, so the way to it is more likely broken than the build
            return NotBooted(problem=str(error))
        except _RebootedError:
            return NotBooted(problem=REBOOTED)
        starts, boot_problem = [start], None
        try:
            for number in range(2, repeat + 1):
                starts.append(self._start_again(subject, timeline, number=number))  # noqa: PERF401 - kept on error
        except (SshTimeoutError, _RebootedError) as error:
            if subject.verdict is Verdict.VERIFIED and isinstance(error, SshTimeoutError):
                raise
            boot_problem = f"instance {len(starts) + 1}: {error}"
        return Examination(starts=tuple(starts), boot_problem=boot_problem, **found)

    def _examine_one(self, subject: Subject, timeline: Timeline) -> tuple[Start, dict[str, Any]]:
        with self._fresh(subject, timeline, number=1) as fresh, self._one_boot(subject, fresh):
            return self._start(subject, fresh, timeline), self._look(subject, fresh, timeline)

    def _start_again(self, subject: Subject, timeline: Timeline, *, number: int) -> Start:
        with self._fresh(subject, timeline, number=number) as fresh, self._one_boot(subject, fresh):
            return self._start(subject, fresh, timeline)

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
                self.workshop.instances.check_running(instance.instance_id)
                log = subject.directory / ("spec.log" if number == 1 else f"console-{number}.log")
                log.write_text(f"{error}\n\nconsole:\n{self._console(instance)}")
                raise
            with connected(host, environment=self.workshop.environment) as configuration:
                yield _Fresh(instance=instance, host=host, configuration=configuration)

    def _start(self, subject: Subject, fresh: _Fresh, timeline: Timeline) -> Start:
        """Waits until the instance is ready for jobs and measures how long everything took.

        Raises:
            AwsError: It is not ready for a reason that lies outside of the build.
        """
        self._step(subject, timeline, "waiting until ready")
        prepull = subject.facts["prepull"]
        verify = self._image(subject).verify
        measured = self._probe(
            "measure",
            {
                "prepull": prepull,
                "registries": registry_hosts(prepull),
                "ready_timeout": verify.ready_timeout.total_seconds(),
                "secrets": [secret["name"] for secret in subject.secrets],
                "boot_secrets": any(secret["when"] == "boot" for secret in subject.secrets),
                "drains": subject.drains,
            },
            fresh.configuration,
            timeout=verify.ready_timeout + PROBED_WITHIN,
            cancelled=self.cancelled,
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

    def _look(self, subject: Subject, fresh: _Fresh, timeline: Timeline) -> dict[str, Any]:
        """Runs the spec, the leak scan and the inventory at the same time."""
        self._step(subject, timeline, "running the spec")
        image = self._image(subject)
        probe = partial(self._probe, configuration=fresh.configuration, timeout=PROBED_WITHIN)
        looked_for = {"values": self._secret_values(), "allow": list(image.verify.allow_leaks)}
        probing = Cancellation(of=self.cancelled)
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="probes") as pool:
            leaks = pool.submit(probe, "leaks", looked_for, cancelled=probing)
            inventory = pool.submit(probe, "inventory", {}, cancelled=probing)
            try:
                spec = self._spec(subject, fresh)
                if not leaks.done():
                    self._step(subject, timeline, "looking for leaks")
                return {
                    "spec": spec,
                    "leaks": leaks.result(),
                    "inventory": read_inventory(inventory.result()),
                }
            except BaseException:
                probing.request()  # or leaving the pool would wait for what nobody wants any more
                raise

    def _spec(self, subject: Subject, fresh: _Fresh) -> SpecResult:
        image = self._image(subject)
        return run_specs(
            spec_folders(self.workshop.configuration, image),
            fresh.configuration,
            log=subject.directory / "spec.log",
            junit=subject.directory / "junit.xml",
            timeout=image.verify.timeout,
            environment=self.workshop.environment,
            facts=subject.facts,
            mask=Mask(self._secrets_on(subject, fresh)),
            on_line=lambda line: self.progress.output(subject.target, line),
            cancelled=self.cancelled,
        )

    def _secrets_on(self, subject: Subject, fresh: _Fresh) -> Iterator[str]:
        """Yields the secrets on the instance, for them to be taken out of what a failing test prints.

        Raises:
            ProbeError: One cannot be read.
        """
        for secret in subject.secrets:
            found = read_files(
                fresh.configuration, [secret["path"]], environment=self.workshop.environment, as_root=True
            )
            if found is None:
                raise ProbeError(f'secret "{secret["name"]}" cannot be read, to be hidden in logs')
            yield found

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
        self,
        name: str,
        given: Mapping[str, object],
        configuration: Path,
        *,
        timeout: timedelta,
        cancelled: Cancellation,
    ) -> dict[str, Any]:
        return run_probe(
            name,
            given,
            configuration=configuration,
            environment=self.workshop.environment,
            timeout=timeout,
            cancelled=cancelled,
            clock=self.workshop.clock,
        )

    @contextmanager
    def _one_boot(self, subject: Subject, fresh: _Fresh) -> Iterator[None]:
        """Raises at the end, however that comes, when the instance is not in the boot it was in before."""
        boot = self._boot(subject, fresh)
        try:
            yield
        finally:
            self.cancelled.check()
            if self._boot(subject, fresh) != boot:
                raise _RebootedError(REBOOTED)

    def _boot(self, subject: Subject, fresh: _Fresh) -> str:
        """Returns which boot the instance is in, waiting for one that is under way."""
        environment = self.workshop.environment
        found = boot_identity(fresh.configuration, environment=environment)
        if found is None:
            try:
                self._wait_for_ssh(fresh.host, self._image(subject).verify.boot_timeout)
            except SshTimeoutError:
                self.workshop.instances.check_running(fresh.instance.instance_id)
                raise
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
        steps = (
            verify.boot_timeout + verify.ready_timeout + max(verify.timeout, PROBED_WITHIN) + PROBED_WITHIN
        )
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
        try:
            yield SshHost(address=instance.address, user=subject.ssh_username, key_file=key)
        finally:
            key.unlink(missing_ok=True)
