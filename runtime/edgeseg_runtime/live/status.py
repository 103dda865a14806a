"""What can be asked of a running stream at any time: plain figures, for the viewer, for metrics, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgeseg_runtime.instances.counts import Counts
from edgeseg_runtime.live.account import Account


@dataclass(frozen=True)
class Percentiles:
    """Of durations over the whole stream, in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class CameraStatus:
    """One camera."""

    name: str
    """Short and unique in the stream; what events and outputs call it."""
    title: str
    """What it reads, without credentials."""
    state: str
    """connecting, live, stalled, frozen, reconnecting or failed."""
    reason: str | None
    """Why it is not live."""
    seconds_in_state: float
    size: tuple[int, int] | None
    """(height, width) of its newest frame."""
    account: Account
    captured_fps: float
    """Over the last seconds."""
    shown_fps: float
    picture_age: Percentiles
    """From the frame's arrival to its being given to the outputs."""
    mask_age: Percentiles
    """The same, from the arrival of the frame that the mask was made from."""
    counts: Counts | None = None
    """Of its objects; None where nobody follows them."""


@dataclass(frozen=True)
class ModelStatus:
    """The model that serves now."""

    name: str
    path: str
    engine: str
    device: str
    precision: str
    degraded: bool
    """Five failures within a minute, and not yet a whole minute without one since."""
    restarts: int
    smoothed: bool = False
    """Whether masks are smoothed over time."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Frames by input size (`360×480`), where that adapts to load."""


@dataclass(frozen=True)
class OutputStatus:
    """One output."""

    name: str
    written: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Frames it did not get, by cause: `slow` where it had not finished the one before, `failed` where it raised."""
    error: str | None = None
    """What it failed with last."""


@dataclass(frozen=True)
class Status:
    """The whole stream."""

    uptime_seconds: float
    model: ModelStatus
    cameras: tuple[CameraStatus, ...]
    outputs: tuple[OutputStatus, ...]
    stages: Mapping[str, Percentiles]
    """Milliseconds by stage: preprocess, infer, decode, draw."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        answer = asdict(self)
        for camera, plain in zip(self.cameras, answer["cameras"], strict=True):
            plain["account"] = camera.account.as_dict()
            plain["counts"] = None if camera.counts is None else camera.counts.as_dict()
        return answer
