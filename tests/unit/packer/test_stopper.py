from __future__ import annotations

from dataclasses import dataclass, field

from amifactory.domain.cancellation import Cancellation
from amifactory.packer.stopper import Stopper, StopReason


@dataclass
class FakeProcess:
    signals: list[str] = field(default_factory=list)

    def interrupt(self) -> None:
        self.signals.append("interrupt")

    def kill(self) -> None:
        self.signals.append("kill")


class Setting:
    """A stopper with a clock that the test moves: 60 s timeout, 10 s grace."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.process = FakeProcess()
        self.cancellation = Cancellation()
        self.stopper = Stopper(
            self.process, cancellation=self.cancellation, timeout=60, grace=10, clock=lambda: self.now
        )

    def check_at(self, seconds: float) -> list[str]:
        self.now = 1000.0 + seconds
        self.stopper.check()
        return self.process.signals


def test_a_run_in_time_is_left_alone() -> None:
    setting = Setting()
    assert setting.check_at(59.9) == []
    assert setting.stopper.reason is None


def test_a_timeout_interrupts_once_and_kills_after_the_grace_period() -> None:
    setting = Setting()
    assert setting.check_at(60) == ["interrupt"]
    assert setting.check_at(69.9) == ["interrupt"]
    assert setting.check_at(70) == ["interrupt", "kill"]
    assert setting.check_at(99) == ["interrupt", "kill"]
    assert (setting.stopper.reason, setting.stopper.was_killed) == (StopReason.TIMEOUT, True)


def test_a_cancellation_waits_for_packer_as_long_as_it_takes() -> None:
    setting = Setting()
    setting.cancellation.request()
    assert setting.check_at(1) == ["interrupt"]
    assert setting.check_at(5000) == ["interrupt"]
    assert setting.stopper.reason is StopReason.CANCELLED


def test_a_second_request_kills() -> None:
    setting = Setting()
    setting.cancellation.request()
    setting.check_at(1)
    setting.cancellation.request()
    assert setting.check_at(2) == ["interrupt", "kill"]


def test_two_requests_between_checks_kill_at_once() -> None:
    setting = Setting()
    setting.cancellation.request()
    setting.cancellation.request()
    assert setting.check_at(1) == ["kill"]
    assert setting.stopper.reason is StopReason.CANCELLED


def test_after_a_timeout_a_person_can_still_kill() -> None:
    setting = Setting()
    setting.check_at(60)
    setting.cancellation.request()
    assert setting.check_at(61) == ["interrupt"]
    setting.cancellation.request()
    assert setting.check_at(62) == ["interrupt", "kill"]
    assert setting.stopper.reason is StopReason.TIMEOUT
