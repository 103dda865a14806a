"""The flags that only a live stream has."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeseg_runtime.errors import ConfigError

LEAST_MEMORY = 64_000_000
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@Parameter(name="*", group="Live")
@dataclass(frozen=True)
class LiveConfig:
    """Cameras and live streams only."""

    every_frame: bool = False
    """Show every frame at once, with the newest mask moved along to it; else only frames with a mask of their own."""
    skip_static: bool = False
    """Let the model rest while nothing changes in the picture, for a second at most."""
    web: str | None = None
    """Serve the viewer at [HOST:]PORT: `8080` is for this machine, `0.0.0.0:8080` for its networks, with a token."""
    also: Annotated[tuple[Path, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """Another model that the viewer may switch to. Repeatable."""
    model_memory: str | None = None
    """Memory that a model may take, such as 2GB; some gigabytes above its file's size if not given."""
    model_load_time: float | None = None
    """Seconds that a model may take to its first mask; 60 on the processor if not given."""
    record: Path | None = None
    """Record into this folder, in files of ten seconds that no crash spoils."""
    record_on: str = "always"
    """`always`, `manual` (the viewer's button), or a condition such as `person>5%`, with five seconds around it."""
    record_quota: str | None = None
    """Delete the oldest recordings above this size, such as 10GB."""
    zones: Path | None = None
    """YAML file with named areas, which the viewer can draw; entering and leaving them become events."""
    blur: Annotated[tuple[str, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """Class to make unrecognisable before any output; where the mask is in doubt, the whole picture. Repeatable."""
    background: str | None = None
    """`blur`, or a picture to put in its place: everything that is not one of --foreground."""
    foreground: Annotated[tuple[str, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """Class that --background leaves as it is. Repeatable."""
    events: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Write what happens (sources, zones, recordings, models) as JSON lines to this file; `-` is stdout."""
    webhook: str | None = None
    """Post events to this http or https URL, signed with EDGESEG_WEBHOOK_SECRET where that is set."""
    mqtt: str | None = None
    """Send events to this broker: mqtt://[USER:PASSWORD@]HOST[:PORT]."""
    spool: Path | None = None
    """Folder that keeps what --webhook and --mqtt could not deliver yet, for the next start too; else in memory."""
    metrics: str | None = None
    """Serve Prometheus metrics at [HOST:]PORT; the viewer serves them too, at /metrics."""

    def __post_init__(self) -> None:
        if self.record is None and (self.record_on != "always" or self.record_quota is not None):
            raise ConfigError("--record-on and --record-quota need --record FOLDER")
        if self.also and self.web is None:
            raise ConfigError("--also is for the viewer, which --web [HOST:]PORT starts")
        if (self.background is None) != (not self.foreground):
            raise ConfigError("--background and --foreground go together")
        if self.spool is not None and self.webhook is None and self.mqtt is None:
            raise ConfigError("--spool keeps what --webhook and --mqtt have to deliver, and neither is given")
        if self.model_load_time is not None and not 0 < self.model_load_time < inf:
            raise ConfigError(f"--model-load-time must be above 0 seconds, got {self.model_load_time}")
        self.quota_bytes()
        if (memory := self.memory_bytes()) is not None and memory < LEAST_MEMORY:
            raise ConfigError(f"--model-memory must be at least 64MB, which an engine needs, got {self.model_memory}")

    @property
    def puts_out(self) -> bool:
        """Whether something is put out besides what `OutputConfig` names."""
        return any(place is not None for place in (self.web, self.record, self.events, self.webhook, self.mqtt))

    def quota_bytes(self) -> int | None:
        """Return --record-quota in bytes. Raises ConfigError."""
        return _bytes("record-quota", self.record_quota)

    def memory_bytes(self) -> int | None:
        """Return --model-memory in bytes. Raises ConfigError."""
        return _bytes("model-memory", self.model_memory)

    def named(self) -> list[str]:
        """Return the flags that were given, for a source that cannot have them."""
        return [
            f"--{field.name.replace('_', '-')}"
            for field in fields(self)
            if getattr(self, field.name) != field.default and field.name != "record_on"
        ]


def _bytes(flag: str, text: str | None) -> int | None:
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?B)", text)
    if found is None or (size := int(float(found[1]) * _UNITS[found[2]])) < 1:
        raise ConfigError(f"--{flag} is a size such as 500MB or 10GB, got {text!r}")
    return size
