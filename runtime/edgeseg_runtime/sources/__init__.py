"""Sources of frames: cameras, streams, videos, pictures."""

from __future__ import annotations

from pathlib import Path

from edgeseg_runtime.sources.base import Frame, Source, without_credentials
from edgeseg_runtime.sources.capture import cameras, open_camera, open_url
from edgeseg_runtime.sources.images import IMAGE_SUFFIXES, ImagesSource, list_pictures, read_picture
from edgeseg_runtime.sources.video_file import open_video

__all__ = [
    "Frame",
    "ImagesSource",
    "Source",
    "cameras",
    "list_pictures",
    "open_camera",
    "open_source",
    "read_picture",
    "without_credentials",
]


def open_source(spec: str) -> Source:
    """Open what `spec` names: a URL, a video file, a picture, a folder of pictures, or a glob.

    Raises SourceError with what is wrong.
    """
    if "://" in spec:
        return open_url(spec)
    path = Path(spec)
    if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES:
        return open_video(path)
    return ImagesSource(list_pictures(spec), spec)
