"""Frames to measure on where no pictures are given."""

from __future__ import annotations

import numpy as np

from edgeseg_runtime.preprocess import Image


def pattern(count: int, height: int, width: int) -> list[Image]:
    """Return `count` frames of smooth colour with rectangles that move: no camera, no noise, the same every time.

    A network takes the same time on any picture. The way from scores to mask does not: it is faster where fewer
    classes are in question, so for that stage real pictures tell more.
    """
    rows, columns = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None, :]
    frames = []
    for number in range(count):
        phase = number / max(1, count)
        planes = (np.sin(3 * rows + 6 * phase), np.cos(4 * columns + 5 * rows), np.sin(6 * (columns - phase)))
        frame = np.stack([np.broadcast_to(127 + 100 * plane, (height, width)) for plane in planes], axis=2)
        frame = np.ascontiguousarray(frame.astype(np.uint8))
        for place, color in enumerate(((30, 40, 200), (220, 220, 60), (20, 160, 40))):
            left = int(width * ((0.2 + 0.3 * place + phase) % 0.9))
            top = int(height * (0.2 + 0.2 * place))
            frame[top : top + max(1, height // 5), left : left + max(1, width // 8)] = color
        frames.append(frame)
    return frames
