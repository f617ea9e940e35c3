"""An AWS that answers at once: the AMIs and recipes it was given, without working anything out.

Planning a thousand images is to be measured, not how fast a simulated EC2 filters a thousand AMIs. So
answers are made beforehand; amifactory still sends signed requests over HTTP and parses EC2's XML.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SOURCE_AMI = "ami-0fedcba9876543210"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "REPLAYACCESSKEY", "AWS_SECRET_ACCESS_KEY": "replay"}
NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"

ANSWER = (
    '<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    "<requestId>00000000-0000-0000-0000-000000000000</requestId><imagesSet>{items}</imagesSet>"
    "</DescribeImagesResponse>"
)
ITEM = (
    "<item><imageId>{ami_id}</imageId><imageLocation>{owner}/{name}</imageLocation>"
    "<imageState>available</imageState><imageOwnerId>{owner}</imageOwnerId>"
    "<creationDate>{created}</creationDate><isPublic>false</isPublic><architecture>x86_64</architecture>"
    "<imageType>machine</imageType><sriovNetSupport>simple</sriovNetSupport><name>{name}</name>"
    "<description>built by amifactory</description><rootDeviceType>ebs</rootDeviceType>"
    "<rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName>"
    "<ebs><snapshotId>snap-{number:017x}</snapshotId><volumeSize>20</volumeSize>"
    "<deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType><iops>3000</iops>"
    "<throughput>125</throughput><encrypted>false</encrypted></ebs></item></blockDeviceMapping>"
    "<virtualizationType>hvm</virtualizationType><tagSet>{tags}</tagSet><hypervisor>xen</hypervisor>"
    "<enaSupport>true</enaSupport><platformDetails>Linux/UNIX</platformDetails>"
    "<usageOperation>RunInstances</usageOperation></item>"
)


@dataclass(kw_only=True)
class Replay:
    """What is answered, and what was asked.

    Attributes:
        builds: The answer to DescribeImages of one's own AMIs.
        objects: Bodies of the state bucket's objects by key.
        requests: How many there were.
    """

    builds: bytes
    sources: bytes
    objects: Mapping[str, bytes] = field(default_factory=dict)
    requests: int = 0
    endpoint: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Returns the variables that send a command's AWS calls here."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}


def describe_images(images: Iterable[str]) -> bytes:
    """Returns EC2's answer with these items."""
    return ANSWER.format(items="".join(images)).encode()


def image_item(
    *, number: int, ami_id: str, name: str, created: str, tags: Mapping[str, str], owner: str = "123456789012"
) -> str:
    """Returns one AMI as EC2 describes it."""
    pairs = "".join(
        f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>" for key, value in tags.items()
    )
    return ITEM.format(number=number, ami_id=ami_id, name=name, created=created, tags=pairs, owner=owner)


@contextmanager
def replaying(replay: Replay) -> Iterator[Replay]:
    """Answers while entered."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            own = parse_qs(body.decode()).get("Owner.1") == ["self"]
            self._answer(200, replay.builds if own else replay.sources)

        def do_GET(self) -> None:
            found = replay.objects.get(self.path.partition("?")[0].split("/", 2)[-1])
            self._answer(404 if found is None else 200, NO_SUCH_KEY if found is None else found)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _answer(self, status: int, body: bytes) -> None:
            with lock:
                replay.requests += 1
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    replay.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield replay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
