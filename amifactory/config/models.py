"""What ``factory.hcl`` and ``image.hcl`` may say. ``docs/configuration.md`` is generated from here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path  # noqa: TC003 - pydantic reads it
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)

from amifactory.config import grammar
from amifactory.domain.cold_start import Budget
from amifactory.domain.model import Architecture

DEFAULT_INSTANCE_TYPES = {Architecture.X86_64: "t3.large", Architecture.ARM64: "t4g.large"}


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else grammar.parse_duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Name = Annotated[StrictStr, AfterValidator(grammar.name)]
Url = Annotated[StrictStr, AfterValidator(grammar.url)]
Text = Annotated[StrictStr, StringConstraints(min_length=1)]


def _matching(pattern: str, example: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f'"{value}" does not look like "{example}"')
        return value

    return AfterValidator(check)


def _for_every_architecture(value: object) -> object:
    return dict.fromkeys(Architecture, value) if isinstance(value, str) else value


InstanceType = Annotated[StrictStr, _matching(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "t3.large")]
InstanceTypes = Annotated[Mapping[Architecture, InstanceType], BeforeValidator(_for_every_architecture)]

_ONE_OR_EACH = "string, or object of string"


def _key(
    description: str,
    *,
    example: object = None,
    default: Any = ...,
    default_text: str | None = None,
    type_text: str | None = None,
    label: bool = False,
    **constraints: Any,
) -> Any:
    """One key of a block: what the generated documentation says of it, and its default."""
    extra: dict[str, Any] = {"since": "0.1", "label": label}
    if default_text is not None:
        extra["default_text"] = default_text
    if type_text is not None:
        extra["type_text"] = type_text
    examples = None if example is None else [example]
    return Field(default, description=description, examples=examples, json_schema_extra=extra, **constraints)


class Model(BaseModel):
    """A block of a configuration file: frozen, and knowing every key it may have."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_alias=True, validate_by_name=True)


class Registry(Model):
    """A private registry from which containers are pulled while an image is built."""

    host: Annotated[StrictStr, AfterValidator(grammar.registry_host)] = _key(
        "The registry's host name, as it stands in a container reference.",
        example="registry.example.com",
        label=True,
    )
    credentials: Text = _key(
        'Secrets Manager secret with `{"username": …, "password": …}`. It never reaches the AMI.',
        example="ci/registry",
    )


class BuildSettings(Model):
    """Where and how builds run."""

    subnet_id: Annotated[StrictStr, _matching("subnet-[0-9a-f]+", "subnet-0123456789abcdef0")] | None = _key(
        "Subnet of the build and verification instances.",
        example="subnet-0123456789abcdef0",
        default=None,
        default_text="one of the default VPC",
    )
    security_group_ids: tuple[
        Annotated[StrictStr, _matching("sg-[0-9a-f]+", "sg-0123456789abcdef0")], ...
    ] = _key(
        "Security groups of the build and verification instances. The temporary one lets SSH in "
        "from everywhere.",
        example=["sg-0123456789abcdef0"],
        default=(),
        default_text="a temporary one",
    )
    instance_profile: Text | None = _key(
        "IAM instance profile of the instances: what they may read, such as registry credentials.",
        example="ci-image-build",
        default=None,
    )
    associate_public_ip: StrictBool = _key("Give the instances a public address.", default=False)
    ssh_interface: Literal["private_ip", "public_ip"] = _key(
        "Which way Packer and verification reach the instance.", default="private_ip"
    )
    ssh_timeout: Duration = _key(
        "How long an instance may take until it answers over SSH.", default=timedelta(minutes=5)
    )
    timeout: Duration = _key("How long one Packer run may take.", default=timedelta(minutes=60))
    jobs: Annotated[StrictInt, Field(ge=1, le=64)] = _key("How many builds run at the same time.", default=3)
    volume_size: Annotated[StrictInt, Field(ge=1, le=16384)] = _key(
        "Size of the root volume in GiB.", default=20
    )
    encrypt: StrictBool = _key("Encrypt the AMI's snapshots.", default=False)
    kms_key_id: Text | None = _key(
        "KMS key to encrypt with: id, ARN or alias. Needs `encrypt = true`.",
        example="alias/ci-images",
        default=None,
        default_text="the account's EBS key",
    )
    registry_mirror: Url | None = _key(
        "Pull-through mirror of Docker Hub: written to `daemon.json`, and asked for digests.",
        example="https://mirror.example.com",
        default=None,
    )
    tool_mirror: Url | None = _key(
        "Mirror of upstream downloads: `<mirror>/<host>/<path>` is read instead of `https://<host>/<path>`.",
        example="https://tools.example.com",
        default=None,
    )
    offline: StrictBool = _key(
        "Use the distribution's packages only and say what was left out. Such builds are not for production.",
        default=False,
    )
    registries: tuple[Registry, ...] = _key(
        "A private registry; one block each.", default=(), alias="registry"
    )

    @model_validator(mode="after")
    def _key_needs_encryption(self) -> Self:
        if self.kms_key_id and not self.encrypt:
            raise ValueError('"kms_key_id" is set, but "encrypt" is false; set "encrypt = true"')
        return self


