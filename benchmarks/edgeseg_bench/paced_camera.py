"""A camera on this machine that costs next to nothing: `python -m edgeseg_bench.paced_camera CLIP FPS`.

The clip's frames are numbered in their pixels and encoded beforehand. Prints its port and when frame 0 was due
(`time.monotonic`, which all processes of a machine share), then sends them, over and over, as motion JPEG: at any time
the one that is due, and none late.
"""

from __future__ import annotations

import sys

import cv2

from edgeseg_bench.numbered_camera import BITS, SIDE, number_of, numbered, serve_due
from edgeseg_runtime.preprocess import Image

FRAMES = 1200
"""Numbers until they begin anew: 5 s at 240 frames a second, so that no age below that is mistaken."""
MOST_WIDTH = 1280
"""Of a clip: the viewer makes larger pictures smaller, and the number with them."""


def encoded(clip: str, frames: int = FRAMES) -> list[bytes]:
    """Return a clip's frames as numbered JPEGs, over and over. Raises SystemExit where they cannot hold a number."""
    capture, pictures = cv2.VideoCapture(clip), list[Image]()
    while len(pictures) < frames and (read := capture.read())[0]:
        pictures.append(read[1])  # type: ignore[arg-type]
    if not pictures or not BITS * SIDE <= pictures[0].shape[1] <= MOST_WIDTH:
        raise SystemExit(f"{clip} gives no frames {BITS * SIDE} to {MOST_WIDTH} pixels wide")
    quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
    return [
        cv2.imencode(".jpg", numbered(pictures[number % len(pictures)], number), quality)[1].tobytes()
        for number in range(frames)
    ]


def age_of(image: Image, now: float, began: float, fps: float) -> float:
    """Return how many seconds before `now` a picture was due."""
    due = (now - began) * fps
    return (due - number_of(image)) % FRAMES / fps


def serve(clip: str, fps: float) -> None:
    """Serve until killed."""
    pictures = encoded(clip)
    serve_due(lambda number: pictures[number % FRAMES], fps)


if __name__ == "__main__":
    serve(sys.argv[1], float(sys.argv[2]))
