"""What recordings hold, by an independent reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from tests.servers.scene import read


@dataclass(frozen=True)
class Recording:
    """One file."""

    moments: list[float]
    """When its pictures were made, in order; seconds on the monotonic clock."""
    sizes: set[tuple[int, int]]
    """(height, width) of them."""


def played(path: Path) -> Recording:
    """Decode a file whose pictures tell when they were made. Raises av.FFmpegError where it does not play."""
    moments, sizes = [], set()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            stamp = read(frame.to_ndarray(format="bgr24"))  # type: ignore[arg-type]
            assert stamp is not None, path
            moments.append(stamp.made_at)
            sizes.add((frame.height, frame.width))
    return Recording(moments, sizes)


def recordings(folder: Path) -> list[Recording]:
    """Play a folder's files in the order of their numbers, those a killed process left unfinished too."""
    paths = [path for path in folder.iterdir() if path.name.endswith((".mp4", ".mp4.partial"))]
    return [played(path) for path in sorted(paths, key=_number)]


def in_order(found: Sequence[Recording]) -> bool:
    """Whether each picture is there once, and none before an earlier one."""
    moments = [moment for one in found for moment in one.moments]
    return moments == sorted(set(moments))


def _number(path: Path) -> str:
    return path.name.removeprefix(".").split(".mp4")[0].rpartition("_")[2]
