"""The list of left-out tools."""

from __future__ import annotations

from amifactory.spec.plugin import parse_left_out


def test_left_out_lines() -> None:
    text = "helm: not in Debian: no package\n\nkubectl:needs https://dl.k8s.io\nodd\n"
    assert parse_left_out(text) == {
        "helm": "not in Debian: no package",
        "kubectl": "needs https://dl.k8s.io",
        "odd": "",
    }
