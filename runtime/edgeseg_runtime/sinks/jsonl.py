"""One JSON object a frame, for whatever program comes next."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import monotonic
from time import time as wall_time
from typing import TextIO

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.sinks.base import Shot, Sink

STDOUT = "-"


class JsonLinesSink(Sink[str]):
    """Writes {"frame", "name", "time", "area": {class: share}} lines to a file, or to stdout for `-`.

    `time` is the frame's position in seconds, null for pictures. A frame of a live camera has its name as `camera`,
    `at`: when it was captured, in seconds since 1970 by this machine's clock, and `mask_lag`: how many seconds earlier
    the frame was captured that the mask was made from. Lines go straight to the final name and are flushed one by one,
    so that another program can follow them; a line is either whole or not there.
    """

    name = "jsonl"
    backlog = 64

    def __init__(self, target: str) -> None:
        self._target = target
        self._file: TextIO
        if target == STDOUT:
            self._file = sys.stdout
            return
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(target).open("w", encoding="utf-8")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror}") from error

    def encode(self, shot: Shot) -> str:
        """Measure the areas and format the line."""
        frame = shot.frame
        time = None if frame.position is None else round(frame.position, 4)
        area = {name: round(share, 6) for name, share in shot.result.area().items()}
        line = {"frame": frame.index, "name": frame.name, "time": time, "area": area}
        if frame.camera and shot.masked_at is not None:
            line |= {
                "camera": frame.camera,
                "at": round(wall_time() - (monotonic() - frame.captured_at), 3),
                "mask_lag": round(frame.captured_at - shot.masked_at, 4),
            }
        return json.dumps(line, ensure_ascii=False)

    def write(self, shot: Shot, encoded: str) -> None:  # noqa: ARG002
        """Write the line. Raises OutputError, but not when the reader of stdout has had enough."""
        try:
            self._file.write(encoded + "\n")
            self._file.flush()
        except BrokenPipeError:
            # What Python still holds for stdout would raise once more when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())
            self.wanted = False
        except OSError as error:
            raise OutputError(f"{self._target} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._target == STDOUT:
            return
        try:
            self._file.close()
        except OSError as error:
            raise OutputError(f"{self._target} cannot be written: {error.strerror}") from error
