"""Takes several fleets where their records say: canaries first, then the others, several at once."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from amifactory.domain.promotion import drift
from amifactory.domain.release import FleetRecord, Step
from amifactory.errors import AmifactoryError
from amifactory.operations.fleet_facts import recorded_facts
from amifactory.operations.health import check_health
from amifactory.operations.move_fleet import MoveError, Moves

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from amifactory.operations.workshop import Workshop

LISTEN_SECONDS = 0.2
"""How often the main thread looks up, for Python to run signal handlers."""


class FleetProgress(Protocol):
    """Watches a change of a channel; called from several threads."""

    def step(self, fleet: str, what: str) -> None:
        """A fleet entered its next step."""

    def finished(self, fleet: str, what: str) -> None:
        """A fleet is where it should be, or failed."""


@dataclass(frozen=True, kw_only=True)
class Convoy:
    """Fleets that are moved together.

    Attributes:
        moves: How each is moved.
        parallel: How many are moved at once.
        finished: Told each record once its fleet is where it says.
    """

    moves: Moves
    progress: FleetProgress
    parallel: int
    finished: Callable[[FleetRecord], object]

    def move(
        self, records: Collection[FleetRecord], *, last: Mapping[str, float | None] | None = None
    ) -> None:
        """Moves canaries, then the others; starts no more at the first failure.

        Args:
            records: Where to.
            last: How long each fleet's workers took to start under the last release, for health gates; None
                asks for no health.

        Raises:
            AmifactoryError: The first fleet's that failed, once all that were begun have ended.
        """
        moves = self.moves
        groups = moves.workshop.scaling_groups.groups({record.group for record in records})

        def move(record: FleetRecord) -> FleetRecord:
            group = groups.get(record.group) or moves.group_of(record)
            moved = moves.move(record, group)
            if not group.empty:
                if last is not None:
                    check_health(moves, moved, moves.group_of(moved), last_boot=last.get(record.fleet))
                moved = moves.with_boot_seconds(moved, moves.group_of(moved))
            return replace(moved, step=Step.DONE)

        for canary in (True, False):
            self._each(move, [record for record in records if record.canary is canary], end="done")

    def restore(self, records: Collection[FleetRecord]) -> None:
        """Takes fleets back to what they started before.

        Raises:
            AmifactoryError: The first fleet's that failed, once all that were begun have ended.
        """

        def restore(record: FleetRecord) -> FleetRecord:
            self.moves.restore(record)
            return replace(record, step=Step.RESTORED)

        self._each(restore, records, end="back")

    def _each(
        self,
        work: Callable[[FleetRecord], FleetRecord],
        records: Collection[FleetRecord],
        *,
        end: str,
    ) -> None:
        waiting, running = list(records), dict[Future[FleetRecord], FleetRecord]()
        errors: list[AmifactoryError] = []
        with ThreadPoolExecutor(max_workers=self.parallel, thread_name_prefix="fleet") as pool:
            while (waiting and not errors) or running:
                while waiting and not errors and len(running) < self.parallel:
                    record = waiting.pop(0)
                    running[pool.submit(work, record)] = record
                done, _ = wait(running, timeout=LISTEN_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    record = running.pop(future)
                    try:
                        self.finished(future.result())
                        self.progress.finished(record.fleet, end)
                    except AmifactoryError as error:
                        self.progress.finished(record.fleet, "failed")
                        errors.append(error)
        if errors:
            raise errors[0]


def verify_fleets(workshop: Workshop, records: Collection[FleetRecord]) -> None:
    """Raises unless all fleets start what their records say: somebody else may have changed them.

    Raises:
        MoveError: One does not.
        AwsError: A call was refused.
    """
    facts = recorded_facts(workshop, records)
    for record in records:
        for difference in drift(facts[record.fleet], record):
            raise MoveError(f"fleet {record.fleet}: changed by somebody else meanwhile: {difference}")
