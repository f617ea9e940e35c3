"""What a build stands on, up to the AMI that somebody else made."""

from __future__ import annotations

from datetime import UTC, datetime

from amifactory.domain.model import AmiId, Architecture, Build, Fingerprint, Target, Verdict
from amifactory.operations.report import find_ancestors


def build(image: str, parent: str) -> Build:
    return Build(
        target=Target(image=image, architecture=Architecture.X86_64),
        ami_id=AmiId(f"ami-{image}"),
        name=image,
        region="eu-central-1",
        fingerprint=Fingerprint("ab" * 32),
        parent=AmiId(parent),
        verdict=Verdict.VERIFIED,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


BASE, NODE, LEAF = build("base", "ami-debian"), build("node", "ami-base"), build("leaf", "ami-node")


def test_the_source_ami_comes_first_and_the_parent_last() -> None:
    found = find_ancestors(LEAF, [LEAF, BASE, NODE], {"ami-debian": "debian-12"}.get)
    assert [(one.ami_id, one.name, one.build) for one in found] == [
        ("ami-debian", "debian-12", None),
        ("ami-base", "base", BASE),
        ("ami-node", "node", NODE),
    ]


def test_the_line_ends_where_a_build_is_gone() -> None:
    found = find_ancestors(LEAF, [LEAF, NODE], {"ami-debian": "debian-12"}.get)
    assert [(one.ami_id, one.name) for one in found] == [("ami-base", None), ("ami-node", "node")]
