"""How patient a live source is. All times are seconds on the monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from edgeseg_runtime.errors import ConfigError


@dataclass(frozen=True)
class CaptureOptions:
    """Times and limits of a live source. Raises ConfigError for values outside what is allowed."""

    connect_timeout: float = 5.0
    """How long a connection may take to be made."""
    read_timeout: float = 3.0
    """How long a connected source may give nothing before the connection is made anew. Must be longer than the time
    between two frames."""
    stall_after: float = 1.0
    """Without a good frame for so long, or for three times the usual time between frames, the source is stalled; one
    whose last frames all came quickly is after 0.6 s."""
    frozen_after: float = 2.5
    """Of one and the same picture; 0 looks for no frozen pictures. In H.264 and the like it takes longer by up to the
    time between two key frames."""
    late_after: float = 0.5
    """A frame that comes so much later than others of its stream did is not shown."""
    backoff_first: float = 0.25
    """Between the first attempts to connect; it doubles from one to the next."""
    backoff_absent: float = 1.0
    """At most this between attempts while the camera is away."""
    backoff_most: float = 5.0
    """At most this while it answers, and refuses. A wrong password is tried no more often from the beginning, because
    cameras lock out who tries often."""
    report_every: float = 5.0
    """At most one event in so long about damaged and late frames."""
    heartbeat: float = 0.25
    """Between two signs of life of the worker."""
    heartbeat_timeout: float = 2.0
    """A worker silent for so long is killed."""
    start_timeout: float = 15.0
    """How long a worker may take to start: a small machine under load imports slowly."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP cameras send their pictures."""
    verify_tls: bool = True
    """Refuse https and rtsps cameras whose certificate is not trusted."""
    ca_file: str | None = None
    """PEM file with the certificates to trust; None: those that the system trusts."""
    decoder_threads: int = 1
    """More than one helps only streams whose pictures are cut into slices; none of them adds delay."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "float" and not (value > 0 or (value == 0 and field.name == "frozen_after")):
                raise ConfigError(f"{field.name} must be more than 0 seconds, got {value}")
        if self.rtsp_transport not in ("tcp", "udp"):
            raise ConfigError(f"rtsp_transport must be tcp or udp, got {self.rtsp_transport!r}")
        if self.decoder_threads < 1:
            raise ConfigError(f"decoder_threads must be at least 1, got {self.decoder_threads}")
        if self.heartbeat_timeout < 2 * self.heartbeat:
            raise ConfigError(
                f"heartbeat_timeout must be at least twice heartbeat ({self.heartbeat}), got {self.heartbeat_timeout}"
            )
