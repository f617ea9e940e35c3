"""What the terminal gets of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.cli.report import print_summary
from amifactory.domain.cold_start import Budget
from amifactory.report.page import make_page

if TYPE_CHECKING:
    import pytest

    from amifactory.report.facts import Facts
    from tests.unit.report.conftest import Example


def printed(facts: Facts, capsys: pytest.CaptureFixture[str]) -> str:
    print_summary(make_page(facts))
    return capsys.readouterr().out


def test_it_says_how_the_build_is_and_what_is_in_it(
    example: type[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(example.facts(), capsys)
    assert said.startswith("node/x86_64  ami-this  verified\nIt passed 6 gates on a fresh t3.large.\n")
    for line in (
        "Built on         debian-12-amd64-20260201 ami-debian > base-docker ami-base > node ami-this",
        "Spec: 2 passed, 1 skipped in 8.4 s",
        "Leaks: none in 61,204 files, 2.1 GB in 6.4 s, 0 allowed",
        "Changes since ami-before: packages 1 up, 1 gone",
        "Inventory: tools 1, container images 1, listening ports 1, users 1, enabled units 2, packages 2",
        "Reports  s3://example-state/reports/ami-this/",
    ):
        assert line in said.splitlines(), line


def test_what_did_not_pass_is_named(example: type[Example], capsys: pytest.CaptureFixture[str]) -> None:
    report = example.report()
    report["tests"]["cases"][0] |= {"outcome": "failed", "message": "assert 1 == 2"}
    report["leaks"]["findings"] = [{"kind": "docker-auth", "file": "/root/.docker/config.json"}]
    said = printed(example.facts(report=report), capsys)
    assert "  failed: _shared/spec/test_hygiene.py::test_no_degraded_unit: assert 1 == 2\n" in said
    assert "  docker-auth: /root/.docker/config.json\n" in said
    assert "test_yarn" not in said


def test_columns_with_nothing_to_say_are_left_out(
    example: type[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    first = example.facts(report=example.report(previous=None), earlier=(), budget=Budget())
    assert "COLD START       TOOK\n" in printed(first, capsys)
    several = example.report()
    several["cold_start"]["samples"] *= 5
    header = "COLD START       MEDIAN  P95     BEFORE  CHANGE        LIMIT\n"
    assert header in printed(example.facts(report=several), capsys)


def test_a_file_name_cannot_steer_the_terminal(
    example: type[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    report = example.report()
    report["leaks"]["findings"] = [{"kind": "host-key", "file": "/etc/\x1b[2J\rverified"}]
    report["gates"][4] = {"gate": "leaks", "passed": False, "problem": "host-key in /etc/\x1b[2J"}
    said = printed(example.facts(report=report), capsys)
    assert "\x1b[2J" not in said
    assert "  host-key: /etc/\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}verified\n" in said
