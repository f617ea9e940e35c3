"""Shows a run on stderr: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from amifactory.cli.output import COLORS, duration
from amifactory.domain.staleness import Action
from amifactory.operations.outcome import Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import RenderableType
    from rich.live import Live

    from amifactory.domain.model import Target
    from amifactory.domain.staleness import BuildPlan
    from amifactory.operations.outcome import Outcome


class PlainProgress:
    """One line for each step's beginning and each end; for pipes and CI logs."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._began = clock()
        self._steps: dict[Target, str] = {}

    def __enter__(self) -> Self:
        """Returns itself; there is nothing to set up."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves what was printed."""

    def planned(self, plan: BuildPlan) -> None:
        """Says how much there is to do."""
        if plan.stale:
            self._line(f"{len(plan.stale)} of {len(plan.steps)} images to do")

    def step(self, target: Target, name: str) -> None:
        """Says that a step began; Packer may announce one several times."""
        if self._steps.get(target) != name:
            self._steps[target] = name
            self._line(f"{target}: {name}")

    def output(self, target: Target, line: str) -> None:
        """Says nothing: the log has it."""

    def finished(self, outcome: Outcome) -> None:
        """Says how a target ended, unless it was simply reused."""
        if outcome.result is Result.REUSED:
            return
        why = f" ({outcome.error.splitlines()[0]})" if outcome.error else ""
        self._line(f"{outcome.target}: {outcome.result}{why}")

    def _line(self, text: str) -> None:
        self._say(f"[{duration(self._clock() - self._began) or '0:00':>5}] {text}")


@dataclass(kw_only=True)
class _Row:
    step: str = "waiting"
    began: float | None = None
    ended: float | None = None
    line: str = ""
    style: str = field(default="dim")


class LiveProgress:
    """One line for each image: step, time, last output; redrawn in place."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[Target, _Row] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Starts redrawing."""
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(
            console=Console(stderr=True),
            get_renderable=self._table,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draws the last state and leaves it standing."""
        if self._live:
            self._live.stop()

    def planned(self, plan: BuildPlan) -> None:
        """Lists what there is to do."""
        with self._lock:
            self._rows = {step.target: _Row() for step in plan.steps if step.action is not Action.REUSE}

    def step(self, target: Target, name: str) -> None:
        """Shows that a step began."""
        with self._lock:
            row = self._rows.setdefault(target, _Row())
            row.step, row.line, row.style = name, "", "bold"
            row.began = self._clock() if row.began is None else row.began

    def output(self, target: Target, line: str) -> None:
        """Shows the step's last line."""
        with self._lock:
            self._rows.setdefault(target, _Row()).line = line.strip()

    def finished(self, outcome: Outcome) -> None:
        """Shows how a target ended."""
        if outcome.result is Result.REUSED:
            return
        with self._lock:
            row = self._rows.setdefault(outcome.target, _Row())
            row.step, row.style = outcome.result.value, COLORS[outcome.result]
            row.line = (outcome.error or outcome.ami_id or "").splitlines()[0]
            row.ended = self._clock()

    def _table(self) -> RenderableType:
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table.grid(padding=(0, 2), expand=True)
        with self._lock:
            names, steps = map(str, self._rows), (row.step for row in self._rows.values())
            # Only the last column gives way on a narrow terminal.
            table.add_column(no_wrap=True, width=max(map(len, names), default=0))
            table.add_column(no_wrap=True, width=max(map(len, steps), default=0))
            table.add_column(justify="right", no_wrap=True, width=5)
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
            for target, row in self._rows.items():
                seconds = 0.0 if row.began is None else (row.ended or self._clock()) - row.began
                table.add_row(
                    str(target),
                    Text(row.step, style=row.style),
                    duration(seconds),
                    Text(row.line, style="dim"),
                )
        return table
