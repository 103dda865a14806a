"""What segments are called: `20261105T123456.789Z_front-door_000042.mp4`.

The time is UTC by the wall clock at the first frame, so that names sort by it. The number rises by one from segment to
segment in a folder, over restarts too: it tells which is older even after the wall clock was put back, and keeps
names apart. While a segment is being written its name is hidden and ends in `.partial`.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple

SUFFIX = ".mp4"
PARTIAL = ".partial"
DAMAGED = ".damaged"
"""After the name of what a killed run left that cannot be played."""

_NAME = re.compile(r"(?P<stamp>\d{8}T\d{6}\.\d{3}Z)_(?:(?P<camera>[A-Za-z0-9-]+)_)?(?P<number>\d{6,})\.mp4", re.ASCII)


class SegmentName(NamedTuple):
    """A name and its parts that matter."""

    text: str
    number: int
    partial: bool = False


def stamp(at: float) -> str:
    """Return seconds since 1970 as `20261105T123456.789Z`."""
    whole = datetime.fromtimestamp(int(at), timezone.utc)
    return f"{whole:%Y%m%dT%H%M%S}.{int(at * 1000) % 1000:03d}Z"


def slug(camera: str) -> str:
    """Return a camera's name as it stands in file names: letters, digits and hyphens, at most 40."""
    return re.sub(r"[^A-Za-z0-9]+", "-", camera).strip("-")[:40]


def segment_name(at: float, camera: str, number: int) -> str:
    """Return the final name of a segment that begins at `at`, seconds since 1970."""
    return "_".join(filter(None, (stamp(at), slug(camera), f"{number:06d}"))) + SUFFIX


def partial_name(name: str) -> str:
    """Return what a segment is called while it is written."""
    return f".{name}{PARTIAL}"


def parse_name(text: str) -> SegmentName | None:
    """Take a file's name apart; None for one that no recorder gave."""
    partial = text.startswith(".") and text.endswith(PARTIAL)
    final = text[1 : -len(PARTIAL)] if partial else text
    found = _NAME.fullmatch(final)
    return SegmentName(final, int(found["number"]), partial) if found else None
