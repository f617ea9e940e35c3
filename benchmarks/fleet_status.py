"""``status``: two hundred fleets without workers, in calls and in time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fleet_account import Fleets, fleet_account
from measure import BenchmarkError
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_account import Asked, FleetAccount
    from measure import Bench

FLEETS = Fleets(channel="staging", number=200)
AT_ONCE = 50
CALLS = FLEETS.number // AT_ONCE * (2 + 1)
"""Two for every 50 fleets, and one for every 50 templates in use."""
SECONDS = 3.0


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields calls and time before the first release, when nothing is known, and after it."""
    rounds = bench.rounds(9)
    with fleet_account(bench) as account:
        account.configure(FLEETS)
        yield from _status(account, "before the first release", None, rounds=rounds)
        account.promote(FLEETS, account.build())
        yield from _status(account, "where their release says", 1, rounds=rounds)


def _status(account: FleetAccount, where: str, release: int | None, *, rounds: int) -> Iterator[Measurement]:
    """Measures the command; the least of the rounds counts, as other processes only ever add to it."""
    _refuse_others(account.run("status", "--json"), release)
    asked = [account.run("status") for _ in range(rounds)]
    documents = asked[-1].of_service("s3")
    for what, value, limit in (
        ("AWS calls", len(asked[-1].calls) - documents, CALLS),
        ("AWS calls for channels and releases", documents, None),
    ):
        yield Measurement(
            benchmark="status",
            what=f"{what}, {FLEETS.number} fleets {where}",
            value=value,
            unit="calls",
            limit=limit,
            rounds=1,
        )
    for what, seconds, most in (
        ("wall time", min(one.taken.wall for one in asked), SECONDS),
        ("processor time", min(one.taken.cpu for one in asked), None),
    ):
        yield Measurement(
            benchmark="status",
            what=f"{what}, {FLEETS.number} fleets {where}",
            value=seconds,
            unit="s",
            limit=most,
            rounds=rounds,
        )


def _refuse_others(asked: Asked, release: int | None) -> None:
    """Raises unless a status tells of all fleets, and has none elsewhere than at a release.

    Raises:
        BenchmarkError: It does not.
    """
    fleets = json.loads(asked.taken.output)["fleets"]
    if len(fleets) != FLEETS.number or any(one["drift"] or one["release"] != release for one in fleets):
        raise BenchmarkError(f"not the fleets that were made: {asked.taken.output[:2000]}")
