"""``throttling``: promotions and a status while AWS asks for fewer calls."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from fleet_account import Fleets, fleet_account
from measure import BenchmarkError
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet_account import FleetAccount
    from measure import Bench

FLEETS = Fleets(channel="staging", number=25)
EVERY = 3
"""Which calls are throttled in a storm: every third."""
ATTEMPTS = 10
OPERATION = "DescribeAutoScalingGroups"
"""Throttled until the last attempt; `amifactory status` makes one such call for a hundred fleets."""


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields what a storm of throttling costs a promotion, and how often one call is tried."""
    with fleet_account(bench) as account:
        account.configure(FLEETS)
        account.promote(FLEETS, account.build())
        yield from _storm(account, bench.rounds(3))
        yield from _last_attempt(account)


def _storm(account: FleetAccount, rounds: int) -> Iterator[Measurement]:
    """Promotes in turn undisturbed and in a storm; one that fails ends the benchmark."""
    pairs = []
    for _ in range(rounds):
        calm = account.promote(FLEETS, account.build())
        ami_id = account.build()
        for number in range(EVERY, EVERY * len(calm.calls), EVERY):  # more than there will be
            account.ask("POST", "failures", {"effect": "throttle", "call": number})
        pairs.append((calm, account.promote(FLEETS, ami_id)))
        account.ask("DELETE", "failures")
    calm, stormy = pairs[-1]
    if calm.throttled or stormy.throttled != len(stormy.calls) // EVERY:
        raise BenchmarkError(f"{stormy.throttled} of {len(stormy.calls)} calls were throttled, not a third")
    for what, value, unit in (
        (f"AWS calls, {FLEETS.number} fleets undisturbed", len(calm.calls), "calls"),
        ("the same with every third call throttled: attempts", len(stormy.calls), "calls"),
        ("the same, answered", len(stormy.calls) - stormy.throttled, "calls"),
        ("undisturbed", median(pair[0].taken.wall for pair in pairs), "s"),
        ("with every third call throttled", median(pair[1].taken.wall for pair in pairs), "s"),
        ("the one / the other", median(two.taken.wall / one.taken.wall for one, two in pairs), "x"),
    ):
        yield Measurement(
            benchmark="throttling", what=what, value=value, unit=unit, limit=None, rounds=rounds
        )


def _last_attempt(account: FleetAccount) -> Iterator[Measurement]:
    """Has one call throttled until its last attempt; the command fails if it is given up before."""
    account.ask("POST", "failures", {"effect": "throttle", "operation": OPERATION, "times": ATTEMPTS - 1})
    asked = account.run("status")
    if asked.throttled != ATTEMPTS - 1:
        raise BenchmarkError(f"{OPERATION} was throttled {asked.throttled} times, not {ATTEMPTS - 1}")
    yield Measurement(
        benchmark="throttling",
        what=f"attempts at a call throttled {ATTEMPTS - 1} times in a row",
        value=sum(call["operation"] == OPERATION for call in asked.calls),
        unit="calls",
        limit=ATTEMPTS,
        rounds=1,
    )
    yield Measurement(
        benchmark="throttling",
        what="status with that call",
        value=asked.taken.wall,
        unit="s",
        limit=None,
        rounds=1,
    )
