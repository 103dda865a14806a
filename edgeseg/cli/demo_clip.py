"""A drive through a generated street, as a video file."""

from __future__ import annotations

from pathlib import Path

import cv2

from edgeseg.data.procedural import procedural_clip
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import atomic_path
from edgeseg_runtime.progress import Progress, silent


def write_clip(
    path: Path, frames: int, size: tuple[int, int], fps: float, progress: Progress = silent, *, seed: int = 0
) -> None:
    """Write an .mp4 (mp4v) of `frames` frames of (height, width). Raises OutputError when that cannot be done."""
    height, width = size
    with atomic_path(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
        if not writer.isOpened():
            raise OutputError(f"{path} cannot be written as a {height}×{width} video")
        try:
            for scene in progress(procedural_clip(frames, size, seed, fps=fps), "drive", frames):
                writer.write(scene.image)
        finally:
            writer.release()
