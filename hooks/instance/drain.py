"""Lets the jobs of this worker end before AWS takes it away.

Looks for the notices that ``/etc/amifactory/drain.json`` names (`notices`). From the first one on the
instance is marked as draining (``/run/amifactory/draining``, which `amifactory-ready` looks at), takes no
more jobs and waits for those that run (`workers`), while its Auto Scaling group is asked to wait too
(`scaling_group`). When they have ended, or their time is up, gitlab-runner is unregistered if that was asked
for, and the group may go on.

How long jobs may take: after a termination by the group, ``timeout`` seconds; after a Spot interruption
notice, until shortly before its time. A rebalance recommendation sets no limit: nothing follows from it
before a notice that does. Draining is never taken back. What was begun is kept in
``/run/amifactory/drain-state.json``: this program may be stopped and started at any time.

Python 3.9, the standard library, the ``aws`` program.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_program import AwsProgram
from host import Host, replace_file, write_line
from instance_metadata import Metadata, MetadataError
from notices import FINAL, PATHS, REBALANCE, SPOT, TERMINATION, Notice, read_notices
from scaling_group import ScalingGroup
from workers import OverSsh, SelfRegistered

if TYPE_CHECKING:
    from instance_metadata import ReadMetadata
    from workers import Worker

SETTINGS = Path("/etc/amifactory/drain.json")
STATE = "run/amifactory/drain-state.json"
MARK = "run/amifactory/draining"
POLL_SECONDS = 5.0
"""EC2 user guide, "Spot Instance interruption notices": "We recommend that you check … every 5 seconds"."""
SPOT_SECONDS = 120.0
"""How long before the interruption its notice comes, when it does not say."""
ABORT_SECONDS = 10.0
"""How long gitlab-runner gets to abort jobs whose time is up."""
RESERVE_SECONDS = 20.0
"""What is left of a Spot notice's time for aborting, unregistering, and completing the lifecycle action."""
UNREGISTER_PAUSE = 30.0
"""Between attempts to unregister."""
WRONG_SETTINGS = 78
"""EX_CONFIG of sysexits.h: starting again will not help."""


@dataclass(frozen=True)
class Settings:
    """What ``drain.json`` says.

    Attributes:
        on: Kinds of notices that count: ``spot``, ``rebalance``, ``termination``.
        timeout: Seconds that jobs may take after a termination.
        hook: The lifecycle hook to complete; None: the group's only one.
    """

    on: tuple[str, ...]
    timeout: float
    hook: str | None
    unregister: bool


def read_settings(file: Path) -> Settings:
    """Returns the settings; raises ValueError when the file is not what install-hooks.sh writes."""
    try:
        given = json.loads(file.read_text())
        on, timeout = tuple(given["on"]), float(given["timeout"])
        settings = Settings(on, timeout, given["lifecycle_hook"], given["unregister"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error!r}") from error
    if not set(settings.on) <= set(PATHS):
        raise ValueError(f"{file}: {settings.on} are not all of {', '.join(PATHS)}")
    return settings


@dataclass
class State:
    """How far draining is.

    Attributes:
        notices: Their texts, by kind.
        deadline: When jobs have to have ended, in seconds since the epoch.
        self_registered: A gitlab-runner was seen here.
    """

    notices: dict[str, str] = field(default_factory=dict)
    deadline: float | None = None
    self_registered: bool = False
    unregistered: bool = False
    let_go: bool = False


def read_state(file: Path) -> State:
    """Returns what an earlier run of this program left, on this boot."""
    try:
        known: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return State()
    return State(**known)


class Drain:
    """Draining, one look at a time."""

    def __init__(self, settings: Settings, host: Host, group: ScalingGroup, *, read: ReadMetadata) -> None:
        self._settings = settings
        self._host = host
        self._group = group
        self._read = read
        self._own_runner, self._over_ssh = SelfRegistered(host), OverSsh(host)
        self._state = read_state(host.root / STATE)
        self._kept = asdict(self._state)
        self._unregister_at = 0.0
        self._said: dict[str, str] = {}

    def look(self) -> None:
        """Does what there is to do now."""
        self._hear()
        if self._state.notices:
            worker = self._worker()
            worker.take_no_more()
            self._advance(worker)
        self._keep()

    def _hear(self) -> None:
        try:
            heard = read_notices(self._read, self._settings.on)
        except MetadataError as error:
            self._say("metadata", str(error))
            return
        self._say("metadata", "")
        for kind, notice in heard.items():
            if kind not in self._state.notices:
                self._begin(kind, notice)

    def _begin(self, kind: str, notice: Notice) -> None:
        state = self._state
        state.notices[kind] = notice.text
        limits = [limit for limit in (state.deadline, self._limit(kind, notice)) if limit is not None]
        state.deadline = min(limits, default=None)
        replace_file(self._host.root / MARK, "".join(f"{text}\n" for text in state.notices.values()))
        until = "" if state.deadline is None else f"; jobs may take until {utc(state.deadline)}"
        self._host.say(f"{notice.text}: takes no more jobs{until}")
        self._keep()

    def _limit(self, kind: str, notice: Notice) -> float | None:
        now = self._host.now()
        if kind == REBALANCE:
            return None
        limit = now + self._settings.timeout
        if kind == SPOT:
            limit = min(limit, (notice.at or now + SPOT_SECONDS) - RESERVE_SECONDS)
        return limit

    def _worker(self) -> Worker:
        """A gitlab-runner that was here once is waited for, whatever became of it; it may also come late."""
        state = self._state
        state.self_registered = state.self_registered or self._own_runner.is_here()
        return self._own_runner if state.self_registered else self._over_ssh

    def _advance(self, worker: Worker) -> None:
        state, now = self._state, self._host.now()
        overdue = state.deadline is not None and now >= state.deadline
        busy = worker.busy()
        self._say("jobs", busy or "no job runs")
        if busy and overdue:
            worker.abort()
        late = state.deadline is not None and now >= state.deadline + ABORT_SECONDS
        if (busy and not late) or (self._is_registered(worker) and not overdue):
            self._hold()
        elif FINAL & set(state.notices) and not state.let_go:
            state.let_go = self._group.let_go()

    def _hold(self) -> None:
        if TERMINATION in self._state.notices:
            self._group.hold()

    def _is_registered(self, worker: Worker) -> bool:
        """Whether GitLab still has to forget this worker; tries to have it do so."""
        state, now = self._state, self._host.now()
        if not self._settings.unregister or state.unregistered:
            return False
        if now >= self._unregister_at:
            self._unregister_at = now + UNREGISTER_PAUSE
            state.unregistered = worker.unregister()
        return not state.unregistered

    def _keep(self) -> None:
        if asdict(self._state) != self._kept:
            self._kept = asdict(self._state)
            replace_file(self._host.root / STATE, json.dumps(self._kept))

    def _say(self, about: str, text: str) -> None:
        """Says what is new."""
        if text != self._said.get(about, ""):
            self._host.say(text or f"{about}: as usual again")
        self._said[about] = text


def utc(seconds: float) -> str:
    """Returns a time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def main(file: Path = SETTINGS) -> int:
    """Looks every few seconds, for as long as the instance lives; ends only when the settings are wrong."""
    try:
        settings = read_settings(file)
    except ValueError as error:
        write_line(str(error))
        return WRONG_SETTINGS
    host, read = Host(), Metadata().get
    aws = AwsProgram(run=host.run, environ=os.environ, metadata=read)
    drain = Drain(settings, host, ScalingGroup(host, aws, read=read, hook=settings.hook), read=read)
    while True:
        drain.look()
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
