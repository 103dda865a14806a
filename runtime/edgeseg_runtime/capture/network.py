"""Streams over the network, read and decoded by FFmpeg through PyAV."""

from __future__ import annotations

import math
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from edgeseg_runtime.capture.backlog import Backlog
from edgeseg_runtime.capture.complaints import FfmpegLog
from edgeseg_runtime.capture.diagnosis import diagnose, evidence
from edgeseg_runtime.capture.integrity import Integrity
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.capture.pace import Pace
from edgeseg_runtime.capture.reader import Picture
from edgeseg_runtime.capture.states import Lost, Reason
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    import av
    import av.container
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from edgeseg_runtime.preprocess import Image

_PROTOCOLS = "rtsp,rtsps,rtp,udp,tcp,tls,http,https,httpproxy,crypto,hls,rtmp,rtmps,rtmpt,srt"
"""What a stream may lead to. A playlist or a redirection must not make this machine read a file of its own."""
_UNTIMED = frozenset({"mpjpeg"})
"""Formats without time stamps; FFmpeg makes some up for them."""
_HOLDING_BACK = frozenset({"rtsp", "mpegts"})
"""Formats whose frames FFmpeg gives out only when the next one begins, so each came when the one before was given."""
_FEW = 2
"""Frames that FFmpeg holds back, and gives out when it has waited in vain for more."""
_REMEMBERED = 64
"""Packets whose arrival is remembered. No decoder holds back as many."""


class NetworkReader:
    """An open stream. Every call returns within the timeouts of `options`."""

    def __init__(self, url: str, options: CaptureOptions, log: FfmpegLog) -> None:
        """Connect. Raises Lost."""
        self._options, self._log = options, log
        self._av: Any = require("av", "live")
        log.lines.clear()
        self._container = self._open(url)
        try:
            self._stream = self._video()
        except Lost:
            self._container.close()
            raise
        self._packets: Iterator[Packet[VideoStream]] = self._container.demux(self._stream)
        self._integrity = Integrity(self._stream.codec_context, log)
        kind = self._container.format.name
        self._timed = kind not in _UNTIMED
        self._alone = self._stream.codec_context.codec.intra_only
        self._held_back = not self._alone and not _HOLDING_BACK.isdisjoint(kind.split(","))
        self._converter = self._av.video.reformatter.VideoReformatter()  # keeps its tables from frame to frame
        self._pace = Pace(options.late_after)
        self._arrived = monotonic()
        self._came: dict[int | None, float] = {}
        """When packets came, by time stamp: decoders may give frames out in another order, and later."""
        self._good_at, self._packets_since_good = monotonic(), 0
        self.late = 0
        rate = float(self._stream.average_rate or 0)
        self._backlog = Backlog() if self._alone and not self._timed else None
        self.fps = rate if math.isfinite(rate) and rate > 0 and self._timed else None

    @property
    def damaged(self) -> int:
        """Frames that came damaged, or rest on one that did."""
        return self._integrity.damaged

    def read(self) -> Picture | None:
        """Wait for the next packet and decode it; None where it brings no frame that may be shown. Raises Lost."""
        packet = self._packet()
        arrived = self._note_arrival(packet)
        picture: Picture | None = None
        for frame in self._frames(packet):
            position = frame.time if self._timed else None
            if self._timed and not self._pace.fresh(arrived, position):
                self.late += self._pace.caught_up
                continue
            image = cast("Image", self._converter.reformat(frame, format="bgr24").to_ndarray())
            came = self._came.get(frame.pts, arrived)
            picture = Picture(image, came, position, None if self._alone else bool(frame.key_frame))
        self._packets_since_good += 1
        if picture is not None:
            self._good_at, self._packets_since_good = arrived, 0
        elif arrived - self._good_at > self._options.read_timeout:
            raise Lost(self._why_nothing_good(), evidence(list(self._log.lines)))
        return picture

    def close(self) -> None:
        """Hang up."""
        if self._backlog is not None:
            self._backlog.close()
        self._container.close()

    def _frames(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        """Decode a packet, unless a newer one has come: where that cannot be told by time stamps, by what waits."""
        if self._backlog is not None and self._backlog.is_newer_than(packet.size):
            self.late += 1
            return iter(())
        return self._integrity.decode(packet)

    def _open(self, url: str) -> av.container.InputContainer:
        options = self._options
        try:
            return self._av.open(  # type: ignore[no-any-return]
                url, options=_settings(url, options), timeout=(options.connect_timeout, options.read_timeout)
            )
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise diagnose(error, list(self._log.lines), connecting=True) from None

    def _video(self) -> VideoStream:
        if not self._container.streams.video:
            raise Lost("codec", "there is no picture in the stream")
        stream = self._container.streams.video[0]
        if not self._container.format.name.startswith("rtsp") and (self._container.duration or 0) > 0:
            raise Lost("not live", "it is a recording of known length")
        decoder = stream.codec_context
        if decoder is None:
            raise Lost("codec", "there is no decoder for it")
        decoder.thread_type = "SLICE"  # threads by frame would hold back as many frames
        decoder.thread_count = self._options.decoder_threads
        decoder.flags |= self._av.codec.context.Flags.low_delay
        return stream

    def _packet(self) -> Packet[VideoStream]:
        try:
            packet = next(self._packets, None)
        except (self._av.FFmpegError, OSError) as error:
            lost = diagnose(error, list(self._log.lines), connecting=False)
            raise (Lost("closed", lost.detail) if lost.reason == "error" else lost) from None
        if packet is None or not packet.size:
            raise Lost("closed", "the stream ended")
        return packet

    def _note_arrival(self, packet: Packet[VideoStream]) -> float:
        """Return the time now, and remember when the packet came."""
        before, self._arrived = self._arrived, monotonic()
        self._came[packet.pts] = before if self._held_back else self._arrived
        if len(self._came) > _REMEMBERED:
            del self._came[next(iter(self._came))]
        return self._arrived

    def _why_nothing_good(self) -> Reason:
        if self._packets_since_good <= _FEW:
            return "no frames"
        return "damaged" if self._integrity.tainted else "behind"


def _settings(url: str, options: CaptureOptions) -> dict[str, str]:
    """FFmpeg's options: no more looking ahead than the protocol needs, for what it reads ahead is old when shown."""
    scheme = urlsplit(url).scheme.lower()
    settings = {"fpsprobesize": "0", "protocol_whitelist": _PROTOCOLS}
    if scheme in ("rtsp", "rtsps"):
        settings |= {"probesize": "32", "analyzeduration": "0"}  # the description says it all
        settings |= {"rtsp_transport": options.rtsp_transport, "allowed_media_types": "video"}
        settings["timeout"] = str(round(max(options.connect_timeout, options.read_timeout) * 1e6))
    else:
        settings |= {"probesize": "500000", "analyzeduration": "1000000"}
    if scheme in ("rtsps", "https", "rtmps"):
        settings["tls_verify"] = str(int(options.verify_tls))
        authorities = options.ca_file or _system_authorities()
        if authorities:
            settings["ca_file"] = authorities
    return settings


def _system_authorities() -> str | None:
    """FFmpeg's wheel does not know where this system keeps them."""
    paths = ssl.get_default_verify_paths()
    places = (
        os.environ.get("SSL_CERT_FILE"),
        paths.cafile,
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/cert.pem",
    )
    return next((place for place in places if place and Path(place).is_file()), None)
