"""Releases and channels: what is recorded of a promotion, and in which words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from amifactory.domain.fleet import Pointer, TemplateId
from amifactory.domain.model import AmiId, Architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ReleaseState(StrEnum):
    """How far a release got."""

    IN_PROGRESS = "in progress"
    CURRENT = "current"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"


class Step(StrEnum):
    """How far one fleet got in its release."""

    PENDING = "pending"
    DONE = "done"
    RESTORED = "restored"


class Rollout(StrEnum):
    """How the workers that already run get replaced."""

    PASSIVE = "passive"
    DRAIN = "drain"
    REFRESH = "refresh"


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a launch template starts: an AMI, by a version of it. No version: it has to be made."""

    ami_id: AmiId
    version: int | None


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What one launch template of one fleet starts, before a release and after it.

    Attributes:
        parameter: SSM parameter (with ``:label``, if any) by which the template names its AMI; then that is
            what moves, and the version stays.
        instance_type: What a version that is made gets instead of its source's; None: the same.
    """

    architecture: Architecture
    template_id: TemplateId
    template_name: str
    pointer: Pointer
    before: Start
    after: Start
    parameter: str | None = None
    instance_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class FleetRecord:
    """One fleet in a release.

    Attributes:
        rollout: How its workers were to be replaced.
        last_refresh: Id of the group's newest instance refresh before the release; any newer one is ours.
        workers: How many there were.
        seconds: How long the rollout took.
        boot_seconds: Median time from launch to InService of new workers, if any started.
    """

    fleet: str
    image: str
    group: str
    rollout: Rollout
    canary: bool
    placements: tuple[Placement, ...]
    last_refresh: str | None = None
    step: Step = Step.PENDING
    workers: int = 0
    seconds: float | None = None
    boot_seconds: float | None = None

    @cached_property
    def kept(self) -> dict[str, Any]:
        """Returns it as it is kept, not to be changed: made once, as a release is written for each fleet."""
        return dict(_plain(asdict(self)))


@dataclass(frozen=True, kw_only=True)
class Release:
    """A numbered record: for each fleet what it started before and what it starts after.

    Attributes:
        source: Where the AMIs were taken from: ``newest``, ``staging release 41``, ``release 41``.
        by: ARN of who made it.
        commit: Git commit of the factory, with ``-dirty`` when files differ from it; None outside Git.
        previous: The channel's current release when this one was made; None for its first.
        failure: Why it did not become, or did not stay, the current one.
        parameters: Published SSM parameters: name to AMI id before (None: there was none).
    """

    number: int
    channel: str
    state: ReleaseState
    source: str
    created_at: datetime
    by: str
    commit: str | None
    fleets: tuple[FleetRecord, ...]
    previous: int | None = None
    closed_at: datetime | None = None
    failure: str | None = None
    parameters: Mapping[str, str | None] = field(default_factory=dict)

    def fleet(self, name: str) -> FleetRecord | None:
        """Returns a fleet's record, None when it is not in this release."""
        return next((fleet for fleet in self.fleets if fleet.fleet == name), None)

    def with_fleet(self, record: FleetRecord) -> Release:
        """Returns the release with one fleet's record replaced."""
        return replace(
            self,
            fleets=tuple(record if fleet.fleet == record.fleet else fleet for fleet in self.fleets),
        )

    def with_versions_of(self, records: Iterable[FleetRecord]) -> Release:
        """Returns the release with the template versions that its fleets were moved to."""
        release = self
        for record in records:
            fleet = release.fleet(record.fleet)
            if fleet is None:
                continue
            versions = {known.template_id: known.after.version for known in record.placements}
            placements = tuple(
                replace(known, after=replace(known.after, version=versions[known.template_id]))
                if known.template_id in versions
                else known
                for known in fleet.placements
            )
            release = release.with_fleet(replace(fleet, placements=placements))
        return release

    def amis(self) -> dict[tuple[str, Architecture], AmiId]:
        """Returns the AMI of each image and architecture in it."""
        return {
            (fleet.image, placement.architecture): placement.after.ami_id
            for fleet in self.fleets
            for placement in fleet.placements
        }

    def as_json(self) -> dict[str, Any]:
        """Returns it as it is kept."""
        return {
            **_plain(asdict(replace(self, fleets=()))),
            "fleets": [fleet.kept for fleet in self.fleets],
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Release:
        """Returns a release as it was kept."""
        return cls(
            **{
                **given,
                "state": ReleaseState(given["state"]),
                "created_at": datetime.fromisoformat(given["created_at"]),
                "closed_at": _date(given["closed_at"]),
                "fleets": tuple(_fleet(fleet) for fleet in given["fleets"]),
            }
        )


class ChangeKind(StrEnum):
    """What is being done to a channel."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of a channel that is under way, or was when its maker died.

    Attributes:
        release: The release that is made or, by a rollback, left.
        to: Release a rollback goes back to; None for what there was before the first one.
    """

    kind: ChangeKind
    release: int
    started_at: datetime
    by: str
    to: int | None = None


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Who may change a channel, and until when."""

    owner: str
    acquired_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Unlocked:
    """A lock that a person took away."""

    at: datetime
    by: str
    owner: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ChannelState:
    """A channel: which release is current, what is under way, and who holds the lock; all in one object.

    Attributes:
        release: The current one; None before the first.
        fence: Grows with every lock: who holds an older one may not write any more.
    """

    name: str
    release: int | None = None
    since: datetime | None = None
    change: Change | None = None
    lock: Lock | None = None
    fence: int = 0
    unlocked: tuple[Unlocked, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns it as it is kept."""
        return dict(_plain(asdict(self)))

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> ChannelState:
        """Returns a channel as it was kept."""
        change, lock = given["change"], given["lock"]
        return cls(
            name=given["name"],
            release=given["release"],
            since=_date(given["since"]),
            change=_change(change) if change else None,
            lock=_lock(lock) if lock else None,
            fence=given["fence"],
            unlocked=tuple(
                Unlocked(**{**entry, "at": datetime.fromisoformat(entry["at"])})
                for entry in given["unlocked"]
            ),
        )


def _fleet(given: Mapping[str, Any]) -> FleetRecord:
    return FleetRecord(
        **{
            **given,
            "rollout": Rollout(given["rollout"]),
            "step": Step(given["step"]),
            "placements": tuple(_placement(placement) for placement in given["placements"]),
        }
    )


def _placement(given: Mapping[str, Any]) -> Placement:
    return Placement(
        **{
            **given,
            "architecture": Architecture(given["architecture"]),
            "pointer": Pointer(given["pointer"]),
            "before": Start(**given["before"]),
            "after": Start(**given["after"]),
        }
    )


def _change(given: Mapping[str, Any]) -> Change:
    return Change(
        **{
            **given,
            "kind": ChangeKind(given["kind"]),
            "started_at": datetime.fromisoformat(given["started_at"]),
        }
    )


def _lock(given: Mapping[str, Any]) -> Lock:
    dates = {name: datetime.fromisoformat(given[name]) for name in ("acquired_at", "expires_at")}
    return Lock(**{**given, **dates})


def _date(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
