"""Decode, and give out only frames that nothing is wrong with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgeseg_runtime.capture.complaints import FfmpegLog
from edgeseg_runtime.capture.ring import MOST_PIXELS

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class Integrity:
    """Hides damaged frames, and all that rest on them: after one, nothing is shown until the next key frame.

    What finds damage: the decoder's errors, its mark on frames it mended, gaps in the frames' numbers, packets that
    the network lost, and for JPEG a second decoder, which notices other damage than the first. Not everything can be
    found: H.265 has few checks, and a JPEG with one wrong bit may be a valid one.
    """

    def __init__(self, decoder: VideoCodecContext, log: FfmpegLog) -> None:
        """Set `decoder`, which must not have decoded anything yet, to hide nothing."""
        decoder.options = {"err_detect": "explode", "max_pixels": str(MOST_PIXELS)}
        self._decoder = decoder
        log.listen(lost_frames=decoder.name == "h264")
        self.damaged = 0
        self.tainted = False
        """What comes now rests on a damaged frame."""
        self._log = log
        self._suspects = 0
        self._lost_packets, self._lost_frames = log.lost_packets, log.lost_frames
        self._second: Any = None
        if decoder.name == "mjpeg":  # OpenCV's import takes longer than everything else together
            from edgeseg_runtime.capture.jpeg import JpegCheck

            self._second = JpegCheck()

    def decode(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        """Return the frames that a packet completes, without those that are not to be shown."""
        import av.error

        self._look_for_lost_packets()
        try:
            frames: list[Any] = self._decoder.decode(packet)
        except (av.error.FFmpegError, ValueError, MemoryError):
            self._damage()
            return
        if self._log.lost_frames != self._lost_frames:
            self._lost_frames = self._log.lost_frames
            self.tainted = True
        if self._second is not None and not self._second.is_good(memoryview(packet)):
            self._damage()
            return
        for frame in frames:
            if frame.is_corrupt:
                self._damage()
                continue
            if frame.key_frame and not self._suspects:
                self.tainted = False
            if self.tainted:
                self.damaged += 1
            else:
                yield frame

    def _damage(self) -> None:
        self.damaged += 1
        self.tainted = True

    def _look_for_lost_packets(self) -> None:
        """Packets get lost while one frame is put together and the next one begins: it may be either."""
        self._suspects = max(0, self._suspects - 1)
        if self._log.lost_packets != self._lost_packets:
            self._lost_packets = self._log.lost_packets
            self.tainted, self._suspects = True, 2
