"""A build of which everything is known, with values as they might be, and others made from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amifactory.domain.cold_start import Budget
from amifactory.domain.comparison import BuildFacts, Comparison, compare
from amifactory.domain.inventory import (
    ContainerImage,
    Inventory,
    OperatingSystem,
    Package,
    Port,
    Tool,
    User,
)
from amifactory.domain.model import AmiId, Architecture, Build, Fingerprint, Recipe, Target, Verdict
from amifactory.report.facts import Ancestor, Earlier, Facts

MADE_AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SSH, DOCKER, READY, FIRST_RUN = 21.4, 31.8, 41.2, {"node:22-slim": 9.4, "alpine:3.20": 1.3}


def make_build(ami_id: str, *, image: str = "node", parent: str = "ami-base", days: int = 0) -> Build:
    """Returns a verified build that was made some days after the first one."""
    target = Target(image=image, architecture=Architecture.X86_64)
    return Build(
        target=target,
        ami_id=AmiId(ami_id),
        name=f"amifactory/example/{target}/abcdef012345-20260301T090000Z",
        region="eu-central-1",
        fingerprint=Fingerprint("ab" * 32),
        parent=AmiId(parent),
        verdict=Verdict.VERIFIED,
        created_at=MADE_AT + timedelta(days=days),
    )


def make_timeline(*steps: tuple[str, float]) -> list[dict[str, object]]:
    """Returns steps that follow each other."""
    found, at = [], MADE_AT
    for name, seconds in steps:
        found.append({"name": name, "started_at": at.isoformat(), "seconds": seconds})
        at += timedelta(seconds=seconds)
    return found


def make_start(factor: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Returns a cold start of one instance, slower by a factor."""
    times = {
        "ssh": SSH * factor,
        "docker": DOCKER * factor,
        "ready": READY * factor,
        "first_run": {reference: taken * factor for reference, taken in FIRST_RUN.items()},
        **changes,
    }
    return {"samples": [times], "median": times, "p95": times}


def make_report(**changes: Any) -> dict[str, Any]:
    """Returns the report of a build that passed everything."""
    cases = [
        ("_shared/spec/test_hygiene.py::test_no_degraded_unit", "passed", ""),
        ("node/spec/test_node.py::test_npm", "passed", ""),
        ("node/spec/test_node.py::test_yarn", "skipped", "yarn was left out"),
    ]
    return {
        "schema": 1,
        "instance_type": "t3.large",
        "verified_at": MADE_AT.isoformat(),
        "verdict": "verified",
        "problem": None,
        "seconds": 57.6,
        "gates": [
            {"gate": gate, "passed": True, "problem": None}
            for gate in ("boot", "ready", "prepull", "spec", "leaks", "cold-start")
        ],
        "cold_start": make_start(),
        "previous": "ami-before",
        "levers": [],
        "leaks": {
            "files": 61204,
            "bytes": 2_143_000_000,
            "seconds": 6.4,
            "findings": [],
            "allowed": [],
            "unreadable": 0,
            "not_searched": [],
        },
        "disk_used_bytes": 4_123_000_000,
        "tests": {
            "passed": 2,
            "failed": 0,
            "errors": 0,
            "skipped": 1,
            "seconds": 8.4,
            "failures": [],
            "problem": None,
            "cases": [
                {"test": test, "outcome": outcome, "seconds": 0.2, "message": message}
                for test, outcome, message in cases
            ],
        },
        "timeline": make_timeline(("booting a fresh instance", 16.0), ("running the spec", 8.0)),
        **changes,
    }


def make_inventory(**versions: str) -> Inventory:
    """Returns what a small instance has; versions of packages by name."""
    return Inventory(
        os=OperatingSystem(id="debian", version="12", name="Debian GNU/Linux 12 (bookworm)"),
        kernel="6.1.0-28-cloud-amd64",
        packages=tuple(
            Package(name=name, version=version, architecture="amd64", manager="deb")
            for name, version in sorted({"bash": "5.2.15-2", "openssl": "3.0.15-1", **versions}.items())
        ),
        tools=(Tool(name="node", version="22.11.0"),),
        container_images=(
            ContainerImage(
                reference="node:22-slim", digest=f"sha256:{'0f' * 32}", image_id="sha256:11", size=226_100_000
            ),
        ),
        users=(User(name="root", uid=0, shell="/bin/bash"),),  # noqa: S604 - a field of that name
        ports=(Port(protocol="tcp", address="0.0.0.0", port=22, program="sshd"),),  # noqa: S104 - an example
        units=("docker.service", "ssh.service"),
    )


def make_comparison(before: Inventory, after: Inventory) -> Comparison:
    """Returns what differs between two builds with these inventories."""

    def facts(build: Build, inventory: Inventory, disk_used: float) -> BuildFacts:
        return BuildFacts(
            build=build,
            inventory=inventory,
            recipes=(),
            tests={},
            cold_start={"ready": READY},
            disk_used=disk_used,
            instance_type="t3.large",
        )

    older = replace(make_build("ami-before"), fingerprint=Fingerprint("cd" * 32))
    return compare(facts(older, before, 4.0e9), facts(make_build("ami-this", days=3), after, 4.4e9))


def make_facts(**changes: Any) -> Facts:
    """Returns all that is known of a verified build."""
    inventory = make_inventory()
    known = Facts(
        factory="example",
        build=make_build("ami-this", days=3),
        ancestors=(
            Ancestor(ami_id=AmiId("ami-debian"), name="debian-12-amd64-20260201"),
            Ancestor(
                ami_id=AmiId("ami-base"),
                name="base-docker",
                build=make_build("ami-base", image="base-docker", parent="ami-debian"),
            ),
        ),
        report=make_report(),
        made={
            "packer_version": "1.6.6",
            "seconds": 371.9,
            "left_out": [],
            "reasons": ["recipe changed: provision/install-node.sh"],
            "timeline": make_timeline(
                ("waiting for instance", 20.0), ("provisioning with install-node.sh", 60.0)
            ),
        },
        recipe=Recipe(
            architecture=Architecture.X86_64,
            files={},
            variables={"tools": {"node": "22.11.0", "yarn": "1.22.22+sha512.a6b2"}},
            prepull={},
            parent="cd" * 32,
        ),
        earlier=(
            Earlier(build=make_build("ami-first"), report={"cold_start": make_start(1.5)}),
            Earlier(build=make_build("ami-before", days=2), report={"cold_start": make_start(1.1)}),
        ),
        inventory=inventory,
        comparison=make_comparison(make_inventory(openssl="3.0.14-1", telnet="0.17-1"), inventory),
        not_compared=None,
        budget=Budget(ready_within=60, first_run_within=20),
        places=(("Reports", "s3://example-state/reports/ami-this/"),),
        now=MADE_AT,
    )
    return replace(known, **changes)


class Example:
    """Makes values for tests: test files cannot import this one."""

    build = staticmethod(make_build)
    timeline = staticmethod(make_timeline)
    start = staticmethod(make_start)
    report = staticmethod(make_report)
    inventory = staticmethod(make_inventory)
    comparison = staticmethod(make_comparison)
    facts = staticmethod(make_facts)


@pytest.fixture
def example() -> type[Example]:
    return Example
