"""Copies of Docker volumes, with the device nodes and extended attributes that overlay file systems need."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import NotFound
from docker.types import Mount

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.names import LABEL

if TYPE_CHECKING:
    from docker import DockerClient

    from amifactory.sandbox.names import Names


def volume_exists(client: DockerClient, name: str) -> bool:
    """Returns whether Docker has a volume of that name."""
    try:
        client.volumes.get(name)
    except NotFound:
        return False
    return True


def copy_volume(client: DockerClient, names: Names, *, source: str, target: str) -> None:
    """Copies everything in one volume into another, which is empty.

    Raises:
        DriverError: The copy failed, most likely because the disk is full.
    """
    paths = [Path(client.volumes.get(name).attrs["Mountpoint"]) for name in (source, target)]
    if os.geteuid() == 0 and all(path.is_dir() for path in paths):
        _copy_directly(*paths)
        return
    client.containers.run(
        names.source_image, ["cp", "-a", "/source/.", "/target/"], remove=True, network_mode="none",
        cap_add=["SYS_ADMIN", "DAC_READ_SEARCH"], labels={LABEL: names.sandbox_id},
        mounts=[
            Mount("/source", source, type="volume", no_copy=True),
            Mount("/target", target, type="volume", no_copy=True),
        ],
    )  # fmt: skip


def _copy_directly(source: Path, target: Path) -> None:
    command = ["cp", "-a", "--reflink=auto", f"{source}/.", f"{target}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise DriverError(
            f"an instance's disk cannot be copied: {last}", hint="look at the free space: df -h"
        )
