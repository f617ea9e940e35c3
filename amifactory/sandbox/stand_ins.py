"""Stand-ins for Docker Hub's images in the sandbox's registry: busybox under the name of the real thing.

They are written with the registry's own HTTP interface, all sharing one layer, so that a hundred of them
take a second and Docker on this machine never sees them. Standard library only.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import tarfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.driver import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

STAND_IN_LABEL = "amifactory.stand-in"
BASE_REPOSITORY = "amifactory/stand-in"

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_EPOCH = "1970-01-01T00:00:00Z"
_APPLETS = (
    "sh", "ash", "true", "false", "echo", "cat", "ls", "env", "sleep", "test", "uname", "id", "mkdir", "rm",
    "cp", "grep", "sed", "date", "hostname", "touch", "head", "tail", "wc", "which",
)  # fmt: skip
_CREATED, _OK, _ACCEPTED = 201, 200, 202


@dataclass(frozen=True, kw_only=True)
class HubName:
    """A reference to an image on Docker Hub, as its registry knows it: ``library/node`` and ``22``."""

    repository: str
    tag: str


def hub_name(reference: str) -> HubName | None:
    """Returns what a reference is called on Docker Hub; None for one of another registry or by digest."""
    name, _, digest = reference.partition("@")
    if digest:
        return None
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        if first not in {"docker.io", "index.docker.io"}:
            return None
        name = rest
    repository, colon, tag = name.partition(":")
    if "/" not in repository:
        repository = f"library/{repository}"
    return HubName(repository=repository, tag=tag if colon else "latest")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A compressed layer and its two digests: as stored, and unpacked."""

    blob: bytes
    digest: str
    diff_id: str


def busybox_layer(source_ami: Path) -> Layer:
    """Returns a layer with the busybox of the source AMI's disk, the same bytes each time."""
    with tarfile.open(source_ami) as tar:
        member = next(
            (m for m in tar if m.name.removeprefix("./") in {"bin/busybox", "usr/bin/busybox"} and m.isreg()),
            None,
        )
        file = tar.extractfile(member) if member else None
        if file is None:
            raise DriverError(
                f"{source_ami} holds no busybox", hint=f"remove it, it is made again: rm {source_ami}"
            )
        busybox = file.read()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, mode))
        program = _entry("bin/busybox", tarfile.REGTYPE, 0o755)
        program.size = len(busybox)
        tar.addfile(program, io.BytesIO(busybox))
        for applet in _APPLETS:
            link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            link.linkname = "busybox"
            tar.addfile(link)
    blob = gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)
    return Layer(blob=blob, digest=_digest(blob), diff_id=_digest(raw.getvalue()))


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class RegistryClient:
    """Writes stand-ins into a registry that speaks plain HTTP."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = http.client.HTTPConnection(address, timeout=10)

    def close(self) -> None:
        """Closes the connection; the next request would open it again."""
        self._connection.close()

    def answers(self) -> bool:
        """Returns whether a registry answers there."""
        try:
            status, _, _ = self._request("GET", "/v2/")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        return status == _OK

    def push_base(self, layer: Layer, architecture: str) -> None:
        """Stores the layer that all stand-ins share, as an image of its own."""
        self._upload(BASE_REPOSITORY, layer.blob)
        config = _config(layer.diff_id, architecture, reference=BASE_REPOSITORY)
        self._push_manifest(
            HubName(repository=BASE_REPOSITORY, tag="latest"), config, layer.digest, len(layer.blob)
        )

    def push_stand_in(self, name: HubName, reference: str) -> None:
        """Stores a stand-in under a name; takes the layer from the base image."""
        manifest = json.loads(self._get(f"/v2/{BASE_REPOSITORY}/manifests/latest", accept=_MANIFEST))
        base = json.loads(self._get(f"/v2/{BASE_REPOSITORY}/blobs/{manifest['config']['digest']}"))
        layer = manifest["layers"][0]
        query = f"mount={layer['digest']}&from={BASE_REPOSITORY}"
        self._expect(_CREATED, "POST", f"/v2/{name.repository}/blobs/uploads/?{query}")
        config = _config(base["rootfs"]["diff_ids"][0], base["architecture"], reference=reference)
        self._push_manifest(name, config, layer["digest"], layer["size"])

    def _push_manifest(self, name: HubName, config: bytes, layer_digest: str, layer_size: int) -> None:
        self._upload(name.repository, config)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [{"mediaType": _LAYER, "size": layer_size, "digest": layer_digest}],
        }
        path = f"/v2/{name.repository}/manifests/{name.tag}"
        self._expect(_CREATED, "PUT", path, json.dumps(manifest).encode(), {"Content-Type": _MANIFEST})

    def _upload(self, repository: str, blob: bytes) -> None:
        location = self._expect(_ACCEPTED, "POST", f"/v2/{repository}/blobs/uploads/")["Location"]
        path = location[location.index("/v2/") :]
        joint = "&" if "?" in path else "?"
        headers = {"Content-Type": "application/octet-stream"}
        self._expect(_CREATED, "PUT", f"{path}{joint}digest={_digest(blob)}", blob, headers)

    def _get(self, path: str, *, accept: str = "*/*") -> bytes:
        status, _, body = self._request("GET", path, None, {"Accept": accept})
        if status != _OK:
            raise self._refused(f"GET {path}", status, body)
        return body

    def _expect(
        self,
        wanted: int,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, str]:
        status, answer, text = self._request(method, path, body, headers)
        if status != wanted:
            raise self._refused(f"{method} {path}", status, text)
        return answer

    def _refused(self, request: str, status: int, body: bytes) -> DriverError:
        text = body.decode(errors="replace")[:200]
        return DriverError(
            f"the sandbox's registry at {self._address} answers {request} with {status}: {text}"
        )

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        self._connection.request(method, path, body=body, headers=headers or {})
        response = self._connection.getresponse()
        return response.status, dict(response.headers), response.read()


def _config(diff_id: str, architecture: str, *, reference: str) -> bytes:
    labels = {STAND_IN_LABEL: "true", f"{STAND_IN_LABEL}.reference": reference}
    config: dict[str, Any] = {
        "architecture": {"x86_64": "amd64"}.get(architecture, architecture),
        "os": "linux",
        "created": _EPOCH,
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": _EPOCH, "created_by": "amifactory sandbox"}],
    }
    return json.dumps(config, sort_keys=True).encode()


@contextmanager
def _registry_errors(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise DriverError(
            f"the sandbox's registry at {address} does not answer: {error}", hint="amifactory sandbox down"
        ) from error


def push_stand_ins(address: str, references: Iterable[str], say: Callable[[str], None]) -> None:
    """Puts a stand-in for each reference into the registry; says which ones cannot be.

    Raises:
        DriverError: The registry does not answer, or refuses one.
    """
    with closing(RegistryClient(address)) as registry, _registry_errors(address):
        for reference in references:
            name = hub_name(reference)
            if name is None:
                say(f"sandbox: no stand-in for {reference}: only images of Docker Hub, by tag, have one")
            else:
                registry.push_stand_in(name, reference)
