"""The metadata service is asked as version 2 wants it; a real server on this machine answers."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from instance_metadata import Metadata, MetadataError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {"/latest/meta-data/placement/region": "eu-central-1", "/latest/user-data": ""}


class Service(BaseHTTPRequestHandler):
    """Version 2 alone: whoever brings no token is turned away."""

    def do_PUT(self) -> None:
        seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        self._answer(200 if self.path == "/latest/api/token" and seconds.isdigit() else 400, "t0ken")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "t0ken":
            self._answer(401, "")
        elif self.path == "/latest/broken":
            self._answer(500, "")
        else:
            self._answer(200 if self.path in FILES else 404, FILES.get(self.path, "no such file"))

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture(scope="module")
def metadata() -> Iterator[Metadata]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Metadata(f"http://127.0.0.1:{server.server_port}/latest")
        server.shutdown()
        thread.join()


def test_file_is_read_with_a_token(metadata: Metadata) -> None:
    assert metadata.get("meta-data/placement/region") == "eu-central-1"


def test_empty_file_is_not_a_missing_one(metadata: Metadata) -> None:
    assert metadata.get("user-data") == ""
    assert metadata.get("meta-data/spot/instance-action") is None


def test_refusal_is_an_error(metadata: Metadata) -> None:
    with pytest.raises(MetadataError, match="says 500"):
        metadata.get("broken")


def test_silence_is_an_error() -> None:
    with pytest.raises(MetadataError, match="does not answer"):
        Metadata("http://127.0.0.1:1/latest").get("user-data")
