"""What the viewer costs and endures at most."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class WebOptions:
    """Settings of the viewer. Raises ConfigError for values outside what is allowed."""

    quality: int = 80
    """Of the JPEG pictures, 1..100."""
    picture_side: int = 1280
    """Pixels of the longer side that pictures in the page and in the stream are reduced to; snapshots are not."""
    mask_side: int = 640
    """The same for the mask layer of the page."""
    clients: int = 32
    """Pages and readers of the stream at the same time."""
    clients_per_address: int = 16
    sockets: int = 256
    """Open connections of any kind. One more ends the one that has been silent for longest."""
    request_seconds: float = 10.0
    """For a request to come in whole, and for a connection to be kept for the next one."""
    answer_seconds: float = 120.0
    """For an answer that is no stream to be worked out and taken by the client."""
    ack_seconds: float = 60.0
    """For a page, or a reader of the stream, to take one picture."""
    control_seconds: float = 30.0
    """For a control, such as a change of model, to do what was asked."""
    state_seconds: float = 1.0
    """Between two reports of the stream's state to the pages."""
    stale_seconds: float = 2.0
    """Age above which a picture is not given out as a snapshot or as the start of a stream."""
    silent_seconds: float = 10.0
    """Without a new frame, after which `/stream.mjpg` ends so that its reader notices."""
    body_bytes: int = 64 * 1024
    """Of a request."""
    hosts: tuple[str, ...] = ()
    """Names by which browsers may call the viewer besides its own address and this machine's name."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "hosts" and not value > 0:
                raise ConfigError(f"the viewer's {field.name} must be above 0, got {value}")
        if self.quality > 100:
            raise ConfigError(f"the viewer's quality must be 1 to 100, got {self.quality}")
