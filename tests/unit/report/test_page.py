"""What the page says of a build, section by section."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.domain.cold_start import Budget
from amifactory.domain.model import Verdict
from amifactory.report.page import GATES, make_page
from amifactory.report.spec_results import spec_results

if TYPE_CHECKING:
    from tests.unit.report.conftest import Example

REJECTED_AT_READY: list[dict[str, Any]] = [
    {"gate": "boot", "passed": True, "problem": None},
    {"gate": "ready", "passed": False, "problem": "it is not ready for jobs: docker.service failed"},
]


def rejected(example: type[Example], **changes: Any) -> Any:
    facts = example.facts(report=example.report(verdict="rejected", **changes))
    return replace(facts, build=replace(facts.build, verdict=Verdict.REJECTED))


def test_a_verified_build_passed_every_gate(example: type[Example]) -> None:
    page = make_page(example.facts())
    assert page.sentence == "It passed 6 gates on a fresh t3.large."
    assert [(gate.name, gate.state) for gate in page.gates] == [(name, "passed") for name in GATES]


def test_gates_after_the_one_that_stopped_it_were_not_reached(example: type[Example]) -> None:
    page = make_page(rejected(example, gates=REJECTED_AT_READY))
    assert page.sentence == "Failed: ready on a fresh t3.large."
    assert [gate.state for gate in page.gates] == ["passed", "failed", *["not reached"] * 4]
    assert page.gates[1].problem == "it is not ready for jobs: docker.service failed"


def test_a_gate_of_a_later_version_is_shown(example: type[Example]) -> None:
    gates = [*REJECTED_AT_READY, {"gate": "licence", "passed": True, "problem": None}]
    assert make_page(rejected(example, gates=gates)).gates[-1].name == "licence"


def test_a_build_nobody_has_verified_says_so(example: type[Example]) -> None:
    facts = example.facts(report={}, made={}, earlier=(), inventory=None, comparison=None, recipe=None)
    candidate = replace(facts, build=replace(facts.build, verdict=Verdict.CANDIDATE))
    page = make_page(candidate)
    assert page.sentence == "Not verified yet: nothing is known of how it works."
    assert page.contents == (("identity", "Identity and lineage"),)


def test_a_report_of_an_earlier_version_is_readable(example: type[Example]) -> None:
    old = {"verdict": "verified", "problem": None, "seconds": 3.4, "tests": example.report()["tests"]}
    page = make_page(example.facts(report=old, inventory=None, comparison=None))
    assert page.sentence == "It passed its spec."
    assert [name for name, _ in page.contents] == ["identity", "timeline", "spec"]


def test_the_figures_worth_knowing_at_once(example: type[Example]) -> None:
    figures = {figure.name: figure for figure in make_page(example.facts()).figures}
    assert {name: figure.value for name, figure in figures.items()} == {
        "ready": "41.2 s",
        "slowest first run": "9.4 s",
        "spec": "2 / 2",
        "leaks": "0",
        "disk used": "4.1 GB",
        "build": "6 min 12 s",
        "verification": "57.6 s",
    }
    assert not any(figure.is_bad for figure in figures.values())


def test_figures_that_are_too_high_are_marked(example: type[Example]) -> None:
    leaks = {**example.report()["leaks"], "findings": [{"kind": "host-key", "file": "/etc/ssh/x"}]}
    tests = {**example.report()["tests"], "failed": 1}
    report = example.report(leaks=leaks, tests=tests)
    page = make_page(example.facts(report=report, budget=Budget(ready_within=40, first_run_within=9)))
    assert [figure.name for figure in page.figures if figure.is_bad] == [
        "ready",
        "slowest first run",
        "spec",
        "leaks",
    ]


def test_what_its_users_must_know_is_said_first(example: type[Example]) -> None:
    facts = example.facts(made={"left_out": ["helm: not in the distribution"]})
    build = replace(facts.build, offline=True, carries_secret=("kubeconfig", "token"))
    assert make_page(replace(facts, build=build)).warnings == (
        "This AMI carries 2 secrets: kubeconfig, token. Do not share it.",
        "Built offline, of distribution packages only: not for production.",
        "Left out: helm: not in the distribution",
    )


def test_the_lineage_begins_with_the_source_ami(example: type[Example]) -> None:
    page = make_page(example.facts())
    assert [(stage.name, stage.ami_id, stage.verdict) for stage in page.lineage] == [
        ("debian-12-amd64-20260201", "ami-debian", ""),
        ("base-docker", "ami-base", "verified"),
        ("node", "ami-this", "verified"),
    ]


def test_its_identity(example: type[Example]) -> None:
    identity = dict(make_page(example.facts()).identity)
    assert identity["Built"] == "2026-03-04 09:00 UTC"
    assert identity["Because"] == "recipe changed: provision/install-node.sh"
    assert identity["Tools asked for"] == "node 22.11.0, yarn 1.22.22"


def test_leaks_found_and_allowed(example: type[Example]) -> None:
    leaks = {
        **example.report()["leaks"],
        "findings": [{"kind": "docker-auth", "file": "/root/.docker/config.json"}],
        "allowed": [{"kind": "private-key", "file": "/opt/test.pem"}],
        "unreadable": 1,
    }
    found = make_page(rejected(example, leaks=leaks)).leaks
    assert found is not None
    assert found.searched == "61,204 files, 2.1 GB in 6.4 s, 1 unreadable file"
    assert found.findings == (("docker-auth", "/root/.docker/config.json"),)
    assert found.allowed == (("private-key", "/opt/test.pem"),)


@pytest.mark.parametrize(
    ("price", "said"), [(None, "unknown"), (0.75, "0.75 USD per hour"), (0.0, "nothing")]
)
def test_a_levers_price(example: type[Example], price: float | None, said: str) -> None:
    lever = {"name": "fast snapshot restore", "helps": "cold reads", "price_per_hour": price, "note": ""}
    assert make_page(example.facts(report=example.report(levers=[lever]))).levers[0].price == said


def test_what_changed_is_grouped_and_counted(example: type[Example]) -> None:
    found = make_page(example.facts()).changes
    assert found is not None
    (packages,) = found.groups
    assert (packages.title, packages.summary) == ("Packages", "1 up, 1 gone")
    assert [(row.kind, row.name, row.before, row.after) for row in packages.rows] == [
        ("up", "openssl", "3.0.14-1", "3.0.15-1"),
        ("gone", "telnet", "0.17-1", ""),
    ]
    last = found.measured.rows[-1]
    assert (last.kind, last.name, last.before, last.after) == ("", "disk used", "4.0 GB", "4.4 GB (+10 %)")
    assert found.reasons == ("recipe changed",)


def test_very_many_changes_are_folded_and_digests_cut(example: type[Example]) -> None:
    before, after = example.inventory(), example.inventory(**{f"lib{n}": "1" for n in range(40)})
    moved = replace(after.container_images[0], digest=f"sha256:{'ab' * 32}")
    comparison = example.comparison(before, replace(after, container_images=(moved,)))
    found = make_page(example.facts(comparison=comparison)).changes
    assert found is not None
    packages, images = found.groups
    assert (packages.is_open, images.is_open) == (False, True)
    assert (images.rows[0].before, images.rows[0].after) == ("sha256:0f0f0f0f0f0f", "sha256:abababababab")


def test_the_inventory_lists_what_there_is(example: type[Example]) -> None:
    lists = {found.name: found for found in make_page(example.facts()).inventory}
    assert list(lists) == [
        "System",
        "Tools",
        "Container images",
        "Listening ports",
        "Users",
        "Enabled units",
        "Packages",
    ]
    assert lists["Listening ports"].rows == (("22/tcp", "0.0.0.0", "sshd"),)  # noqa: S104
    assert lists["Packages"].count == "2"


def test_spec_files_with_failures_come_first_and_so_do_their_tests() -> None:
    def case(test: str, outcome: str, message: str = "") -> dict[str, Any]:
        return {"test": test, "outcome": outcome, "seconds": 0.1, "message": message}

    found = spec_results(
        {
            "tests": {
                "passed": 2,
                "failed": 1,
                "errors": 1,
                "skipped": 1,
                "seconds": 3.0,
                "problem": "2 of 4",
                "cases": [
                    case("a/spec/test_a.py::test_fine", "passed"),
                    case("b/spec/test_b.py::test_fine", "passed"),
                    case("b/spec/test_b.py::test_left_out", "skipped", "helm was left out"),
                    case("b/spec/test_b.py::test_broken", "failed", "assert 1 == 2"),
                    case("b/spec/test_b.py::test_worse", "error", "no such fixture"),
                ],
            }
        }
    )
    assert found is not None
    assert found.problem is None
    assert found.summary == "2 passed, 1 failed, 1 could not run, 1 skipped"
    assert [(file.path, file.is_bad) for file in found.files] == [
        ("b/spec/test_b.py", True),
        ("a/spec/test_a.py", False),
    ]
    assert [(one.name, one.message) for one in found.files[0].cases] == [
        ("test_worse", "no such fixture"),
        ("test_broken", "assert 1 == 2"),
        ("test_left_out", "helm was left out"),
        ("test_fine", ""),
    ]


def test_a_spec_that_no_test_explains_says_its_problem(example: type[Example]) -> None:
    tests = {**example.report()["tests"], "passed": 0, "cases": [], "problem": "spec collected no tests"}
    found = spec_results({"tests": tests})
    assert found is not None
    assert (found.problem, found.files) == ("spec collected no tests", ())
