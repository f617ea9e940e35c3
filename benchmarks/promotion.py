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
"""What one more fleet may cost."""
SIZES = (25, 50, 100)
LINEAR = 1.2
"""How much longer a call may take with four times the fleets."""
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
        yield _count(f"AWS calls for each fleet more, {kind}", each_more(few, more, MORE - FEW), CALLS)


def _sizes(account: FleetAccount, rounds: int) -> Iterator[Measurement]:
    """Compares a hundred fleets with fewer; of time, the least of the rounds counts."""
    channels = [Fleets(channel=f"fleets-{number}", number=number) for number in (1, *SIZES)]
    account.configure(NEWEST, *channels)
    promote_all(account, channels)  # the first release is not like others, and nothing is compiled yet
    taken = list(zip(*(promote_all(account, channels) for _ in range(rounds)), strict=True))
    *_, half, whole = (of_size[-1] for of_size in taken)
    more = each_more(half, whole, SIZES[-1] - SIZES[-2])
    yield _count(f"AWS calls for each fleet more, {SIZES[-2]} to {SIZES[-1]}", more, CALLS)
    yield _count(f"AWS calls of {SIZES[-1]} fleets", len(whole.calls), None)
    yield _count("AWS calls of 1 fleet", len(taken[0][-1].calls), None)
    for clock, limit in (("processor", LINEAR), ("wall", None)):
        costs = call_seconds(taken, clock)
        for size, cost, most in zip(SIZES[1:], costs[1:], (None, limit), strict=True):
            yield Measurement(
                benchmark="promotion",
                what=f"{clock} time for each call, {size} fleets / {SIZES[0]} fleets",
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


def call_seconds(taken: Sequence[Sequence[Asked]], clock: str) -> list[float]:
    """Returns the seconds of a call for each size but the first, which is taken off: one fleet's.

    The least of the rounds counts, as other processes only ever add to it.

    Args:
        taken: Rounds of each size.
        clock: ``processor`` or ``wall``.
    """
    start, *costs = (_least(rounds, clock) for rounds in taken)
    few, *numbers = (len(rounds[-1].calls) for rounds in taken)
    return [(cost - start) / (number - few) for cost, number in zip(costs, numbers, strict=True)]


def _least(rounds: Sequence[Asked], clock: str) -> float:
    return min(asked.taken.cpu if clock == "processor" else asked.taken.wall for asked in rounds)


def _count(what: str, value: float, limit: float | None) -> Measurement:
    return Measurement(benchmark="promotion", what=what, value=value, unit="calls", limit=limit, rounds=1)