class Factory(Model):
    """An AWS account and region with its images."""

    name: Name = _key("The factory's name: part of every AMI's name and tags.", example="example", label=True)
    region: Annotated[StrictStr, _matching(r"[a-z]{2}(-[a-z]+)+-\d", "eu-central-1")] = _key(
        "AWS region.", example="eu-central-1"
    )
    state_bucket: Annotated[
        StrictStr, _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "example-amifactory-state")
    ] = _key("S3 bucket for the recipes of builds and for reports.", example="example-amifactory-state")
    build: BuildSettings = Field(
        default=BuildSettings(), json_schema_extra={"hidden": True}
    )  # stands beside the factory block in the file


class FactoryFile(Model):
    """What stands in ``factory.hcl``."""

    factory: Factory = _key("The factory itself.")
    build: BuildSettings = _key("How builds run.", default=BuildSettings())


class SourceAmiFilter(Model):
    """The newest AMI of an owner whose name matches; the first images are built on one."""

    os: Annotated[StrictStr, AfterValidator(grammar.name)] = _key(
        "Name of the operating system, for `os` to choose.", example="debian-12", label=True
    )
    owner: Annotated[StrictStr, _matching(r"\d{12}|amazon|self|aws-marketplace", "123456789012")] = _key(
        "Account that publishes the AMI: 12 digits, `amazon`, `aws-marketplace` or `self`.",
        example="123456789012",
    )
    name: Mapping[Architecture, Text] = _key(
        "Name pattern for each architecture; `*` and `?` are wildcards.",
        example={"x86_64": "debian-12-amd64-*", "arm64": "debian-12-arm64-*"},
        min_length=1,
    )
    ssh_username: Annotated[StrictStr, AfterValidator(grammar.file_owner)] = _key(
        "The user these AMIs let in over SSH.", example="admin"
    )


