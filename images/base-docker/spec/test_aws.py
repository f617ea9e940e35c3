"""What connects an instance with AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

ASK_WHOSE_INSTANCE_THIS_IS = """
set -e
metadata=http://169.254.169.254/latest
token=$(curl -sSf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $metadata/api/token)
curl -sSf -H "X-aws-ec2-metadata-token: $token" $metadata/dynamic/instance-identity/document
"""


@pytest.mark.needs_tool("awscli")
def test_aws_cli_answers(host: Host) -> None:
    assert host.check_output("aws --version 2>&1").startswith("aws-cli/")


@pytest.mark.parametrize("user", ["root", "gitlab-runner"])
def test_docker_asks_the_ecr_helper_for_ecr_only(host: Host, user: str) -> None:
    """With credsStore, `docker login` to any other registry would fail."""
    with host.sudo(user):
        home = host.user(user).home
        config = json.loads(host.file(f"{home}/.docker/config.json").content_string)
    assert set(config) == {"credHelpers"}
    assert _own_registry(host) in config["credHelpers"]
    assert all(".dkr.ecr." in registry for registry in config["credHelpers"])
    assert set(config["credHelpers"].values()) == {"ecr-login"}


def test_ecr_helper_is_installed(host: Host) -> None:
    assert host.exists("docker-credential-ecr-login")


@pytest.mark.needs_tool("amazon-ssm-agent")
def test_ssm_agent_runs(host: Host) -> None:
    assert host.run(
        "systemctl is-active amazon-ssm-agent || systemctl is-active snap.amazon-ssm-agent.amazon-ssm-agent"
    ).succeeded


@pytest.mark.needs_tool("ec2-instance-connect")
def test_ec2_instance_connect_authorizes_keys(host: Host) -> None:
    with host.sudo():
        assert "eic_run_authorized_keys" in host.check_output("sshd -T")


def _own_registry(host: Host) -> str:
    """The ECR registry of the account and region that this instance is in."""
    identity = json.loads(host.check_output(ASK_WHOSE_INSTANCE_THIS_IS))
    suffix = ".cn" if identity["region"].startswith("cn-") else ""
    return f"{identity['accountId']}.dkr.ecr.{identity['region']}.amazonaws.com{suffix}"
