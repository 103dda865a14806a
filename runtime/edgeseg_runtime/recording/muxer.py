"""Encoded frames to the bytes of an MP4 that can be read while it grows.

Each frame is a fragment, so that what has been written can be played whatever becomes of the process. When the file is
finished it gets an ordinary index at its end, and a last write of a few bytes near its beginning turns what was a
fragmented file into a plain one, which every player can seek in ("hybrid" MP4). Nothing here touches a disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from edgeseg_runtime import extras
from edgeseg_runtime.recording.encoder import TICKS, Chunk, Encoder

_OPTIONS = {
    "movflags": "frag_every_frame+hybrid_fragmented+empty_moov+default_base_moof",
    "flush_packets": "1",
}


@dataclass
class Written:
    """What a file gets next."""

    appended: bytearray = field(default_factory=bytearray)
    patches: list[tuple[int, bytes]] = field(default_factory=list)
    """(offset, bytes) that replace what stands there, once the appended bytes are safe."""


class Muxer:
    """One file's worth of frames of one encoder. The first must be a key frame."""

    def __init__(self, encoder: Encoder, about: Mapping[str, Any]) -> None:
        av = extras.require("av", "live")
        self._memory = _Memory()
        self._container = av.open(self._memory, "w", format="mp4", options=dict(_OPTIONS))
        self._container.metadata["comment"] = json.dumps(about, ensure_ascii=False)
        self._tracks = [self._container.add_stream_from_template(track) for track in encoder.tracks]
        self._container.start_encoding()
        self._start: int | None = None

    def put(self, chunk: Chunk) -> Written:
        """Return what is to be written: up to the frame before, as the muxer waits to learn how long one lasts."""
        if self._start is None:
            self._start = chunk.ticks
        for track, packet in zip(self._tracks, chunk.packets, strict=True):
            packet.stream, packet.time_base = track, Fraction(1, TICKS)
            packet.pts = packet.dts = chunk.ticks - self._start
            self._container.mux_one(packet)
        return self._memory.take()

    def finish(self) -> Written:
        """Return the last frame and the index, and the patch that turns it all into a plain MP4."""
        self._container.close()
        return self._memory.take()


class _Memory:
    """A file for PyAV that keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._written = Written()
        self._at = self._end = 0

    def take(self) -> Written:
        written, self._written = self._written, Written()
        return written

    def write(self, data: bytes) -> int:
        if self._at < self._end:
            self._written.patches.append((self._at, bytes(data)))
        else:
            self._written.appended += data
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence != 0 or offset > self._end:
            raise ValueError(f"a place within the {self._end} bytes is expected, got {offset} ({whence})")
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at
