"""The words of this project as types: builds, verdicts, what decides a build's content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

AmiId = NewType("AmiId", str)
Fingerprint = NewType("Fingerprint", str)
"""64 hexadecimal digits: the SHA-256 of a `Recipe` in canonical JSON."""

FINGERPRINT_LENGTH = 64


class Architecture(StrEnum):
    """A CPU architecture, in EC2's words."""

    X86_64 = "x86_64"
    ARM64 = "arm64"


class Verdict(StrEnum):
    """What the spec said of a build."""

    CANDIDATE = "candidate"
    VERIFIED = "verified"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True, order=True)
class Target:
    """What one build is for: an image on an architecture."""

    image: str
    architecture: Architecture

    def __str__(self) -> str:
        return f"{self.image}/{self.architecture}"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a build's content; equal recipes give equal fingerprints.

    Attributes:
        files: Build context, path to SHA-256 of content, prefixed ``x:`` when executable.
        variables: Packer variables that reach the instance (not names, regions or sizes).
        prepull: Container image references to the digests they resolved to.
        parent: The parent build's fingerprint, or the source AMI's id.
    """

    architecture: Architecture
    files: Mapping[str, str]
    variables: Mapping[str, object]
    prepull: Mapping[str, str]
    parent: str

    def canonical_json(self) -> str:
        """Returns the one text that is hashed: sorted keys, no white space."""
        return json.dumps(vars(self), sort_keys=True, separators=(",", ":"))

    @property
    def fingerprint(self) -> Fingerprint:
        """Returns the SHA-256 of the canonical JSON."""
        return Fingerprint(hashlib.sha256(self.canonical_json().encode()).hexdigest())


@dataclass(frozen=True, kw_only=True)
class SourceAmi:
    """An AMI somebody else made, on which a first image is built."""

    ami_id: AmiId
    name: str
    root_device: str


@dataclass(frozen=True, kw_only=True)
class Build:
    """One AMI made from an image, as its tags and AWS describe it.

    Attributes:
        fingerprint: All of it; only the first 12 digits when its maker was killed before it was tagged.
        parent: Id of the AMI it was built on.
        available: AWS has finished it (state ``available``, not ``pending``).
        offline: Built from distribution packages only; never promoted to a real channel.
        spec: Digest of the specs, and of the limits, it was last verified with, if any.
        run: Id of the run that made it; its logs are named by it.
        carries_secret: Names of the secrets baked into it; such a build must not be shared.
    """

    target: Target
    ami_id: AmiId
    name: str
    region: str
    fingerprint: Fingerprint
    parent: AmiId
    verdict: Verdict
    created_at: datetime
    available: bool = True
    offline: bool = False
    spec: str | None = None
    run: str | None = None
    carries_secret: tuple[str, ...] = ()
    snapshot_ids: tuple[str, ...] = field(default=())

    @property
    def tagged(self) -> bool:
        """Returns whether its maker lived to tag it; otherwise only its name tells what it is."""
        return len(self.fingerprint) == FINGERPRINT_LENGTH

    def made_from(self, fingerprint: Fingerprint) -> bool:
        """Returns whether this build has the content that a fingerprint stands for."""
        return fingerprint.startswith(self.fingerprint)
