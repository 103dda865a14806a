"""H.264 by PyAV: a frame in, its packets out, at once."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2

from edgeseg_runtime import extras
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image, Mask

TICKS = 90_000
"""Of a second: the time base of every track."""

CODEC = "libx264"
_NOMINAL = 1 / 25  # how long a frame lasts when there was none before it
_BT601, _LIMITED, _FULL = 6, 1, 2  # ffmpeg's numbers; what OpenCV's conversion to I420 makes, and what a mask needs

_PICTURE = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1", "threads": "1", "x264-params": "log=1"}
_MASKS = {**_PICTURE, "qp": "0"}  # lossless


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """One encoded frame."""

    time: float
    """Seconds."""
    ticks: int
    """The same since the encoder began, in `TICKS`; greater than the frame's before."""
    key: bool
    """It can be decoded without those before it."""
    packets: tuple[Any, ...]
    """One a track."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(packet.size for packet in self.packets)


def require_encoder() -> Any:
    """Return PyAV. Raises MissingExtraError, and OutputError where it was built without x264."""
    av = extras.require("av", "live")
    try:
        av.codec.Codec(CODEC, "w")
    except ValueError as error:
        raise OutputError(
            f"recording needs the H.264 encoder {CODEC}, which this build of PyAV lacks; "
            "use the one from PyPI: pip install --force-reinstall av"
        ) from error
    return av


class Encoder:
    """Encodes pictures of one size; with `masks` class masks too, without loss, as a track of their own.

    An odd last row or column is cut off, because players want even sizes. Raises OutputError for less than 2×2.
    """

    def __init__(self, size: tuple[int, int], *, masks: bool, quality: int) -> None:
        self._av = require_encoder()
        if min(size) < 2:
            raise OutputError(f"a frame of {size[0]}×{size[1]} is too small to be recorded")
        self.size = size
        self._height, self._width = size[0] // 2 * 2, size[1] // 2 * 2
        # The encoders live in a container that nothing is written to, so that segments can copy its tracks' headers.
        self._container = self._av.open(io.BytesIO(), "w", format="mp4")
        picture = self._track({**_PICTURE, "crf": str(quality)}, "yuv420p")
        picture.codec_context.color_range, picture.codec_context.colorspace = _LIMITED, _BT601
        self.tracks = [picture]
        if masks:
            track = self._track(_MASKS, "gray")
            track.codec_context.color_range = _FULL
            self.tracks.append(track)
        self._container.start_encoding()
        self._start: float | None = None
        self._last: Chunk | None = None

    def encode(self, picture: Image, mask: Mask, time: float, *, key: bool) -> Chunk:
        """Encode a frame of `time` seconds; times that do not rise are moved on by one tick.

        `picture` is uint8 H×W×3 BGR, `mask` uint8 H×W, both of the encoder's size. Raises av.FFmpegError.
        """
        if self._start is None:
            self._start = time
        ticks = round((time - self._start) * TICKS)
        if self._last is not None:
            ticks = max(ticks, self._last.ticks + 1)
        lasts = round(_NOMINAL * TICKS) if self._last is None else ticks - self._last.ticks
        even = picture[: self._height, : self._width]
        planes = [(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), "yuv420p", _LIMITED)]
        if len(self.tracks) > 1:
            planes.append((mask[: self._height, : self._width].copy(), "gray", _FULL))
        packets = tuple(
            self._packet(track, plane, ticks, key, lasts) for track, plane in zip(self.tracks, planes, strict=True)
        )
        self._last = Chunk(time, ticks, packets[0].is_keyframe, packets)
        return self._last

    def close(self) -> None:
        """Let go of the encoders; packets stay valid."""
        self._container.close()

    def _packet(self, track: Any, plane: tuple[Any, str, int], ticks: int, key: bool, lasts: int) -> Any:
        data, pixels, colors = plane
        frame = self._av.VideoFrame.from_ndarray(data, format=pixels)
        frame.pts, frame.time_base, frame.color_range = ticks, Fraction(1, TICKS), colors
        frame.pict_type = getattr(self._av.video.frame.PictureType, "I" if key else "NONE")
        (packet,) = track.encode(frame)  # tuned to zero latency it gives every frame at once
        packet.duration = lasts  # counts only for a segment's last frame
        return packet

    def _track(self, options: dict[str, str], pixels: str) -> Any:
        base = Fraction(1, TICKS)
        track = self._container.add_stream(
            CODEC, rate=25, options=dict(options), width=self._width, height=self._height, time_base=base
        )
        track.pix_fmt = pixels
        track.codec_context.gop_size = 1 << 30  # the recorder says when a key frame is due
        track.codec_context.flags |= self._av.codec.context.Flags.global_header
        return track
