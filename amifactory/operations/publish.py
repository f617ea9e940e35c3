"""Publishes which AMIs a channel starts, as SSM parameters for Terraform and CloudFormation to read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from amifactory.domain.model import AmiId

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from amifactory.domain.model import Architecture
    from amifactory.domain.release import Release
    from amifactory.operations.workshop import Workshop

WAIT = timedelta(minutes=2)
"""How long AWS may take to check an AMI that a parameter is to name."""


def parameter_name(factory: str, channel: str, image: str, architecture: Architecture) -> str:
    """Returns the name of the SSM parameter that is published for others to read."""
    return f"/amifactory/{factory}/{channel}/{image}/{architecture}"


def published_by(release: Release, factory: str) -> dict[str, str | None]:
    """Returns the parameters that a release publishes: name to AMI id."""
    return {parameter_name(factory, release.channel, *key): ami_id for key, ami_id in release.amis().items()}


def published(workshop: Workshop, names: Mapping[str, object]) -> dict[str, str | None]:
    """Returns what parameters name now; None for those that do not exist.

    Raises:
        AwsError: The call was refused.
    """
    values = workshop.image_parameters.values(list(names))
    return {name: values.get(name) for name in names}


def publish(workshop: Workshop, parameters: Mapping[str, str | None], *, check: Callable[[], None]) -> None:
    """Makes each parameter name its AMI, and waits until it does; None removes it.

    Args:
        check: Raises when the channel's lock is lost; asked before every change.

    Raises:
        AwsError: A call was refused, or AWS did not take a value.
    """
    now = published(workshop, parameters)
    for name, wanted in parameters.items():
        if now[name] == wanted:
            continue
        check()
        if wanted is None:
            workshop.image_parameters.delete(name)
        else:
            workshop.image_parameters.set(name, AmiId(wanted), timeout=WAIT)