class Secret(Model):
    """A Secrets Manager secret that becomes a file on the instance, fetched with the instance's own role."""

    name: Name = _key("What this secret is called in logs.", example="kubeconfig", label=True)
    id: Text = _key("Name or ARN of the secret in Secrets Manager.", example="ci/kubeconfig")
    path: Annotated[StrictStr, AfterValidator(grammar.absolute_path)] = _key(
        "File the value is written to.", example="/home/gitlab-runner/.kube/config"
    )
    owner: Annotated[StrictStr, AfterValidator(grammar.file_owner)] = _key(
        "User, or `user:group`, that owns the file.", example="gitlab-runner", default="root"
    )
    mode: Annotated[StrictStr, AfterValidator(grammar.file_mode)] = _key("The file's mode.", default="0600")
    when: Literal["boot", "build"] = _key(
        "`boot`: fetched whenever an instance starts, and again when it has a new version. `build`: baked "
        "into the AMI, for whoever can start it to see; such an AMI is tagged and must not be shared.",
        default="boot",
    )
    format: Literal["text", "kubeconfig"] = _key(
        "What the value has to be; a `kubeconfig` that does not parse is refused.",
        example="kubeconfig",
        default=None,
        default_text="`kubeconfig` when `path` ends in `/.kube/config`, else `text`",
    )

    @model_validator(mode="before")
    @classmethod
    def _format_follows_path(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("format") is None:
            is_kubeconfig = str(given.get("path", "")).endswith("/.kube/config")
            return {**given, "format": "kubeconfig" if is_kubeconfig else "text"}
        return given


class Drain(Model):
    """What an instance does before AWS takes it away; without this block it does not watch for notices."""

    on: Annotated[tuple[Literal["spot", "rebalance", "termination"], ...], Field(min_length=1)] = _key(
        "Which notices: a Spot interruption, a rebalance recommendation, a termination by the group.",
        type_text='list of `"spot"`, `"rebalance"` or `"termination"`',
        default=("spot", "termination"),
    )
    timeout: Duration = _key("How long the running job may take to end.", default=timedelta(hours=2))
    lifecycle_hook: Text | None = _key(
        "Termination lifecycle hook to complete.",
        example="drain",
        default=None,
        default_text="the group's only termination hook",
    )
    unregister: StrictBool = _key(
        "Unregister a gitlab-runner that registered itself on the instance.", default=False
    )


class Verify(Model):
    """How a build is verified on a fresh instance."""

    boot_timeout: Duration = _key(
        "How long the instance may take until it answers over SSH.", default=timedelta(minutes=5)
    )
    ready_timeout: Duration = _key(
        "How long `amifactory-ready` may take from the moment SSH answers.", default=timedelta(minutes=2)
    )
    timeout: Duration = _key("How long the specs may take.", default=timedelta(minutes=15))
    ready_within: Duration | None = _key(
        "Reject a build that is ready for its first job later than this after its launch.",
        example="60s",
        default=None,
        default_text="no limit",
    )
    first_run_within: Duration | None = _key(
        "Reject a build on which the first `docker run` of a pre-pulled image takes longer.",
        example="20s",
        default=None,
        default_text="no limit",
    )
    regression: Annotated[float, BeforeValidator(grammar.percentage)] | None = _key(
        "Reject a build that starts so much slower than the verified one before it.",
        type_text="percentage",
        example="20%",
        default=None,
        default_text="no limit",
    )
    allow_leaks: tuple[Annotated[StrictStr, AfterValidator(grammar.leak_pattern)], ...] = _key(
        "Findings of the leak scan to live with: kind and path, both may have wildcards.",
        example=["private-key:/opt/example/test/*.pem"],
        default=(),
    )
    instance_type: InstanceTypes | None = _key(
        "Instance type to verify on, for all architectures or for each.",
        type_text=_ONE_OR_EACH,
        example="t3.large",
        default=None,
        default_text="the image's `instance_type`",
    )

    @property
    def budget(self) -> Budget:
        """The limits that a build's cold start is judged by."""
        return Budget(
            ready_within=self.ready_within.total_seconds() if self.ready_within else None,
            first_run_within=self.first_run_within.total_seconds() if self.first_run_within else None,
            regression=self.regression,
        )


class Image(Model):
    """A recipe: what is built on what, with which tools."""

    name: Name = Field(json_schema_extra={"hidden": True})
    folder: Path = Field(json_schema_extra={"hidden": True})
    description: Text | None = _key(
        "What the image is for, in a sentence.", example="Node 22 for CI", default=None
    )
    parent: StrictStr | None = _key(
        "Image this one is built on. Either this or `source_ami` blocks.", example="base-docker", default=None
    )
    os: StrictStr | None = _key(
        "Which `source_ami` block to build on.",
        example="debian-12",
        default=None,
        default_text="the first one",
    )
    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)] = _key(
        "Architectures to build for.", example=["x86_64", "arm64"], default=(Architecture.X86_64,)
    )
    instance_type: InstanceTypes = _key(
        "Instance type to build on, for all architectures or for each.",
        type_text=_ONE_OR_EACH,
        example={"x86_64": "t3.large"},
        default=DEFAULT_INSTANCE_TYPES,
    )
    tools: Mapping[Annotated[StrictStr, AfterValidator(grammar.tool_name)], Text] = _key(
        "Tools and their versions; provisioning scripts see them as `TOOL_<NAME>`.",
        example={"node": "22.11.0"},
        default={},
    )
    checksums: Mapping[Text, Annotated[StrictStr, AfterValidator(grammar.sha256)]] = _key(
        "SHA-256 of downloaded files, by file name.",
        example={"node-v22.11.0-linux-x64.tar.xz": "<64 hexadecimal digits>"},
        default={},
    )
    prepull: tuple[Annotated[StrictStr, AfterValidator(grammar.container_reference)], ...] = _key(
        "Container images to have in the AMI, pulled by the digest their tag has when the build is planned.",
        example=["node:22-bookworm-slim"],
        default=(),
    )
    max_age: Duration | None = _key(
        "Rebuild when the newest build is older.", example="7d", default=None, default_text="never"
    )
    source_amis: tuple[SourceAmiFilter, ...] = _key(
        "An AMI to build on; one block for each OS.", default=(), alias="source_ami"
    )
    secrets: tuple[Secret, ...] = _key("A secret to fetch; one block each.", default=(), alias="secret")
    drain: Drain | None = _key("What happens before an instance is taken away.", default=None)
    verify: Verify = _key("How builds are verified.", default=Verify())

    @property
    def source(self) -> SourceAmiFilter | None:
        """The chosen `source_ami` block; None for an image with a parent."""
        chosen = (ami for ami in self.source_amis if self.os in (None, ami.os))
        return next(chosen, None)

    def instance_type_for(self, architecture: Architecture) -> str:
        """Returns the instance type builds for ``architecture`` run on."""
        return self.instance_type.get(architecture) or DEFAULT_INSTANCE_TYPES[architecture]

    def verify_instance_type_for(self, architecture: Architecture) -> str:
        """Returns the instance type builds for ``architecture`` are verified on."""
        own = (self.verify.instance_type or {}).get(architecture)
        return own or self.instance_type_for(architecture)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A factory and its images, valid together.

    Attributes:
        root: The folder of ``factory.hcl``.
        images: By name, in the order of their names.
    """

    root: Path
    factory: Factory
    images: Mapping[str, Image]

    @property
    def parents(self) -> Mapping[str, str | None]:
        """Each image's parent image, as `amifactory.domain.graph` takes it."""
        return MappingProxyType({name: image.parent for name, image in self.images.items()})

    def for_sandbox(self, *, registry_mirror: str, instance_profile: str) -> Configuration:
        """Returns it without what exists in the account only: network, key, mirrors, registries, other roles.

        The sandbox has distribution packages and nothing else of the internet, so builds there are offline.
        """
        given = self.factory.build
        build = BuildSettings(
            ssh_timeout=given.ssh_timeout,
            timeout=given.timeout,
            jobs=given.jobs,
            volume_size=given.volume_size,
            offline=True,
            registry_mirror=registry_mirror,
            instance_profile=instance_profile,
        )
        return replace(self, factory=self.factory.model_copy(update={"build": build}))
