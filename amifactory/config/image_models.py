"""What ``image.hcl`` may say."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads it
from datetime import timedelta
from pathlib import Path  # noqa: TC003 - pydantic reads it
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr, model_validator

from amifactory.config import grammar
from amifactory.config.fields import ONE_OR_EACH, Duration, InstanceTypes, Model, Name, Text, key, matching
from amifactory.domain.cold_start import Budget
from amifactory.domain.model import Architecture

DEFAULT_INSTANCE_TYPES = {Architecture.X86_64: "t3.large", Architecture.ARM64: "t4g.large"}


class SourceAmiFilter(Model):
    """The newest AMI of an owner whose name matches; the first images are built on one."""

    os: Annotated[StrictStr, AfterValidator(grammar.name)] = key(
        "Name of the operating system, for `os` to choose.", example="debian-12", label=True
    )
    owner: Annotated[StrictStr, matching(r"\d{12}|amazon|self|aws-marketplace", "123456789012")] = key(
        "Account that publishes the AMI: 12 digits, `amazon`, `aws-marketplace` or `self`.",
        example="123456789012",
    )
    name: Mapping[Architecture, Text] = key(
        "Name pattern for each architecture; `*` and `?` are wildcards.",
        example={"x86_64": "debian-12-amd64-*", "arm64": "debian-12-arm64-*"},
        min_length=1,
    )
    ssh_username: Annotated[StrictStr, AfterValidator(grammar.file_owner)] = key(
        "The user these AMIs let in over SSH.", example="admin"
    )


class Secret(Model):
    """A Secrets Manager secret that becomes a file on the instance, fetched with the instance's own role."""

    name: Name = key("What this secret is called in logs.", example="kubeconfig", label=True)
    id: Text = key("Name or ARN of the secret in Secrets Manager.", example="ci/kubeconfig")
    path: Annotated[StrictStr, AfterValidator(grammar.absolute_path)] = key(
        "File the value is written to.", example="/home/gitlab-runner/.kube/config"
    )
    owner: Annotated[StrictStr, AfterValidator(grammar.file_owner)] = key(
        "User, or `user:group`, that owns the file.", example="gitlab-runner", default="root"
    )
    mode: Annotated[StrictStr, AfterValidator(grammar.file_mode)] = key("The file's mode.", default="0600")
    when: Literal["boot", "build"] = key(
        "`boot`: fetched whenever an instance starts, and again when it has a new version. `build`: baked "
        "into the AMI, for whoever can start it to see; such an AMI is tagged and must not be shared.",
        default="boot",
    )
    format: Literal["text", "kubeconfig"] = key(
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

    on: Annotated[tuple[Literal["spot", "rebalance", "termination"], ...], Field(min_length=1)] = key(
        "Which notices: a Spot interruption, a rebalance recommendation, a termination by the group.",
        type_text='list of `"spot"`, `"rebalance"` or `"termination"`',
        default=("spot", "termination"),
    )
    timeout: Duration = key("How long the running job may take to end.", default=timedelta(hours=2))
    lifecycle_hook: Text | None = key(
        "Termination lifecycle hook to complete.",
        example="drain",
        default=None,
        default_text="the group's only termination hook",
    )
    unregister: StrictBool = key(
        "Unregister a gitlab-runner that registered itself on the instance.", default=False
    )


class Verify(Model):
    """How a build is verified on a fresh instance."""

    boot_timeout: Duration = key(
        "How long the instance may take until it answers over SSH.", default=timedelta(minutes=5)
    )
    ready_timeout: Duration = key(
        "How long `amifactory-ready` may take from the moment SSH answers.", default=timedelta(minutes=2)
    )
    timeout: Duration = key("How long the specs may take.", default=timedelta(minutes=15))
    ready_within: Duration | None = key(
        "Reject a build that is ready for its first job later than this after its launch.",
        example="60s",
        default=None,
        default_text="no limit",
    )
    first_run_within: Duration | None = key(
        "Reject a build on which the first `docker run` of a pre-pulled image takes longer.",
        example="20s",
        default=None,
        default_text="no limit",
    )
    regression: Annotated[float, BeforeValidator(grammar.percentage)] | None = key(
        "Reject a build that starts so much slower than the verified one before it.",
        type_text="percentage",
        example="20%",
        default=None,
        default_text="no limit",
    )
    allow_leaks: tuple[Annotated[StrictStr, AfterValidator(grammar.leak_pattern)], ...] = key(
        "Findings of the leak scan to live with: kind and path, both may have wildcards.",
        example=["private-key:/opt/example/test/*.pem"],
        default=(),
    )
    instance_type: InstanceTypes | None = key(
        "Instance type to verify on, for all architectures or for each.",
        type_text=ONE_OR_EACH,
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
    description: Text | None = key(
        "What the image is for, in a sentence.", example="Node 22 for CI", default=None
    )
    parent: StrictStr | None = key(
        "Image this one is built on. Either this or `source_ami` blocks.", example="base-docker", default=None
    )
    os: StrictStr | None = key(
        "Which `source_ami` block to build on.",
        example="debian-12",
        default=None,
        default_text="the first one",
    )
    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)] = key(
        "Architectures to build for.", example=["x86_64", "arm64"], default=(Architecture.X86_64,)
    )
    instance_type: InstanceTypes = key(
        "Instance type to build on, for all architectures or for each.",
        type_text=ONE_OR_EACH,
        example={"x86_64": "t3.large"},
        default=DEFAULT_INSTANCE_TYPES,
    )
    tools: Mapping[Annotated[StrictStr, AfterValidator(grammar.tool_name)], Text] = key(
        "Tools and their versions; provisioning scripts see them as `TOOL_<NAME>`.",
        example={"node": "22.11.0"},
        default={},
    )
    checksums: Mapping[Text, Annotated[StrictStr, AfterValidator(grammar.sha256)]] = key(
        "SHA-256 of downloaded files, by file name.",
        example={"node-v22.11.0-linux-x64.tar.xz": "<64 hexadecimal digits>"},
        default={},
    )
    prepull: tuple[Annotated[StrictStr, AfterValidator(grammar.container_reference)], ...] = key(
        "Container images to have in the AMI, pulled by the digest their tag has when the build is planned.",
        example=["node:22-bookworm-slim"],
        default=(),
    )
    max_age: Duration | None = key(
        "Rebuild when the newest build is older.", example="7d", default=None, default_text="never"
    )
    source_amis: tuple[SourceAmiFilter, ...] = key(
        "An AMI to build on; one block for each OS.", default=(), alias="source_ami"
    )
    secrets: tuple[Secret, ...] = key("A secret to fetch; one block each.", default=(), alias="secret")
    drain: Drain | None = key("What happens before an instance is taken away.", default=None)
    verify: Verify = key("How builds are verified.", default=Verify())

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
