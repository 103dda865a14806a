"""One JSON object a frame, for whatever program comes next."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from time import monotonic
from time import time as wall_time
from typing import TYPE_CHECKING, Any

from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.instances.rle import to_coco
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.lines import LineFile

if TYPE_CHECKING:
    from edgeseg_runtime.zones.areas import ZoneShares


class JsonLinesSink(Sink[str]):
    """Writes {"frame", "name", "time", "area": {class: share}} lines to a file, or to stdout for `-`.

    `time` is the frame's position in seconds, null for pictures. A frame of a live camera has its name as `camera`,
    `at`: when it was captured, in seconds since 1970 by this machine's clock, and `mask_lag`: how many seconds earlier
    the frame was captured that the mask was made from.

    With an instance model, `objects` is a list of {"class", "score", "box": [left, top, right, bottom] in pixels, "id"
    where it has one}, and with `masks` also {"mask": COCO's RLE}; where objects are followed, `counts` is what was
    counted so far (see `instances.counts.Counts`). With `zones`, which measures them, there is {"zones": {zone:
    {class: share of the zone}}}.
    """

    name = "jsonl"
    backlog = 64

    def __init__(self, target: str, *, masks: bool = False, zones: Callable[[Shot], ZoneShares] | None = None) -> None:
        self._masks, self._zones = masks, zones
        self._lines = LineFile(target)

    def encode(self, shot: Shot) -> str:
        """Measure the areas and format the line."""
        frame = shot.frame
        time = None if frame.position is None else round(frame.position, 4)
        area = _rounded(shot.result.area())
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
        if self._zones is not None:
            line["zones"] = {zone: _rounded(classes) for zone, classes in self._zones(shot).items()}
        return json.dumps(line, ensure_ascii=False)

    def write(self, shot: Shot, encoded: str) -> None:  # noqa: ARG002
        """Write the line. Raises OutputError, but not when the reader of stdout has had enough."""
        self._lines.put(encoded)
        self.wanted = self._lines.wanted

    def close(self) -> None:
        """Close the file; stdout stays open."""
        self._lines.close()


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {name: round(share, 6) for name, share in shares.items()}


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
