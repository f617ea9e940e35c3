"""AWS and registries that refuse, or do not have what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Factory, Sandbox

UNKNOWN_SOURCE = """
source_ami "debian-99" {
  owner        = "136693071363"
  name         = { x86_64 = "debian-99-*" }
  ssh_username = "admin"
}
"""
SECRET = 'secret "kubeconfig" {\n  id = "ci/nothing"\n  path = "/root/kubeconfig"\n}'
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.mark.parametrize("code", ["RequestExpired", "ExpiredToken"])
def test_expired_credentials(factory: Factory, sandbox: Sandbox, code: str) -> None:
    sandbox.fail("DescribeImages", code, times=2)
    ended = factory.run("build").expect(6)
    assert "AWS credentials have expired" in ended.stderr
    assert "aws sso login" in ended.stderr


def test_a_denied_call_is_named(factory: Factory, sandbox: Sandbox) -> None:
    sandbox.fail("DescribeImages", "UnauthorizedOperation", times=2, status=403)
    ended = factory.run("build").expect(6)
    assert "AWS denied ec2:DescribeImages" in ended.stderr
    assert "Allow ec2:DescribeImages in the policy" in ended.stderr


def test_a_call_denied_to_the_verification_is_named(factory: Factory, sandbox: Sandbox, base: str) -> None:
    sandbox.fail("RunInstances", "UnauthorizedOperation", status=403)
    ended = factory.run("verify", "base", "--json").expect(6)
    build = ended.builds["base"]
    assert (build["action"], build["ami_id"]) == ("failed", base)
    assert "AWS denied ec2:RunInstances" in build["error"]
    assert "Allow ec2:RunInstances in the policy" in build["error"]


def test_a_call_denied_to_packer_is_named(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("denied")
    sandbox.fail("RunInstances", "UnauthorizedOperation", "You are not authorized.", status=403)
    ended = factory.run("build", "denied").expect(1)
    assert "Packer failed while launching instance" in ended.stderr
    assert "UnauthorizedOperation: You are not authorized." in ended.stderr
    assert "build.log" in ended.stderr


def test_a_source_ami_filter_that_matches_nothing(factory: Factory) -> None:
    factory.add("rootless", parent=None, settings=UNKNOWN_SOURCE)
    ended = factory.run("plan").expect(6)
    expected = 'images/rootless/image.hcl: no x86_64 AMI of owner 136693071363 is named "debian-99-*"'
    assert expected in ended.stderr
    assert "aws ec2 describe-images --owners 136693071363" in ended.stderr


def test_a_registry_that_cannot_be_reached(factory: Factory) -> None:
    factory.add("holder", settings='prepull = ["127.0.0.1:1/app:1"]')
    ended = factory.run("build", "holder").expect(1)
    assert 'container image "127.0.0.1:1/app:1": 127.0.0.1:1 cannot be asked' in ended.stderr
    assert "connection refused" in ended.stderr
    assert "Check that this machine's Docker reaches 127.0.0.1:1" in ended.stderr


def test_a_container_image_that_is_gone(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("holder", settings='prepull = ["example/gone:1"]')
    factory.run("plan", "holder").expect(0)
    headers, _ = sandbox.ask_registry("GET", "/v2/example/gone/manifests/1", Accept=MANIFEST)
    sandbox.ask_registry("DELETE", f"/v2/example/gone/manifests/{headers['Docker-Content-Digest']}")
    ended = factory.run("build", "holder").expect(1)
    assert 'container image "example/gone:1": ' in ended.stderr
    assert "has no such image or tag" in ended.stderr
    assert "prepull" in ended.stderr


def test_a_secret_that_is_missing(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("secretive", settings=SECRET)
    factory.run("plan", "secretive").expect(0)
    sandbox.secrets.delete_secret(SecretId="ci/nothing", ForceDeleteWithoutRecovery=True)  # the stand-in
    sandbox.forget_calls()
    ended = factory.run("build", "secretive").expect(6)
    assert 'no such secret in Secrets Manager: "ci/nothing"' in ended.stderr
    assert "aws secretsmanager create-secret --name ci/nothing" in ended.stderr
    assert "ec2:RunInstances" not in sandbox.calls(), "told before anything starts"


def test_a_state_bucket_that_is_missing(factory: Factory, sandbox: Sandbox) -> None:
    factory.add("homeless")
    sandbox.fail("HeadBucket", "404", status=404)
    ended = factory.run("build", "homeless").expect(6)
    assert 'state_bucket "example-amifactory-state" does not exist' in ended.stderr
    assert "aws s3 mb s3://example-amifactory-state --region eu-central-1" in ended.stderr
