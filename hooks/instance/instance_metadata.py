"""The instance metadata service, version 2 (EC2 user guide, "Use the Instance Metadata Service")."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    ReadMetadata = Callable[[str], "str | None"]
    """Returns what is at a path below ``/latest``, or None; raises MetadataError."""

BASE = "http://169.254.169.254/latest"
BUILD_MARK = "# amifactory: this instance becomes an AMI"
"""A line in the user data of the instance that an AMI is made of."""


class MetadataError(Exception):
    """The service did not answer, or refused to."""


class Metadata:
    """Reads what the service says of this instance; never through a proxy."""

    def __init__(self, base: str = BASE, *, timeout: float = 2.0) -> None:
        self._base = base
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> str | None:
        """Returns what is at a path below ``/latest``, or None where nothing is.

        Raises:
            MetadataError: The service did not answer.
        """
        try:
            token = self._ask("PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
            return self._ask("GET", path, {"X-aws-ec2-metadata-token": token})
        except urllib.error.HTTPError as error:
            if error.code == http.client.NOT_FOUND:
                return None
            raise MetadataError(f"the instance metadata service says {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise MetadataError(f"the instance metadata service does not answer: {error}") from error

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(f"{self._base}/{path}", method=method, headers=headers)  # noqa: S310
        with self._opener.open(request, timeout=self._timeout) as answer:
            text: str = answer.read().decode(errors="replace")
            return text
