"""Instances as Docker containers that run systemd, each with its own address and its own ``/var/lib/docker``.

How a container is made fit for systemd and for Docker inside it is in `_host_config`. It was tried on
Docker 20.10 with control groups version 1, on a machine without ``CAP_SYS_RESOURCE``; version 2 is provided
for (see ``sandbox-init/boot`` in the source AMI) and has not been tried.
"""

from __future__ import annotations

import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import Mount

from amifactory.sandbox.container_events import follow_events
from amifactory.sandbox.machine import docker_errors
from amifactory.sandbox.names import LABEL
from amifactory.sandbox.network import address_on
from amifactory.sandbox.volumes import copy_volume, volume_exists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Network
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

    from amifactory.sandbox.driver import Launch
    from amifactory.sandbox.names import Names

INIT = "/usr/lib/sandbox-init/boot"
SSH_SECONDS = 5
"""How long launch and start wait for sshd: Packer waits as long again after one refused connection."""
SHUTDOWN_SECONDS = 30
"""How long an instance may take to shut down before its power is cut."""

_DOCKER_DISK = "/var/lib/docker"
_CAPABILITIES = [
    "SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_NICE", "SYSLOG", "DAC_READ_SEARCH", "LINUX_IMMUTABLE",
    "SYS_BOOT",
]  # fmt: skip
"""What systemd and Docker inside need beyond Docker's defaults; ``--privileged`` would fail on a machine that
lacks a capability itself."""
_EXIT_CODE_OF_REBOOT = "129"
"""What the kernel makes of ``reboot`` in a container: its first process dies of SIGHUP."""
_READ_ONLY = [
    "/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs", "/proc/sys/dev", "/proc/sysrq-trigger", "/proc/irq",
]  # fmt: skip
"""Kernel settings that are this machine's, not the instance's own; ``/proc/sys/net`` is the instance's."""


