"""One JSON object a frame, for whatever program comes next."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import monotonic
from time import time as wall_time
from typing import Any, TextIO

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.instances.rle import to_coco
from edgeseg_runtime.sinks.base import Shot, Sink

STDOUT = "-"


class JsonLinesSink(Sink[str]):
    """Writes {"frame", "name", "time", "area": {class: share}} lines to a file, or to stdout for `-`.

    `time` is the frame's position in seconds, null for pictures. A frame of a live camera has its name as `camera`,
    `at`: when it was captured, in seconds since 1970 by this machine's clock, and `mask_lag`: how many seconds earlier
    the frame was captured that the mask was made from.

    With an instance model, `objects` is a list of {"class", "score", "box": [left, top, right, bottom] in pixels, "id"
    where it has one}, and with `masks` also {"mask": COCO's RLE}; where objects are followed, `counts` is what was
    counted so far (see `instances.counting.Counts`). Lines go straight to the final name and are flushed one by one,
    so that another program can follow them; a line is either whole or not there.
    """

    name = "jsonl"
    backlog = 64

    def __init__(self, target: str, *, masks: bool = False) -> None:
        self._target, self._masks = target, masks
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
        line: dict[str, Any] = {"frame": frame.index, "name": frame.name, "time": time, "area": area}
        if frame.camera and shot.masked_at is not None:
            line |= {
                "camera": frame.camera,
                "at": round(wall_time() - (monotonic() - frame.captured_at), 3),
                "mask_lag": round(frame.captured_at - shot.masked_at, 4),
            }
        if isinstance(shot.result, InstanceResult):
            line["objects"] = described(shot.result, masks=self._masks)
            if shot.result.counts is not None:
                line["counts"] = shot.result.counts.as_dict()
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


def described(result: InstanceResult, *, masks: bool) -> list[dict[str, Any]]:
    """Return the objects as plain JSON values."""
    objects = []
    for place, label in enumerate(result.labels.tolist()):
        one: dict[str, Any] = {
            "class": result.contract.names[label],
            "score": round(float(result.scores[place]), 4),
            "box": [round(float(value), 2) for value in result.boxes[place]],
        }
        if result.ids and result.ids[place]:
            one["id"] = result.ids[place]
        if masks:
            one["mask"] = to_coco(result.regions[place], result.height, result.width)
        objects.append(one)
    return objects
