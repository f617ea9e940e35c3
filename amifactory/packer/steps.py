"""What Packer is doing, in a few words, told from what its ``amazon-ebs`` builder says it does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, kw_only=True)
class Step:
    """Packer begins something new.

    Attributes:
        name: What it does now, such as ``launching instance``.
        is_cleanup: It only tidies up after the work; a failure lies in an earlier step.
    """

    name: str
    is_cleanup: bool = False


_CLEANING_UP = Step(name="cleaning up", is_cleanup=True)

_BEGINNINGS: tuple[tuple[str, Step], ...] = (
    ("Prevalidating ", Step(name="checking settings")),
    ("Creating temporary keypair", Step(name="creating key pair")),
    ("Creating temporary security group", Step(name="creating security group")),
    ("Launching a source AWS instance", Step(name="launching instance")),
    ("Launching a spot instance", Step(name="launching instance")),
    ("Waiting for instance (", Step(name="waiting for instance")),
    ("Waiting for SSH", Step(name="waiting for SSH")),
    ("Stopping the source instance", Step(name="stopping instance")),
    ("Waiting for the instance to stop", Step(name="stopping instance")),
    ("Waiting for AMI to become ready", Step(name="waiting for AMI")),
    ("Adding tags to AMI", Step(name="tagging AMI")),
    ("Provisioning step had errors", _CLEANING_UP),
    ("Terminating the source AWS instance", _CLEANING_UP),
    ("Cleaning up any extra volumes", _CLEANING_UP),
    ("Deleting temporary security group", _CLEANING_UP),
    ("Deleting temporary keypair", _CLEANING_UP),
)
_SCRIPT = re.compile(r"(?:Provisioning with shell script|Running local shell script): (?P<path>.+)")
_INLINE_SCRIPT = re.compile(r"packer-shell\d+")
_UPLOAD = re.compile(r"Uploading (?P<path>.+) => ")
_AMI = re.compile(r"Creating (?:\w+ )?AMI .+ from instance ")


def read_step(text: str) -> Step | None:
    """Returns the step that a line of Packer's begins, if it begins one."""
    for beginning, step in _BEGINNINGS:
        if text.startswith(beginning):
            return step
    if match := _SCRIPT.match(text):
        name = PurePosixPath(match["path"]).name
        is_inline = _INLINE_SCRIPT.fullmatch(name) is not None
        return Step(name="provisioning with inline script" if is_inline else f"provisioning with {name}")
    if match := _UPLOAD.match(text):
        return Step(name=f"uploading {match['path']}")
    if _AMI.match(text):
        return Step(name="creating AMI")
    return None
