#!/usr/bin/python3
"""Puts the secrets this image asks for in place: at boot, at the build, and when there is a new version.

``/etc/amifactory/secrets.json`` says which. What became of each is in ``/run/amifactory/secrets/NAME.json``,
a `State`. A secret is in place once it has a version; a problem beside it is that of a refresh, which left
the file as it was.

Python 3.9, the standard library, the ``aws`` program; ``yaml`` where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_program import AwsProgram
from host import replace_file, run_program, write_line
from instance_metadata import BUILD_MARK, Metadata, MetadataError
from secret_error import OUTAGE, SecretError
from secret_file import check_kubeconfig, find_owner, load_yaml_module, put_in_place
from secrets_manager import SecretsManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from instance_metadata import ReadMetadata

LISTED = Path("/etc/amifactory/secrets.json")
STATE = Path("/run/amifactory/secrets")
AT_ONCE = 4
"""How many secrets are fetched at the same time: the ``aws`` program keeps a core busy while it starts."""
LONGEST_PAUSE = 16.0
"""Seconds between two attempts, at most: an outage's end is not missed for long."""


@dataclass(frozen=True)
class Secret:
    """An entry of ``secrets.json``.

    Attributes:
        owner: ``user`` or ``user:group``.
        mode: Octal, as text.
        when: ``boot`` or ``build``.
        format: ``text`` or ``kubeconfig``.
    """

    name: str
    id: str
    path: str
    owner: str
    mode: str
    when: str = "boot"
    format: str = "text"


@dataclass(frozen=True)
class State:
    """What became of a secret on this boot.

    Attributes:
        version: Id of the version whose value is in the file; None when none was put there.
        placed_at: When, in seconds since the epoch.
        problem: ``{"why", "of", "final"}``, or None.
        waited: ``{"since", "until"}``, when only the account kept it from being put there first; or None. By
            the steady clock, which is that of systemd's timestamps too.
    """

    name: str
    path: str
    version: str | None = None
    placed_at: float | None = None
    problem: dict[str, Any] | None = None
    waited: dict[str, float] | None = None


class Attempt(NamedTuple):
    """One attempt: when it began and ended, by the steady clock, and what came of it."""

    began: float
    ended: float
    outcome: State | SecretError


@dataclass(frozen=True)
class Instance:
    """The machine, as far as fetching secrets touches it.

    Attributes:
        clock: Seconds, steady.
        now: Seconds since the epoch.
        random: Any number from 0 to 1.
        yaml: The module, or None.
    """

    secrets_manager: SecretsManager
    metadata: ReadMetadata
    clock: Callable[[], float]
    now: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    log: Callable[[str], None]
    yaml: Any
    state: Path


