"""Encode pictures as H.264, and cut it into RTP packets (RFC 6184: single NAL units and FU-A)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext

from edgeseg_runtime.preprocess import Image

CLOCK = 90_000
_PAYLOAD_TYPE = 96
_LONGEST = 1200


class Encoder:
    """One picture in, one access unit out, at once; a picture of another size begins a new sequence."""

    def __init__(self, fps: float, keyframe_every: int = 25, gray: bool = False, quality: int = 18) -> None:
        self._fps, self._keyframe_every, self._gray, self._quality = fps, keyframe_every, gray, quality
        self._context: VideoCodecContext | None = None
        self._count = 0

    def encode(self, image: Image) -> list[bytes]:
        """Return the NAL units of the picture, without start codes."""
        height, width = image.shape[:2]
        if self._context is None or (self._context.height, self._context.width) != (height, width):
            self._context = self._open(height, width)
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts = self._count
        self._count += 1
        data = b"".join(bytes(packet) for packet in self._context.encode(frame))
        return [unit for unit in re.split(rb"\x00\x00\x00?\x01", data) if unit]

    def _open(self, height: int, width: int) -> VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = width, height
        context.pix_fmt = "gray" if self._gray else "yuv420p"
        context.time_base = Fraction(1, 1000)
        context.framerate = Fraction(self._fps).limit_denominator(1000)
        context.thread_count = 1
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": str(self._quality),
            "g": str(self._keyframe_every),
        }
        return context


class Packetiser:
    """Numbers the packets of one RTP stream."""

    def __init__(self) -> None:
        self._sequence = 0

    def packets(self, units: list[bytes], seconds: float) -> Iterator[bytes]:
        """Return the RTP packets of one picture, shown `seconds` into the stream."""
        payloads = [payload for unit in units for payload in _payloads(unit)]
        stamp = int(seconds * CLOCK) & 0xFFFFFFFF
        for index, payload in enumerate(payloads):
            marker = 0x80 if index == len(payloads) - 1 else 0
            yield struct.pack("!BBHII", 0x80, marker | _PAYLOAD_TYPE, self._sequence & 0xFFFF, stamp, 0x5EED) + payload
            self._sequence += 1


def _payloads(unit: bytes) -> Iterator[bytes]:
    if len(unit) <= _LONGEST:
        yield unit
        return
    header, body = unit[0], unit[1:]
    pieces = [body[start : start + _LONGEST] for start in range(0, len(body), _LONGEST)]
    for index, piece in enumerate(pieces):
        edge = 0x80 * (index == 0) | 0x40 * (index == len(pieces) - 1)
        yield bytes([header & 0xE0 | 28, edge | header & 0x1F]) + piece
