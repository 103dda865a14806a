"""What a live stream did, once it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeseg_runtime.live.status import Status


@dataclass(frozen=True)
class LiveSummary:
    """The last status, when nothing is in flight any more, and why the stream ended."""

    status: Status
    ended: str
    """`limit` reached, window `closed`, `interrupted`, or `failed`: no camera can be read any more."""

    @property
    def shown(self) -> int:
        """Frames that went to the outputs, of all cameras."""
        return sum(camera.account.inferred + camera.account.reused for camera in self.status.cameras)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"live": True, "ended": self.ended, **self.status.as_dict()}
