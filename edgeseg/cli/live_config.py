"""The flags that only a live stream has, group by group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

from cyclopts import Parameter

from edgeseg.cli.byte_sizes import bytes_of
from edgeseg.cli.camera_config import CameraConfig
from edgeseg.cli.outward_config import DeliveryConfig, PrivacyConfig
from edgeseg.cli.record_config import RecordConfig
from edgeseg.cli.stream_groups import LIVE
from edgeseg.cli.viewer_config import ViewerConfig
from edgeseg_runtime.errors import ConfigError

LEAST_MEMORY = 64_000_000


@Parameter(name="*", group=LIVE)
@dataclass(frozen=True)
class LiveModelConfig:
    """How a model follows a live source."""

    every_frame: bool = False
    """Show every frame at once, with the newest mask moved along to it; else only frames with a mask of their own."""
    skip_static: bool = False
    """Let the model rest while nothing changes in the picture, for a second at most."""
    smooth: bool = False
    """Let masks flicker less: average scores along a camera's motion, or hold a class until three masks gainsay it."""
    adapt: bool = False
    """Use a smaller input while frames come faster than masks. For models exported with --dynamic-size."""
    model_memory: str | None = None
    """Memory that a model may take, such as 2GB; some gigabytes above its file's size if not given."""
    model_load_time: float | None = None
    """Seconds that a model may take to its first mask; 60 on the processor if not given."""

    def __post_init__(self) -> None:
        if self.model_load_time is not None and not 0 < self.model_load_time < inf:
            raise ConfigError(f"--model-load-time must be above 0 seconds, got {self.model_load_time}")
        if (memory := self.memory_bytes()) is not None and memory < LEAST_MEMORY:
            raise ConfigError(f"--model-memory must be at least 64MB, which an engine needs, got {self.model_memory}")

    def memory_bytes(self) -> int | None:
        """Return --model-memory in bytes. Raises ConfigError."""
        return bytes_of("model-memory", self.model_memory)


@Parameter(name="*")
@dataclass(frozen=True)
class LiveConfig:
    """Cameras and live streams only."""

    tricks: LiveModelConfig = field(default_factory=LiveModelConfig)
    cameras: CameraConfig = field(default_factory=CameraConfig)
    viewer: ViewerConfig = field(default_factory=ViewerConfig)
    recording: RecordConfig = field(default_factory=RecordConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    outward: DeliveryConfig = field(default_factory=DeliveryConfig)

    @property
    def puts_out(self) -> bool:
        """Whether something is put out besides what `OutputConfig` names."""
        places = (self.viewer.web, self.recording.record, self.outward.webhook, self.outward.mqtt)
        return any(place is not None for place in places)

    def named(self) -> list[str]:
        """Return the flags that were given, for a source that cannot have them."""
        return [flag for group in fields(self) for flag in _named(getattr(self, group.name))]


def _named(group: Any) -> Iterator[str]:
    for one in fields(group):
        if getattr(group, one.name) != one.default:
            yield f"--{one.name.replace('_', '-')}"