class ContainerDriver:
    """Runs instances as containers of one sandbox; see `InstanceDriver` for what each method promises."""

    def __init__(
        self,
        client: DockerClient,
        names: Names,
        *,
        subnet: IPv4Network,
        source_ami_id: str,
        resolver_file: Path | None,
    ) -> None:
        self.subnet = subnet
        self._client = client
        self._names = names
        self._source_ami_id = source_ami_id
        self._resolver_file = resolver_file
        self._expected_stops: set[str] = set()
        self._stops_lock = threading.Lock()
        self._closed = threading.Event()

    def launch(self, launch: Launch) -> None:
        """Boots a new instance; returns once its sshd answers."""
        name = self._names.instance(launch.instance_id)
        labels = {
            LABEL: self._names.sandbox_id,
            f"{LABEL}.instance": launch.instance_id,
            f"{LABEL}.name": launch.name,
        }
        with docker_errors(f"instance {launch.instance_id} cannot be launched from {launch.image_id}"):
            self._client.volumes.create(name, labels=labels)
            snapshot = self._names.snapshot(launch.image_id)
            if volume_exists(self._client, snapshot):
                copy_volume(self._client, self._names, source=snapshot, target=name)
            api = self._client.api
            created = api.create_container(
                self._image_of(launch.image_id),
                [INIT],
                name=name,
                hostname=launch.hostname,
                tty=True,
                stop_signal="SIGRTMIN+3",
                environment={"container": "docker"},
                labels=labels,
                host_config=self._host_config(name),
                networking_config=address_on(self._client, self._names, launch.private_ip),
            )
            api.start(created["Id"])
        _wait_for_ssh(launch.private_ip)

    def _image_of(self, image_id: str) -> str:
        return self._names.source_image if image_id == self._source_ami_id else self._names.ami(image_id)

    def _host_config(self, volume: str) -> dict[str, Any]:
        mounts = [Mount(_DOCKER_DISK, volume, type="volume", no_copy=True)]
        if self._resolver_file:
            mounts.append(Mount("/etc/resolv.conf", str(self._resolver_file), type="bind", read_only=False))
        config: dict[str, Any] = self._client.api.create_host_config(
            mounts=mounts,
            network_mode=self._names.network,
            cap_add=_CAPABILITIES,
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            cgroupns="private",
            tmpfs=dict.fromkeys(["/run", "/run/lock", "/sys/fs/cgroup"], "exec,mode=755"),
        )
        config["MaskedPaths"] = ["/proc/kcore", "/proc/keys", "/proc/timer_list"]
        config["ReadonlyPaths"] = _READ_ONLY
        return config

    def stop(self, instance_id: str) -> None:
        """Shuts the instance down as ``systemctl poweroff`` would; cuts its power after half a minute."""
        self._expect_stop(instance_id, expected=True)
        with docker_errors(f"instance {instance_id} cannot be stopped"):
            container = self._find(instance_id)
            if container:
                container.stop(timeout=SHUTDOWN_SECONDS)

    def start(self, instance_id: str) -> None:
        """Boots a stopped instance again."""
        self._expect_stop(instance_id, expected=False)
        with docker_errors(f"instance {instance_id} cannot be started"):
            container = self._client.containers.get(self._names.instance(instance_id))
            container.start()
        _wait_for_ssh(
            container.attrs["NetworkSettings"]["Networks"][self._names.network]["IPAMConfig"]["IPv4Address"]
        )

    def reboot(self, instance_id: str) -> None:
        """Shuts the instance down and boots it."""
        self.stop(instance_id)
        self.start(instance_id)

    def terminate(self, instance_id: str) -> None:
        """Removes the instance with its disks, and its AMI's disk when nothing else needs that any more."""
        name = self._names.instance(instance_id)
        self._expect_stop(instance_id, expected=True)
        with docker_errors(f"instance {instance_id} cannot be terminated"):
            container = self._find(instance_id)
            if container:
                container.remove(force=True, v=True)
                self._remove_image_if_unnamed(container.attrs["Image"])
            if volume_exists(self._client, name):
                self._client.volumes.get(name).remove(force=True)

    def snapshot(self, instance_id: str, image_id: str) -> None:
        """Commits the container and copies its Docker disk."""
        repository, tag = self._names.ami(image_id).rsplit(":", 1)
        with docker_errors(f"no image can be made of instance {instance_id}"):
            container = self._client.containers.get(self._names.instance(instance_id))
            self._copy_disk(container.name or "", image_id)
            container.commit(repository, tag, pause=False, changes=f"LABEL {LABEL}={self._names.sandbox_id}")

    def copy_snapshot(self, source_image_id: str, image_id: str) -> None:
        """Names the root disk again and copies the Docker disk."""
        repository, tag = self._names.ami(image_id).rsplit(":", 1)
        with docker_errors(f"{source_image_id} cannot be copied to {image_id}"):
            source = self._names.snapshot(source_image_id)
            if volume_exists(self._client, source):
                self._copy_disk(source, image_id)
            self._client.images.get(self._image_of(source_image_id)).tag(repository, tag)

    def _copy_disk(self, source: str, image_id: str) -> None:
        target = self._names.snapshot(image_id)
        self._client.volumes.create(target, labels={LABEL: self._names.sandbox_id})
        copy_volume(self._client, self._names, source=source, target=target)

    def delete_snapshot(self, image_id: str) -> None:
        """Forgets the disks; layers that an instance or another AMI still stands on stay until those go."""
        with docker_errors(f"the disks of {image_id} cannot be removed"):
            volume = self._names.snapshot(image_id)
            if volume_exists(self._client, volume):
                self._client.volumes.get(volume).remove(force=True)
            try:
                self._client.images.remove(self._names.ami(image_id), force=True)
            except ImageNotFound:
                return

    def _remove_image_if_unnamed(self, docker_image_id: str) -> None:
        try:
            image = self._client.images.get(docker_image_id)
            if not image.tags:
                image.remove()
        except ImageNotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # noqa: PLR2004  # conflict: another instance or AMI stands on it
                raise

    def console_output(self, instance_id: str) -> str:
        """Returns what systemd and first-boot configuration wrote to the console."""
        with docker_errors(f"instance {instance_id} has no console"):
            output: bytes = self._client.containers.get(self._names.instance(instance_id)).logs(tail=1000)
        return output.decode(errors="replace")

    def watch(self, powered_off: Callable[[str], None]) -> None:
        """Calls back with each instance that powers itself off or crashes; boots one that reboots itself."""
        filters = {"event": "die", "label": f"{LABEL}={self._names.sandbox_id}"}
        follow = partial(
            follow_events,
            lambda since: self._client.events(decode=True, filters=filters, since=since),  # type: ignore[call-overload]  # Docker takes nanoseconds too
            lambda event: self._died(event, powered_off),
            since=time.time_ns(),
            stop=self._closed,
        )
        threading.Thread(target=follow, name="watch-instances", daemon=True).start()

    def close(self) -> None:
        """Lets instances die without doing anything about it."""
        self._closed.set()

    def _died(self, event: Mapping[str, Any], powered_off: Callable[[str], None]) -> None:
        attributes = event["Actor"]["Attributes"]
        instance_id = attributes.get(f"{LABEL}.instance")
        with self._stops_lock:
            expected = instance_id is None or instance_id in self._expected_stops
        if expected:
            return
        container = self._find(instance_id)
        if container and container.status == "running":
            return  # booted again since
        if attributes.get("exitCode") == _EXIT_CODE_OF_REBOOT:
            self.start(instance_id)
        else:
            powered_off(instance_id)

    def _expect_stop(self, instance_id: str, *, expected: bool) -> None:
        with self._stops_lock:
            (self._expected_stops.add if expected else self._expected_stops.discard)(instance_id)

    def _find(self, instance_id: str) -> Container | None:
        try:
            return self._client.containers.get(self._names.instance(instance_id))
        except NotFound:
            return None


def _wait_for_ssh(address: str) -> None:
    """Returns once sshd answers, or after `SSH_SECONDS`: what never answers must still become ``running``."""
    deadline = time.monotonic() + SSH_SECONDS
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((address, 22), timeout=SSH_SECONDS):
                return
        except OSError:
            time.sleep(0.02)
