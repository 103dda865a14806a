"""What was counted, drawn where it was."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from edgeseg_runtime.instances.counts import Counts
from edgeseg_runtime.preprocess import Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER = (255, 255, 255), (0, 0, 0)


def draw_counts(picture: Image, counts: Counts) -> None:
    """Draw lines and zones into the picture, with their names and how many went over or are inside. Changes it."""
    size = np.array([picture.shape[1], picture.shape[0]])
    thick = max(1, round(min(picture.shape[:2]) / 300))
    for zone in counts.zones:
        corners = np.rint(np.array(zone.zone.points) * size).astype(np.int32)
        for color, width in ((_PAPER, 3 * thick), (_INK, thick)):
            cv2.polylines(picture, [corners], True, color, width, cv2.LINE_AA)
        top = corners[corners[:, 1].argmin()]
        _write(picture, f"{zone.zone.name}: {_sum(zone.inside)}", (int(top[0]), int(top[1])))
    for line in counts.lines:
        start, end = (np.rint(np.array(point) * size).astype(int) for point in (line.line.start, line.line.end))
        for color, width in ((_PAPER, 3 * thick), (_INK, thick)):
            cv2.line(picture, start.tolist(), end.tolist(), color, width, cv2.LINE_AA)
        middle = (start + end) // 2
        _write(
            picture,
            f"{line.line.name}: in {_sum(line.into)} out {_sum(line.out)}",
            (int(middle[0]), int(middle[1])),
        )


def _sum(numbers: Mapping[str, int]) -> int:
    return sum(numbers.values())


def _write(picture: Image, text: str, place: tuple[int, int]) -> None:
    """Write white on black, with the lower left of the text at `place`, moved so that all of it is seen."""
    scale = max(0.4, min(picture.shape[:2]) / 1200)
    plain = text.encode("ascii", "replace").decode()  # OpenCV's letters
    (wide, high), below = cv2.getTextSize(plain, _FONT, scale, 1)
    left = min(max(0, place[0]), max(0, picture.shape[1] - wide))
    bottom = min(max(high + below, place[1]), picture.shape[0])
    cv2.rectangle(picture, (left, bottom - high - below), (left + wide, bottom), _PAPER, cv2.FILLED)
    cv2.putText(picture, plain, (left, bottom - below), _FONT, scale, _INK, 1, cv2.LINE_AA)
