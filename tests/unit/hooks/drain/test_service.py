"""The service itself: stopped and started, its words, its settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from drain import WRONG_SETTINGS, Settings, main, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.hooks.drain.conftest import Machine, Service

HOOKS = Path(__file__).parents[4] / "hooks/instance"
TERMINATION = "termination by the Auto Scaling group"


@pytest.mark.parametrize("at", [0, 5, 20, 60, 95, 100, 105, 110])
def test_it_may_be_stopped_and_started_at_any_time(
    service: Callable[..., Service], machine: Machine, at: int
) -> None:
    """The time that jobs have does not begin anew, and gitlab-runner is still what is waited for."""
    machine.runner = 7
    machine.terminate()
    draining = service(timeout=100.0)
    draining.pass_time(at)
    draining.start()
    draining.pass_time(130 - at)
    assert machine.completed == [110]
    assert not (machine.root / "run/nologin").exists()


def test_started_again_after_the_job_has_ended(service: Callable[..., Service], machine: Machine) -> None:
    machine.runner = 7
    machine.terminate()
    draining = service()
    draining.pass_time(20)
    machine.runner = 0
    draining.start()
    draining.pass_time(30)
    draining.start()
    draining.pass_time(30)
    assert machine.completed == [20]
    assert not (machine.root / "run/nologin").exists()


def test_what_is_done_is_said_once(service: Callable[..., Service], machine: Machine) -> None:
    machine.runner = 7
    machine.hooks = {"drain": 7200}
    machine.terminate()
    draining = service()
    draining.pass_time(300)
    machine.runner = 0
    draining.pass_time(300)
    assert machine.said == [
        f"{TERMINATION}: takes no more jobs; jobs may take until 2027-01-15 08:10:00 UTC",
        "sent signal 3 to gitlab-runner, process 7",
        "gitlab-runner, process 7, ends its jobs",
        "lifecycle hook drain waits 7200 s more",
        "no job runs",
        "completed lifecycle hook drain of workers",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"on": ["spot"]}',
        '{"on": ["flood"], "timeout": 1, "lifecycle_hook": null, "unregister": false}',
        '{"on": ["spot"], "timeout": "soon", "lifecycle_hook": null, "unregister": false}',
    ],
)
def test_settings_that_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "drain.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"drain\.json"):
        read_settings(file)


def test_settings(tmp_path: Path) -> None:
    file = tmp_path / "drain.json"
    given = {"on": ["spot", "termination"], "timeout": 7200, "lifecycle_hook": "drain", "unregister": True}
    file.write_text(json.dumps(given))
    assert read_settings(file) == Settings(("spot", "termination"), 7200.0, "drain", True)


def test_the_service_does_not_start_again_and_again_with_wrong_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tmp_path / "drain.json") == WRONG_SETTINGS
    assert f"{tmp_path}/drain.json" in capsys.readouterr().err
    unit = (HOOKS / "amifactory-drain.service").read_text()
    assert f"RestartPreventExitStatus={WRONG_SETTINGS}" in unit
    assert "ConditionPathExists=/etc/amifactory/drain.json" in unit
