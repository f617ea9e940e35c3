"""What a Packer run has said so far: enough to tell its outcome, or where and why it failed."""

from __future__ import annotations

from collections import deque

from amifactory.packer.machine_readable import (
    Artifact,
    ErrorEvent,
    Event,
    InstanceLaunched,
    LeftOut,
    Ui,
    UiKind,
    Unstructured,
)
from amifactory.packer.steps import Step

_LINES_KEPT = 15
_BUILD_OVER = ("Build '", "Cancelling build after ")
_CONFIGURATION_ERROR = "Error: "
_NO_NEWS = "Allowed exit codes are: [0]"


class Record:
    """Collects events; what comes after the step that failed does not blur it."""

    def __init__(self) -> None:
        self.step: str | None = None
        self.instance_id: str | None = None
        self._artifacts: dict[Artifact, None] = {}
        self._errors: list[str] = []
        self._left_out: dict[LeftOut, None] = {}
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._is_cleaning_up = False
        self._last_error: str | None = None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Returns the AMIs made."""
        return tuple(self._artifacts)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Returns what provisioners left out, each once."""
        return tuple(self._left_out)

    @property
    def step_output(self) -> tuple[str, ...]:
        """Returns the last lines of the step that was last at work."""
        return tuple(self._lines)

    @property
    def has_errors(self) -> bool:
        """Returns whether Packer reported a build as failed."""
        return bool(self._errors)

    @property
    def reason(self) -> str | None:
        """Returns why it failed: Packer's verdict on the build, else the last error it showed."""
        return self._errors[0] if self._errors else self._last_error

    def add(self, event: Event) -> None:
        """Takes in one event."""
        match event:
            case Step():
                self._begin(event)
            case Ui() | Unstructured():
                self._keep(event)
            case Artifact():
                self._artifacts[event] = None
            case ErrorEvent(text=text):
                self._errors.append(text.removesuffix(_NO_NEWS))
            case LeftOut():
                self._left_out[event] = None
            case InstanceLaunched(instance_id=instance_id):
                self.instance_id = instance_id

    def _begin(self, step: Step) -> None:
        self._is_cleaning_up = step.is_cleanup
        if not step.is_cleanup:
            self.step = step.name
            self._lines.clear()

    def _keep(self, event: Ui | Unstructured) -> None:
        if event.text.startswith(_BUILD_OVER):
            self._is_cleaning_up = True
        if self._is_cleaning_up or not event.text.strip():
            return
        if isinstance(event, Ui) and event.kind is UiKind.ERROR and not self._is_configuration_error:
            self._last_error = event.text
        self._lines.append(event.text)

    @property
    def _is_configuration_error(self) -> bool:
        return self._last_error is not None and self._last_error.startswith(_CONFIGURATION_ERROR)
