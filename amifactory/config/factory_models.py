"""What ``factory.hcl`` may say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from amifactory.config import grammar
from amifactory.config.fields import Duration, Model, Name, Text, Url, key, matching
from amifactory.config.fleet_models import Channel, Fleet  # noqa: TC001 - pydantic reads it


class Registry(Model):
    """A private registry from which containers are pulled while an image is built."""

    host: Annotated[StrictStr, AfterValidator(grammar.registry_host)] = key(
        "The registry's host name, as it stands in a container reference.",
        example="registry.example.com",
        label=True,
    )
    credentials: Text = key(
        'Secrets Manager secret with `{"username": …, "password": …}`. It never reaches the AMI.',
        example="ci/registry",
    )


class BuildSettings(Model):
    """Where and how builds run."""

    subnet_id: Annotated[StrictStr, matching("subnet-[0-9a-f]+", "subnet-0123456789abcdef0")] | None = key(
        "Subnet of the build and verification instances.",
        example="subnet-0123456789abcdef0",
        default=None,
        default_text="one of the default VPC",
    )
    security_group_ids: tuple[Annotated[StrictStr, matching("sg-[0-9a-f]+", "sg-0123456789abcdef0")], ...] = (
        key(
            "Security groups of the build and verification instances. The temporary one lets SSH in "
            "from everywhere.",
            example=["sg-0123456789abcdef0"],
            default=(),
            default_text="a temporary one",
        )
    )
    instance_profile: Text | None = key(
        "IAM instance profile of the instances: what they may read, such as registry credentials.",
        example="ci-image-build",
        default=None,
    )
    associate_public_ip: StrictBool = key("Give the instances a public address.", default=False)
    ssh_interface: Literal["private_ip", "public_ip"] = key(
        "Which way Packer and verification reach the instance.", default="private_ip"
    )
    ssh_timeout: Duration = key(
        "How long an instance may take until it answers over SSH.", default=timedelta(minutes=5)
    )
    timeout: Duration = key("How long one Packer run may take.", default=timedelta(minutes=60))
    jobs: Annotated[StrictInt, Field(ge=1, le=64)] = key("How many builds run at the same time.", default=3)
    volume_size: Annotated[StrictInt, Field(ge=1, le=16384)] = key(
        "Size of the root volume in GiB.", default=20
    )
    encrypt: StrictBool = key("Encrypt the AMI's snapshots.", default=False)
    kms_key_id: Text | None = key(
        "KMS key to encrypt with: id, ARN or alias. Needs `encrypt = true`.",
        example="alias/ci-images",
        default=None,
        default_text="the account's EBS key",
    )
    registry_mirror: Url | None = key(
        "Pull-through mirror of Docker Hub: written to `daemon.json`, and asked for digests.",
        example="https://mirror.example.com",
        default=None,
    )
    tool_mirror: Url | None = key(
        "Mirror of upstream downloads: `<mirror>/<host>/<path>` is read instead of `https://<host>/<path>`.",
        example="https://tools.example.com",
        default=None,
    )
    offline: StrictBool = key(
        "Use the distribution's packages only and say what was left out. Such builds are not for production.",
        default=False,
    )
    registries: tuple[Registry, ...] = key(
        "A private registry; one block each.", default=(), alias="registry"
    )

    @model_validator(mode="after")
    def _key_needs_encryption(self) -> Self:
        if self.kms_key_id and not self.encrypt:
            raise ValueError('"kms_key_id" is set, but "encrypt" is false; set "encrypt = true"')
        return self


class Factory(Model):
    """An AWS account and region with its images."""

    name: Name = key("The factory's name: part of every AMI's name and tags.", example="example", label=True)
    region: Annotated[StrictStr, matching(r"[a-z]{2}(-[a-z]+)+-\d", "eu-central-1")] = key(
        "AWS region.", example="eu-central-1"
    )
    state_bucket: Annotated[
        StrictStr, matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "example-amifactory-state")
    ] = key("S3 bucket for the recipes of builds and for reports.", example="example-amifactory-state")
    build: BuildSettings = Field(
        default=BuildSettings(), json_schema_extra={"hidden": True}
    )  # stands beside the factory block in the file


class FactoryFile(Model):
    """What stands in ``factory.hcl``."""

    factory: Factory = key("The factory itself.")
    build: BuildSettings = key("How builds run.", default=BuildSettings())
    channels: tuple[Channel, ...] = key("A channel; one block each.", default=(), alias="channel")
    fleets: tuple[Fleet, ...] = key("A fleet; one block each.", default=(), alias="fleet")

    @model_validator(mode="before")
    @classmethod
    def _order_follows_place(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("channel"), list):
            return given
        ordered = [
            {"order": place, **channel} if isinstance(channel, dict) else channel
            for place, channel in enumerate(given["channel"], start=1)
        ]
        return {**given, "channel": ordered}
