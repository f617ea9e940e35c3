"""What every part of the sandbox's EC2 shares."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from amifactory.sandbox.ec2_work import Work
from amifactory.sandbox.moto_lock import MotoLock
from amifactory.sandbox.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amifactory.sandbox.driver import InstanceDriver, ServerSettings

ACCOUNT = "123456789012"
"""The account every call without an assumed role in another one belongs to: moto's."""


def utc_now() -> datetime:
    """Returns the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class World:
    """The machines, the settings, the lock on moto's state, the work behind the API, the notices given.

    Attributes:
        now: Tells the time, in UTC, by which AMIs are deprecated, protected and launched.
    """

    driver: InstanceDriver
    settings: ServerSettings
    lock: MotoLock = field(default_factory=MotoLock)
    work: Work = field(default_factory=Work)
    notices: Notices = field(default_factory=Notices)
    now: Callable[[], datetime] = utc_now
    networks: dict[tuple[str, str], int] = field(default_factory=dict)
    """(account, region) pairs other than the main region, numbered in order of first use."""


def ec2_regions() -> Iterator[Any]:
    """Yields the EC2 backend of every account and Region used so far."""
    for regions in list(ec2_backends.values()):
        yield from list(regions.values())


def ec2_error(code: str, message: str) -> EC2ClientError:
    """Returns an error EC2 answers with HTTP 400."""
    return EC2ClientError(code, message)


def check_id(value: str, *, prefix: str, code: str) -> None:
    """Raises ``code``.Malformed unless ``value`` looks like an id of this kind."""
    if not re.fullmatch(rf"{prefix}-[0-9a-z]+", value):
        raise ec2_error(f"{code}.Malformed", f'Invalid id: "{value}" (expecting "{prefix}-...")')


def tags_of(specifications: list[dict[str, Any]], kind: str) -> dict[str, str]:
    """Returns the tags a request's TagSpecifications give to resources of this kind."""
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in specifications
        if specification.get("ResourceType") == kind
        for tag in specification.get("Tags", [])
    }
