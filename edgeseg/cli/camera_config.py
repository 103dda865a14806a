"""The flags that say how cameras are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from edgeseg.cli.stream_groups import CAMERAS
from edgeseg_runtime.errors import ConfigError

if TYPE_CHECKING:
    from edgeseg_runtime.capture.options import CaptureOptions


@Parameter(name="*", group=CAMERAS)
@dataclass(frozen=True)
class CameraConfig:
    """How cameras and network streams are read."""

    rtsp_transport: Literal["tcp", "udp"] | None = None
    """How rtsp:// cameras send their pictures; tcp if not given."""
    ca_file: Path | None = None
    """PEM file with the certificates by which https:// and rtsps:// cameras are known; the system's if not given."""
    frozen_after: float | None = None
    """Seconds of one and the same picture after which a camera counts as frozen; 0: never. 2.5 if not given."""

    def __post_init__(self) -> None:
        if self.frozen_after is not None and not (isfinite(self.frozen_after) and self.frozen_after >= 0):
            raise ConfigError(f"--frozen-after must be a number of seconds, or 0 for never, got {self.frozen_after:g}")

    def check(self, sources: Sequence[str]) -> None:
        """Raise ConfigError for a flag that none of the sources can use."""
        schemes = {spec.partition("://")[0].lower() for spec in sources if "://" in spec}
        if self.rtsp_transport is not None and not schemes & {"rtsp", "rtsps"}:
            raise ConfigError("--rtsp-transport is for rtsp:// and rtsps:// sources, and none is given")
        if self.ca_file is not None and not schemes & {"https", "rtsps", "rtmps"}:
            raise ConfigError("--ca-file is for https:// and rtsps:// sources, and none is given")

    def options(self) -> CaptureOptions:
        """Return what a camera is told. Raises ConfigError for a file that holds no certificates."""
        from edgeseg_runtime.capture.options import CaptureOptions

        named: dict[str, str | float] = {}
        if self.rtsp_transport is not None:
            named["rtsp_transport"] = self.rtsp_transport
        if self.ca_file is not None:
            check_certificates(self.ca_file)
            named["ca_file"] = str(self.ca_file)
        if self.frozen_after is not None:
            named["frozen_after"] = self.frozen_after
        return CaptureOptions(**named)  # type: ignore[arg-type]


def check_certificates(path: Path) -> None:
    """Raise ConfigError unless the file holds certificates in PEM form."""
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ConfigError(f"--ca-file {path} holds no certificate in PEM form") from error
    except OSError as error:
        raise ConfigError(f"--ca-file {path} cannot be read: {error.strerror}") from error
