"""The sandbox's clock over its admin address: `GET` and `POST /amifactory/clock`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from amifactory.sandbox.failures import json_reply

if TYPE_CHECKING:
    from amifactory.sandbox.moto_errors import Reply
    from amifactory.sandbox.scaling.engine import Engine


class ClockDesk:
    """Tells the time and changes it, for those who will not wait an hour."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tell(self, _: bytes = b"") -> Reply:
        """Answers with seconds since the sandbox began, the date by its clock, and its speed."""
        return json_reply(200, self._now())

    def change(self, body: bytes) -> Reply:
        """Answers ``{"speed": 60}`` or ``{"advance": 3600}``; all groups then take a step at once."""
        try:
            _apply(self._engine, json.loads(body))
        except (TypeError, ValueError) as error:
            return json_reply(400, {"error": str(error)})
        self._engine.tick()
        return self.tell()

    def _now(self) -> dict[str, Any]:
        clock = self._engine.clock
        return {"now": clock.now(), "utc": clock.utc().isoformat(), "speed": clock.speed}


def _apply(engine: Engine, asked: Any) -> None:
    if not isinstance(asked, dict) or not asked or set(asked) - {"advance", "speed"}:
        raise ValueError('the document is {"speed": FACTOR} or {"advance": SECONDS}')
    if "speed" in asked:
        engine.clock.run_at(float(asked["speed"]))
    if "advance" in asked:
        engine.clock.advance(float(asked["advance"]))
