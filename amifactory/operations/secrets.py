"""What secrets need before a build can have them, and what their owner should know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amifactory.errors import UsageError
from amifactory.operations.lineage import secrets_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from amifactory.config.models import Configuration
    from amifactory.operations.workshop import Workshop


def secret_warnings(configuration: Configuration, names: Collection[str]) -> Iterator[str]:
    """Yields what the owner of the named images should know of their secrets."""
    for name in sorted(names):
        for secret in configuration.images[name].secrets:
            if secret.when == "build":
                yield (
                    f'images/{name}/image.hcl: secret "{secret.name}" is baked into the AMI '
                    '(when = "build"): whoever may start or copy it can read the value. '
                    "The AMI is tagged amifactory:carries-secret; do not share it."
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
