"""Which build is meant by what somebody types."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from amifactory.domain.model import AmiId, Architecture, Build, Fingerprint, Target, Verdict
from amifactory.errors import UsageError
from amifactory.operations.find_build import builds_before, find_build, is_newest

if TYPE_CHECKING:
    from amifactory.config.models import Configuration

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def build(
    ami_id: str, *, image: str = "left", days_ago: int = 0, architecture: Architecture = Architecture.X86_64
) -> Build:
    return Build(
        target=Target(image=image, architecture=architecture),
        ami_id=AmiId(ami_id),
        name=ami_id,
        region="eu-central-1",
        fingerprint=Fingerprint("ab" * 32),
        parent=AmiId("ami-base"),
        verdict=Verdict.VERIFIED,
        created_at=NOW - timedelta(days=days_ago),
    )


OLD, NEW, OTHER = build("ami-old", days_ago=1), build("ami-new"), build("ami-other", image="right")
ARM = build("ami-arm", architecture=Architecture.ARM64)


def test_an_image_is_its_newest_build_whatever_its_verdict(configuration: Configuration) -> None:
    rejected = replace(NEW, verdict=Verdict.REJECTED)
    assert find_build(configuration, [OLD, rejected, OTHER], "left") == rejected


def test_an_ami_is_itself(configuration: Configuration) -> None:
    assert find_build(configuration, [OLD, NEW], "ami-old") == OLD


def test_what_aws_or_its_maker_has_not_finished_is_not_meant(configuration: Configuration) -> None:
    pending = replace(NEW, available=False)
    untagged = replace(NEW, ami_id=AmiId("ami-untagged"), fingerprint=Fingerprint("abab"))
    assert find_build(configuration, [OLD, pending, untagged], "left") == OLD
    with pytest.raises(UsageError, match="ami-new is not a build of this factory"):
        find_build(configuration, [OLD, pending], "ami-new")


def test_an_architecture_chooses(configuration: Configuration) -> None:
    for architecture, expected in ((Architecture.X86_64, NEW), (Architecture.ARM64, ARM)):
        assert find_build(configuration, [OLD, NEW, ARM], "left", architecture=architecture) == expected


@pytest.mark.parametrize(
    ("wanted", "architecture", "message", "hint"),
    [
        ("left", None, "left has builds for arm64 and x86_64", "Add: --architecture arm64"),
        ("base", None, "no build of base yet", "Run: amifactory build base"),
        ("right", Architecture.ARM64, "no arm64 build of right yet", "Run: amifactory build right"),
        ("lefft", None, '"lefft" is not an image of this factory', 'Did you mean "left"?'),
        ("ami-gone", None, "ami-gone is not a build of this factory", "Run: amifactory images"),
    ],
)
def test_what_cannot_be_found_says_what_to_do(
    configuration: Configuration, wanted: str, architecture: Architecture | None, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        find_build(configuration, [NEW, ARM, OTHER], wanted, architecture=architecture)
    assert (raised.value.message, raised.value.hint) == (message, hint)


def test_builds_before_one_are_of_its_image_and_architecture_and_newest_first() -> None:
    older = build("ami-older", days_ago=2)
    assert builds_before([older, ARM, NEW, OTHER, OLD], NEW) == (OLD, older)
    assert builds_before([older, NEW], older) == ()


def test_of_two_builds_of_one_second_one_is_always_before_the_other() -> None:
    twin = build("ami-newer-by-name")
    for builds in ([NEW, twin], [twin, NEW]):
        assert builds_before(builds, twin) == (NEW,)
        assert is_newest(builds, twin)
        assert not is_newest(builds, NEW)
