"""The secrets of an image and of what it is built on: which there are, and what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.errors import UsageError
from amifactory.operations.plan import lineage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from amifactory.config.models import Configuration, Image, Secret
    from amifactory.operations.workshop import Workshop


def secrets_of(configuration: Configuration, image: Image) -> tuple[Secret, ...]:
    """Returns the secrets an instance of the image has: its own, and its ancestors' at other paths."""
    by_path = {
        secret.path: secret
        for ancestor in reversed(lineage(configuration, image))
        for secret in ancestor.secrets
    }
    return tuple(by_path.values())


def baked_secrets(configuration: Configuration, image: Image) -> tuple[str, ...]:
    """Returns the names of the secrets that are in the image's AMI.

    One that an ancestor baked stays in the AMI's history, whatever a descendant does at its path.
    """
    ancestors = lineage(configuration, image)
    names = {secret.name for ancestor in ancestors for secret in ancestor.secrets if secret.when == "build"}
    return tuple(sorted(names))


def secret_warnings(configuration: Configuration, names: Collection[str]) -> Iterator[str]:
    """Yields what the owner of the named images should know of their secrets."""
    for name in sorted(names):
        for secret in configuration.images[name].secrets:
            if secret.when == "build":
                yield (
                    f'images/{name}/image.hcl: secret "{secret.name}" is baked into the AMI '
                    '(when = "build"): whoever may start or copy it can read the value. '
                    "The AMI is tagged, so that it is not shared."
                )


def check_secrets(workshop: Workshop, names: Collection[str]) -> None:
    """Raises unless every secret of the named images exists and their instances have a role to read it with.

    Raises:
        UsageError: No instance profile is set.
        AwsError: A secret is missing.
    """
    configuration = workshop.configuration
    secrets = {name: secrets_of(configuration, configuration.images[name]) for name in sorted(names)}
    for name, found in secrets.items():
        if found and not configuration.factory.build.instance_profile:
            raise UsageError(
                f'images/{name}: secret "{found[0].name}" is read with the instance\'s own role, which needs '
                "build.instance_profile in factory.hcl",
                hint="The role needs secretsmanager:GetSecretValue and secretsmanager:DescribeSecret on it.",
            )
    workshop.secrets.check(secret.id for found in secrets.values() for secret in found)
