"""The flags of recording what a live stream shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from edgeseg.cli.byte_sizes import bytes_of
from edgeseg.cli.stream_groups import RECORDING
from edgeseg_runtime.errors import ConfigError


@Parameter(name="*", group=RECORDING)
@dataclass(frozen=True)
class RecordConfig:
    """What is kept."""

    record: Path | None = None
    """Record into this folder, in short files that no crash spoils."""
    record_on: str = "always"
    """`always`, `manual` (the viewer's button), or a condition such as `person>5%`, with five seconds around it."""
    record_quota: str | None = None
    """Delete the oldest recordings above this size, such as 10GB."""
    record_segment: float | None = None
    """Seconds that each file holds; 10 if not given."""

    def __post_init__(self) -> None:
        given = {
            "--record-on": self.record_on != "always",
            "--record-quota": self.record_quota is not None,
            "--record-segment": self.record_segment is not None,
        }
        if self.record is None and any(given.values()):
            flag = next(flag for flag, wanted in given.items() if wanted)
            raise ConfigError(f"{flag} needs --record FOLDER")
        if self.record_segment is not None and not 1 <= self.record_segment <= 3600:
            raise ConfigError(f"--record-segment must be 1 to 3600 seconds, got {self.record_segment:g}")
        self.quota_bytes()

    def quota_bytes(self) -> int | None:
        """Return --record-quota in bytes. Raises ConfigError."""
        return bytes_of("record-quota", self.record_quota)
