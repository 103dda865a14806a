"""The flags that say what may be seen of a stream, what is watched for in it, and who is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeseg.cli.stream_groups import DELIVERY, EVENTS, PRIVACY
from edgeseg_runtime.errors import ConfigError


@Parameter(name="*", group=PRIVACY)
@dataclass(frozen=True)
class PrivacyConfig:
    """What no output gets to see."""

    blur: Annotated[tuple[str, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """Class to make unrecognisable before any output; where the mask is in doubt, the whole picture. Repeatable."""
    background: str | None = None
    """`blur`, or a picture to put in its place: everything that is not one of --foreground."""
    foreground: Annotated[tuple[str, ...], Parameter(show_default=False, negative_iterable=())] = ()
    """Class that --background leaves as it is. Repeatable."""

    def __post_init__(self) -> None:
        if (self.background is None) != (not self.foreground):
            raise ConfigError("--background and --foreground go together")


@Parameter(name="*", group=EVENTS)
@dataclass(frozen=True)
class EventConfig:
    """What is watched for, live and in recordings."""

    zones: Path | None = None
    """YAML file with named areas by camera, which the viewer can draw; entering and leaving them become events."""
    events: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Write what happens (zones, lines; live also sources, files, models) as JSON lines to this file; `-` is stdout."""


@Parameter(name="*", group=DELIVERY)
@dataclass(frozen=True)
class DeliveryConfig:
    """Who else is told."""

    webhook: str | None = None
    """Post events to this http or https URL, signed with EDGESEG_WEBHOOK_SECRET where that is set."""
    mqtt: str | None = None
    """Send events to this broker: mqtt://[USER:PASSWORD@]HOST[:PORT]."""
    spool: Path | None = None
    """Folder that keeps what --webhook and --mqtt could not deliver yet, for the next start too; else in memory."""
    metrics: str | None = None
    """Serve Prometheus metrics at [HOST:]PORT; the viewer serves them too, at /metrics."""

    def __post_init__(self) -> None:
        if self.spool is not None and self.webhook is None and self.mqtt is None:
            raise ConfigError("--spool keeps what --webhook and --mqtt have to deliver, and neither is given")
