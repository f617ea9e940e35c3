"""The sandbox's one process: network, registry and AWS server until SIGTERM, then nothing left behind.

Started by `lifecycle.ensure` as ``python -m amifactory.sandbox.daemon ROOT REGION STATE_BUCKET``.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from amifactory.errors import AmifactoryError
from amifactory.sandbox import registry
from amifactory.sandbox.containers import ContainerDriver
from amifactory.sandbox.driver import DriverError, ServerSettings
from amifactory.sandbox.machine import connect, docker_errors, import_source_image, remove_everything
from amifactory.sandbox.names import Names
from amifactory.sandbox.network import RESERVED, Network, create_network, nameservers, open_metadata
from amifactory.sandbox.source_ami import default_cache_dir, prepare_source_ami
from amifactory.sandbox.stand_ins import RegistryClient, busybox_layer
from amifactory.sandbox.state import SandboxState, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from docker import DockerClient

    from amifactory.sandbox.source_ami import SourceAmi

log = logging.getLogger(__name__)

_SERVER = "amifactory.sandbox.server"
_MOTO = ("moto.ec2.responses", "moto.moto_server.werkzeug_app", "moto.s3.models", "moto.sts.models")
"""What the server imports only once it serves."""
_LOOPBACK = IPv4Address("127.0.0.1")
_ACCESS_KEY_ID = "SANDBOXACCESSKEY"
_POLL_SECONDS = 2.0
_INSTANCE_PROFILE = "amifactory-sandbox"
_SECRET_ACCESS_KEY = "sandbox"  # noqa: S105  # signs requests to this machine only


@contextmanager
def running_sandbox(
    root: Path, *, region: str, state_bucket: str, source: SourceAmi
) -> Iterator[SandboxState]:
    """Runs a sandbox while the context is open; removes all of it afterwards, however it ends."""
    client, names, folder = connect(), Names.of(root), StateFolder(root=root)
    try:
        with docker_errors("the sandbox's network, image or registry cannot be made"):
            network, registry_address = _make_surroundings(client, names, source)
            settings = _choose_settings(network, region=region, state_bucket=state_bucket, source=source)
            open_metadata(client, names, network, aws_port=settings.port, imds_port=settings.imds_port)
        resolver_file = _write_resolver_file(folder)
        driver = ContainerDriver(
            client, names, subnet=network.subnet, source_ami_id=source.ami_id, resolver_file=resolver_file
        )
        server = importlib.import_module(_SERVER)
        with server.serve(driver, settings), closing(driver):
            yield SandboxState(
                id=names.sandbox_id,
                pid=os.getpid(),
                endpoint=f"http://{_LOOPBACK}:{settings.port}",
                instance_endpoint=settings.instance_endpoint,
                network=network.name,
                subnet=str(network.subnet),
                registry=registry_address,
                instance_registry=f"http://{network.registry}:{registry.PORT}",
                region=region,
                state_bucket=state_bucket,
                access_key_id=_ACCESS_KEY_ID,
                secret_access_key=_SECRET_ACCESS_KEY,
                source_ami_id=source.ami_id,
                instance_profile=settings.instance_profile,
            )
    finally:
        remove_everything(client, names)
        folder.forget()


def _make_surroundings(client: DockerClient, names: Names, source: SourceAmi) -> tuple[Network, str]:
    """Makes image, network and registry at once, while the slowest import happens."""
    with ThreadPoolExecutor() as pool:
        surroundings = pool.submit(_make_docker_objects, client, names, source, pool)
        _import_server()
        return surroundings.result()


def _make_docker_objects(
    client: DockerClient, names: Names, source: SourceAmi, pool: ThreadPoolExecutor
) -> tuple[Network, str]:
    image = pool.submit(import_source_image, client, names, source.tarball)
    layer = pool.submit(busybox_layer, source.tarball)
    network = create_network(client, names)
    address = registry.start_registry(client, names, network)
    with closing(RegistryClient(address)) as contents:
        contents.push_base(layer.result(), source.architecture)
    log.info("registry answers at %s on network %s", address, network.subnet)
    image.result()
    log.info("source image imported")
    return network, address


def _import_server() -> None:
    """Imports moto, whose many objects all stay: collecting garbage meanwhile takes a third longer."""
    gc.disable()
    for module in (_SERVER, *_MOTO):
        importlib.import_module(module)
    gc.enable()
    gc.freeze()
    log.info("moto imported")


def _write_resolver_file(folder: StateFolder) -> Path | None:
    """Gives instances this machine's name servers, as Docker inside them cannot use Docker's own resolver."""
    addresses = nameservers()
    if not addresses:
        return None
    folder.resolver_file.write_text("".join(f"nameserver {address}\n" for address in addresses))
    folder.resolver_file.chmod(0o644)
    return folder.resolver_file


def _choose_settings(
    network: Network, *, region: str, state_bucket: str, source: SourceAmi
) -> ServerSettings:
    addresses = (_LOOPBACK, network.gateway)
    port = _free_port(addresses)
    return ServerSettings(
        addresses=addresses,
        port=port,
        imds_port=_free_port((network.gateway,), not_this=port),
        gateway=network.gateway,
        instance_endpoint=f"http://{network.gateway}:{port}",
        region=region,
        state_bucket=state_bucket,
        instance_profile=_INSTANCE_PROFILE,
        access_key_id=_ACCESS_KEY_ID,
        secret_access_key=_SECRET_ACCESS_KEY,
        reserved=RESERVED,
        source_ami_id=source.ami_id,
        source_ami_name=source.name,
        architecture=source.architecture,
    )


def _free_port(addresses: Sequence[IPv4Address], *, not_this: int = 0) -> int:
    for _ in range(100):
        with socket.socket() as first:
            first.bind((str(addresses[0]), 0))
            port: int = first.getsockname()[1]
        if port != not_this and all(_is_free(address, port) for address in addresses[1:]):
            return port
    raise DriverError("no free port was found for the sandbox's AWS endpoint")


def _is_free(address: IPv4Address, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((str(address), port))
        except OSError:
            return False
    return True


def main(arguments: Sequence[str]) -> int:
    """Runs the sandbox of the factory in ``arguments[0]`` until SIGTERM."""
    root, region, state_bucket = Path(arguments[0]), arguments[1], arguments[2]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")
    folder = StateFolder(root=root)
    try:
        source = prepare_source_ami(default_cache_dir(os.environ), log.info)
        with running_sandbox(root, region=region, state_bucket=state_bucket, source=source) as state:
            folder.write(state)
            log.info("sandbox %s answers at %s", state.id, state.endpoint)
            wait_for_end(folder, stop)
            log.info("sandbox %s goes down", state.id)
    except AmifactoryError as error:
        log.error("%s%s", error.message, f" ({error.hint})" if error.hint else "")  # noqa: TRY400
        return int(error.exit_code)
    return 0


def wait_for_end(folder: StateFolder, stop: threading.Event, *, poll_seconds: float = _POLL_SECONDS) -> None:
    """Returns once ``stop`` is set, or the state file is gone and with it the way to this sandbox."""
    while not stop.wait(poll_seconds):
        if not folder.state_file.exists():
            log.warning("%s is gone, and so its sandbox goes", folder.state_file)
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
