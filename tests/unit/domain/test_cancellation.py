from __future__ import annotations

import pytest

from amifactory.domain.cancellation import Cancellation, CancellationLevel, CancelledError
from amifactory.errors import ExitCode


def test_requests_count_up_to_two() -> None:
    cancellation = Cancellation()
    levels = [cancellation.level, *(cancellation.request() for _ in range(3))]
    assert levels == [
        CancellationLevel.NONE,
        CancellationLevel.ORDERLY,
        CancellationLevel.AT_ONCE,
        CancellationLevel.AT_ONCE,
    ]


def test_check_raises_only_after_a_request() -> None:
    cancellation = Cancellation()
    cancellation.check()
    cancellation.request()
    with pytest.raises(CancelledError) as caught:
        cancellation.check()
    assert caught.value.exit_code == ExitCode.INTERRUPTED
