"""What is told of a model: its name, and the events `model.*`."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from time import monotonic

from edgeseg_runtime.events import Events
from edgeseg_runtime.serving.canvas import Size
from edgeseg_runtime.serving.process import Facts
from edgeseg_runtime.serving.spec import ModelSpec

_PLAIN_NAMES = ("model", "openvino_model")
QUIET_SECONDS = 1.0
"""Failures are told at most this often: a model that fails at every frame would fill every log."""


def display_name(path: Path | str) -> str:
    """Return what people call a model: its file's name, or its folder's where the file is called like all others."""
    path = Path(path)
    return path.parent.name if path.stem in _PLAIN_NAMES and path.parent.name else path.stem


class Reporter:
    """Publishes `model.failed`, `.degraded`, `.recovered`, `.restarted`, `.swapped`, `.refused` and `.resized`."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._lock = Lock()
        self._failures = 0
        self._told_at = -QUIET_SECONDS

    def failed(self, spec: ModelSpec, reason: str, line: str) -> None:
        """Tell of a failure; `failures` counts those since the last one told, with this one."""
        now = monotonic()
        with self._lock:
            self._failures += 1
            if now - self._told_at < QUIET_SECONDS:
                return
            failures, self._failures, self._told_at = self._failures, 0, now
        self._events.publish("model.failed", path=str(spec.path), reason=reason, line=line, failures=failures)

    def degraded(self, spec: ModelSpec, line: str) -> None:
        """Tell that there were too many failures of late."""
        self._events.publish("model.degraded", path=str(spec.path), line=line)

    def recovered(self, spec: ModelSpec) -> None:
        """Tell that the degraded time is over."""
        self._events.publish("model.recovered", path=str(spec.path))

    def restarted(self, spec: ModelSpec, seconds: float) -> None:
        """Tell that a new process serves, `seconds` after the one before was lost."""
        self._events.publish("model.restarted", path=str(spec.path), seconds=round(seconds, 3))

    def swapped(self, spec: ModelSpec, facts: Facts, seconds: float) -> None:
        """Tell that another model serves, `seconds` after it was asked for."""
        self._events.publish(
            "model.swapped",
            path=facts.path,
            name=display_name(facts.path),
            engine=facts.engine,
            device=spec.device,
            precision=facts.precision,
            classes=list(facts.contract.names),
            seconds=round(seconds, 3),
        )

    def refused(self, spec: ModelSpec, line: str) -> None:
        """Tell that a model was not let in."""
        self._events.publish("model.refused", path=str(spec.path), line=line)

    def resized(self, spec: ModelSpec, size: Size) -> None:
        """Tell that the model works at another input size from now on."""
        self._events.publish("model.resized", path=str(spec.path), height=size[0], width=size[1])
