"""What libraries complain about, as evidence: FFmpeg's log lines, and what libjpeg prints."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import deque
from functools import cache

_LOST_PACKETS = re.compile(r"RTP: missed \d+ packets|bad cseq|RTP: dropping old packet|Continuity check failed")
_LOST_FRAMES = "Frame num gap"
_NOISE = "deprecated pixel format"


class FfmpegLog(logging.Handler):
    """Hears what FFmpeg says in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=20)
        """The last warnings and errors."""
        self.lost_packets = 0
        """Messages about packets that never came."""
        self.lost_frames = 0
        """Messages about whole frames that never came."""

    def install(self) -> FfmpegLog:
        """Listen from now on."""
        import av.logging

        av.logging.set_skip_repeated(False)  # each message counts
        logger = logging.getLogger("libav")
        logger.propagate = False
        logger.setLevel(1)
        logger.handlers = [self]
        self.listen(lost_frames=False)
        return self

    def listen(self, *, lost_frames: bool) -> None:
        """Listen for warnings and errors, and for lost frames of H.264 if wanted.

        FFmpeg says only at its most talkative that the frames' numbers leave a gap, and goes on decoding as if nothing
        were missing. At that level it prints credentials too: of those lines nothing is kept.
        """
        import av.logging

        av.logging.set_level(av.logging.DEBUG if lost_frames else av.logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, from whichever thread of FFmpeg it comes."""
        text = record.getMessage().strip()
        if _LOST_FRAMES in text:
            self.lost_frames += 1
        elif _LOST_PACKETS.search(text):
            self.lost_packets += 1
        if record.levelno >= logging.WARNING and text and _NOISE not in text:
            self.lines.append(text)


class Printed:
    """What is printed on this process's stderr from C, where libjpeg tells of damaged pictures.

    OpenCV returns such a picture as if it were good, and offers no other way to learn of the damage. Python's own
    stderr goes where it went.
    """

    def __init__(self) -> None:
        """Take the descriptor over."""
        self._before = os.dup(2)
        self._python = sys.stderr
        sys.stderr.flush()
        sys.stderr = os.fdopen(self._before, "w", buffering=1, closefd=False)
        self._file = os.memfd_create("edgeseg-stderr")
        os.dup2(self._file, 2)

    def take(self) -> str:
        """Return what was printed since the last call."""
        length = os.lseek(self._file, 0, os.SEEK_CUR)
        if not length:
            return ""
        text = os.pread(self._file, length, 0).decode(errors="replace")
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        return text

    def close(self) -> None:
        """Give the descriptor back."""
        os.dup2(self._before, 2)
        sys.stderr = self._python
        os.close(self._before)
        os.close(self._file)


@cache
def printed() -> Printed:
    """Return this process's only one, made on the first call."""
    return Printed()


def tells_of_damage(text: str) -> bool:
    """Return whether libjpeg called the data it was given corrupt."""
    return "Corrupt JPEG data" in text or "Premature end of JPEG" in text or "Unsupported marker" in text
