"""A drawn picture for every frame."""

from __future__ import annotations

from pathlib import Path

import cv2

from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.folder import Files, FolderSink, compress


class OverlaysSink(FolderSink):
    """Writes `<name>.overlay.jpg`: the frame with what the model says drawn over it."""

    name = "overlays"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {})

    def encode(self, shot: Shot) -> Files:
        """Draw and compress."""
        return {f"{shot.frame.name}.overlay.jpg": compress(".jpg", shot.picture, [cv2.IMWRITE_JPEG_QUALITY, 90])}
