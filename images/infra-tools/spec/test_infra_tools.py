"""Tools of infrastructure jobs; awscli and jq are asked for by the parent's spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

    from amifactory.spec.plugin import Facts


@pytest.mark.needs_tool("kubectl")
def test_kubectl_is_the_pinned_version(host: Host, facts: Facts) -> None:
    """Offline it is the distribution's, whichever that is."""
    said = host.check_output("kubectl version --client --output json")
    assert '"gitVersion"' in said if facts.offline else f'"v{facts.tools["kubectl"]}"' in said


@pytest.mark.needs_tool("helm")
def test_helm_is_the_pinned_version(host: Host, facts: Facts) -> None:
    assert host.check_output("helm version --short").startswith(f"v{facts.tools['helm']}")


@pytest.mark.needs_tool("terraform")
def test_terraform_is_the_pinned_version(host: Host, facts: Facts) -> None:
    assert host.check_output("terraform version").startswith(f"Terraform v{facts.tools['terraform']}\n")


def test_ansible_reaches_its_own_machine(host: Host) -> None:
    assert '"pong"' in host.check_output(
        "ansible --connection local --inventory localhost, --module-name ping all"
    )


def test_shellcheck_finds_a_mistake(host: Host) -> None:
    found = host.run("printf '#!/bin/sh\\necho $1\\n' | shellcheck -")
    assert found.rc == 1
    assert "SC2086" in found.stdout


def test_kubeconfig_is_for_jobs_alone(host: Host) -> None:
    with host.sudo():
        found = host.check_output("stat --format '%U %a' /home/gitlab-runner/.kube/config")
    assert found == "gitlab-runner 600"


@pytest.mark.needs_tool("kubectl")
def test_kubectl_reads_the_kubeconfig(host: Host) -> None:
    assert host.check_output("sudo --login --user gitlab-runner kubectl config current-context") != ""
