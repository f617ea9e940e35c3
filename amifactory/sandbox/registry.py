"""The sandbox's container registry: Debian's docker-registry, standing where Docker Hub would.

It runs in a container on the sandbox's network. The program is this machine's own: the container sees
this machine's ``/usr``, read-only, so that program and libraries fit whatever distribution this is.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from docker.types import Mount

from amifactory.errors import MissingToolError
from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.names import LABEL
from amifactory.sandbox.network import address_on
from amifactory.sandbox.stand_ins import RegistryClient

if TYPE_CHECKING:
    from docker import DockerClient

    from amifactory.sandbox.names import Names
    from amifactory.sandbox.network import Network

PORT = 5000
_FILE = "/run/registry.yml"
_CONFIGURATION = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: /var/lib/registry}}
  delete: {{enabled: true}}
http: {{addr: ":{PORT}"}}
"""


def require_registry_program() -> None:
    """Raises `MissingToolError` when Debian's docker-registry is not installed."""
    if shutil.which("docker-registry") is None:
        raise MissingToolError(
            "docker-registry, the sandbox's container registry, is not installed",
            hint="sudo apt-get install docker-registry && sudo systemctl disable --now docker-registry",
        )


def start_registry(client: DockerClient, names: Names, network: Network) -> str:
    """Starts the registry and returns its address on this machine, ``127.0.0.1:<port>``.

    Docker takes registries on loopback without TLS, so this machine may push there.
    """
    labels = {LABEL: names.sandbox_id}
    client.volumes.create(names.registry, labels=labels)
    api = client.api
    api.import_image_from_data(
        _disk(), repository=names.registry, tag="latest", changes=[f"LABEL {LABEL}={names.sandbox_id}"]
    )
    host_config: dict[str, Any] = api.create_host_config(
        network_mode=names.network,
        port_bindings={PORT: ("127.0.0.1", None)},
        mounts=[
            Mount("/usr", "/usr", type="bind", read_only=True),
            Mount("/var/lib/registry", names.registry, type="volume"),
        ],
    )
    script = f'printf %s "$CONFIGURATION" >{_FILE} && exec /usr/bin/docker-registry serve {_FILE}'
    container = api.create_container(
        f"{names.registry}:latest",
        ["/bin/sh", "-c", script],
        name=names.registry,
        hostname="registry",
        environment={"CONFIGURATION": _CONFIGURATION},
        labels=labels,
        ports=[PORT],
        host_config=host_config,
        networking_config=address_on(client, names, str(network.registry)),
    )
    api.start(container["Id"])
    port = api.inspect_container(container["Id"])["NetworkSettings"]["Ports"][f"{PORT}/tcp"][0]["HostPort"]
    address = f"127.0.0.1:{port}"
    _wait_until_ready(client, names, address)
    return address


def _disk() -> bytes:
    """Returns a file system, as a tar, that has everything below ``/usr``, and that empty for a mount."""
    disk = io.BytesIO()
    with tarfile.open(fileobj=disk, mode="w") as tar:
        for folder in ("usr", "run", "var", "var/lib", "var/lib/registry"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for link in ("bin", "lib", "lib64", "sbin"):
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{link}"
            tar.addfile(entry)
    return disk.getvalue()


def _wait_until_ready(client: DockerClient, names: Names, address: str) -> None:
    with closing(RegistryClient(address)) as registry:
        for _ in range(200):
            if registry.answers():
                return
            time.sleep(0.05)
    output: bytes = client.containers.get(names.registry).logs(tail=5)
    raise DriverError(f"the sandbox's container registry does not answer: {output.decode(errors='replace')}")