@dataclass(frozen=True)
class Fetcher:
    """Puts secrets in place and notes what became of them."""

    instance: Instance

    def fetch(self, secret: Secret) -> bool:
        """Puts the current value in place; tries for as long as that may help. Returns whether it is."""
        return self._persist(secret, lambda: self._place(secret))

    def refresh(self, secret: Secret) -> bool:
        """Replaces the file if there is a new version or no file; keeps it whatever goes wrong."""
        return self._persist(secret, lambda: self._place_if_new(secret))

    def _persist(self, secret: Secret, attempt: Callable[[], State]) -> bool:
        """Repeats an attempt until it succeeds, or until its problem has lasted longer than waiting helps."""
        before = self._state(secret)
        first: Attempt | None = None
        began: dict[float, float] = {}
        said = ""
        for pause in pauses(self.instance.random):
            this = self._try(attempt)
            first = first or this
            if isinstance(this.outcome, State):
                waited = before.waited if before.version else account_time(first, this)
                self._note(replace(this.outcome, waited=waited))
                return True
            error = this.outcome
            left = began.setdefault(error.patience, this.ended) + error.patience - this.ended
            words = f"{error.why}; {'trying again' if left > 0 else 'giving up'}"
            if words != said:
                self._say(secret, words)
            said = words
            problem = {"why": error.why, "of": error.of, "final": left <= 0}
            self._note(replace(self._state(secret), problem=problem))
            if left <= 0:
                break
            self.instance.sleep(min(pause, left))
        return False

    def _try(self, attempt: Callable[[], State]) -> Attempt:
        began = self.instance.clock()
        outcome: State | SecretError
        try:
            outcome = attempt()
        except SecretError as error:
            outcome = error
        return Attempt(began, self.instance.clock(), outcome)

    def _place(self, secret: Secret) -> State:
        owner = find_owner(secret.owner)
        if secret.when == "boot":
            self._refuse_to_be_baked_in()
        value = self.instance.secrets_manager.value(secret.id)
        if secret.format == "kubeconfig":
            if self.instance.yaml is None:
                self._say(
                    secret, "no yaml module here, so no more is checked than that it looks like a kubeconfig"
                )
            check_kubeconfig(secret.id, value.text, self.instance.yaml)
        try:
            content = value.text.encode()
        except UnicodeEncodeError:
            raise SecretError(f'"{secret.id}" is not text that UTF-8 can hold') from None
        put_in_place(secret.path, content, owner=owner, mode=int(secret.mode, 8))
        self._say(secret, f"in place, version {value.version}")
        return State(secret.name, secret.path, version=value.version, placed_at=self.instance.now())

    def _place_if_new(self, secret: Secret) -> State:
        known = self._state(secret)
        if known.version is not None and Path(secret.path).exists():
            current = self.instance.secrets_manager.version(secret.id)
            if current == known.version:
                return replace(known, problem=None)
        return self._place(secret)

    def _refuse_to_be_baked_in(self) -> None:
        """A build instance is booted from an image whose boot secrets must not get into the next one."""
        try:
            user_data = self.instance.metadata("user-data") or ""
        except MetadataError as error:
            raise SecretError(str(error), patience=OUTAGE) from error
        if BUILD_MARK in user_data.splitlines():
            raise SecretError("this instance becomes an AMI, which must not hold the secret")

    def _state(self, secret: Secret) -> State:
        """Returns what is known of the secret; nothing, if it is of another one or cannot be read."""
        nothing = State(secret.name, secret.path)
        try:
            known = State(**json.loads(self._state_file(secret.name).read_text()))
        except (OSError, ValueError, TypeError):
            return nothing
        return known if known.path == secret.path else nothing

    def _note(self, state: State) -> None:
        replace_file(self._state_file(state.name), json.dumps(asdict(state), indent=2))

    def _state_file(self, name: str) -> Path:
        return self.instance.state / f"{name}.json"

    def _say(self, secret: Secret, words: str) -> None:
        self.instance.log(f"secret {secret.name}: {words}")


def account_time(first: Attempt, last: Attempt) -> dict[str, float] | None:
    """Returns since and until when a secret was waited for only because the account did not give it.

    That is all but one attempt, which it takes in any case: the first, whose program came from a cold disk.
    Where nobody answered the first, it may have lasted until a timeout, and the last stands for it.
    """
    if isinstance(first.outcome, State):
        return None
    since, until = (first.ended, last.ended) if first.outcome.answered else (first.began, last.began)
    return {"since": round(since, 3), "until": round(until, 3)}


def pauses(random_number: Callable[[], float]) -> Iterator[float]:
    """Yields seconds: 1, 2, 4 … 16, 16, each less up to half of it, so that a fleet does not ask as one."""
    for step in count():
        yield min(2.0**step, LONGEST_PAUSE) * (1 - random_number() / 2)


def read_list(file: Path, when: str) -> list[Secret]:
    """Returns the secrets of one kind; none if the image lists none."""
    if not file.exists():
        return []
    return [secret for entry in json.loads(file.read_text()) if (secret := Secret(**entry)).when == when]


def main(arguments: Sequence[str], instance: Instance, *, listed: Path = LISTED) -> int:
    """Returns 0 when every secret is in place and up to date, else 1."""
    parser = argparse.ArgumentParser(prog="fetch_secrets.py", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--when", choices=("boot", "build"), default="boot", help="which secrets (default: boot)"
    )
    parser.add_argument("--refresh", action="store_true", help="only those that have a new version")
    options = parser.parse_args(arguments)
    fetcher = Fetcher(instance)
    one = fetcher.refresh if options.refresh else fetcher.fetch
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return 0 if all(list(pool.map(one, read_list(listed, options.when)))) else 1


def this_instance() -> Instance:
    """Returns the machine this runs on."""
    metadata = Metadata().get
    return Instance(
        secrets_manager=SecretsManager(AwsProgram(run=run_program, environ=os.environ, metadata=metadata)),
        metadata=metadata,
        clock=time.monotonic,
        now=time.time,
        sleep=time.sleep,
        random=random.random,
        log=write_line,
        yaml=load_yaml_module(),
        state=STATE,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], this_instance()))
