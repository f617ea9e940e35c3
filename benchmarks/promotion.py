"""``promotion``: a hundred fleets without workers, in calls and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet_account import KINDS, NEWEST, Fleets, fleet_account, promote_all
from report import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleet_account import Asked, FleetAccount
    from measure import Bench

CALLS = 6
"""What a fleet may cost; what a promotion of one fleet makes beside that is a row of its own."""
SIZES = (25, 50, 100)
LINEAR = 1.2
"""How much more time a fleet may take among four times as many."""
FEW, MORE = 10, 30
"""Fleets of each kind; the difference tells what one costs. Of more, versions are asked for together."""


def measure(bench: Bench) -> Iterator[Measurement]:
    """Yields the calls that a promotion makes, for each kind of group, and how time grows with fleets."""
    with fleet_account(bench) as account:
        yield from _kinds(account)
    with fleet_account(bench) as account:
        yield from _sizes(account, bench.rounds(6))


def _kinds(account: FleetAccount) -> Iterator[Measurement]:
    """Counts what a fleet costs, by how its group names what it starts; waiting for AWS included."""
    channels = [
        Fleets(channel=f"{kind.strip('$').lower()}-{number}", number=number, kind=kind)
        for kind in KINDS
        for number in (FEW, MORE)
    ]
    account.configure(NEWEST, *channels)
    asked = promote_all(account, channels)
    for at, kind in enumerate(KINDS):
        few, more = asked[2 * at : 2 * at + 2]
        yield _calls_each(f"{kind}, {FEW} to {MORE} fleets", each_more(few, more, MORE - FEW))


def _sizes(account: FleetAccount, rounds: int) -> Iterator[Measurement]:
    """Compares a hundred fleets with fewer; of time, the least of the rounds counts."""
    channels = [Fleets(channel=f"fleets-{number}", number=number) for number in (1, *SIZES)]
    account.configure(NEWEST, *channels)
    promote_all(account, channels)  # the first release is not like others, and nothing is compiled yet
    taken = list(zip(*(promote_all(account, channels) for _ in range(rounds)), strict=True))
    *_, half, whole = (of_size[-1] for of_size in taken)
    more = each_more(half, whole, SIZES[-1] - SIZES[-2])
    yield _calls_each(f"pinned, {SIZES[-2]} to {SIZES[-1]} fleets", more)
    yield _calls(f"AWS calls, {SIZES[-1]} fleets", len(whole.calls))
    yield _calls("AWS calls, 1 fleet", len(taken[0][-1].calls))
    for clock, limit in (("processor", LINEAR), ("wall", None)):
        costs = fleet_seconds([_least(of_size, clock) for of_size in taken], (1, *SIZES))
        for size, cost, most in zip(SIZES[1:], costs[1:], (None, limit), strict=True):
            yield Measurement(
                benchmark="promotion",
                what=f"{clock} time of each fleet, {size} fleets / {SIZES[0]} fleets",
                value=cost / costs[0],
                unit="x",
                limit=most,
                rounds=rounds,
            )
        yield Measurement(
            benchmark="promotion",
            what=f"{clock} time, {SIZES[-1]} fleets",
            value=_least(taken[-1], clock),
            unit="s",
            limit=None,
            rounds=rounds,
        )


def each_more(few: Asked, more: Asked, fleets: int) -> float:
    """Returns how many calls each of so many more fleets made."""
    return (len(more.calls) - len(few.calls)) / fleets


def fleet_seconds(seconds: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """Returns what each fleet takes, for each size but the first: that is taken off, as start-up is in it."""
    start, *costs = seconds
    few, *numbers = sizes
    return [(cost - start) / (number - few) for cost, number in zip(costs, numbers, strict=True)]


def _least(rounds: Sequence[Asked], clock: str) -> float:
    return min(asked.taken.cpu if clock == "processor" else asked.taken.wall for asked in rounds)


def _calls_each(what: str, value: float) -> Measurement:
    return Measurement(
        benchmark="promotion",
        what=f"AWS calls for each fleet more, {what}",
        value=value,
        unit="calls each",
        limit=CALLS,
        rounds=1,
    )


def _calls(what: str, value: int) -> Measurement:
    return Measurement(benchmark="promotion", what=what, value=value, unit="calls", limit=None, rounds=1)
