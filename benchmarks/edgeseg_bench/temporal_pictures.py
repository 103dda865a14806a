"""See what the tricks do: the same frames with a held mask and with a carried one, beside the truth."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg_bench.temporal_clips import Clip
from edgeseg_bench.temporal_tricks import Outputs, Player, Trick
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table, overlay
from edgeseg_runtime.preprocess import Image


def comparison(clip: Clip, outputs: Outputs, tricks: list[Trick], indices: list[int], contract: Contract) -> Image:
    """Return a sheet, BGR: a row for each frame of `indices`; in it each trick, then the truth."""
    table = color_table(contract)
    columns = []
    for trick in tricks:
        player, shown = Player(trick, outputs), {}
        for index, image in enumerate(clip.frames[: max(indices) + 1]):
            shown[index] = player.show(index, image, index / clip.fps)
        columns.append([_cell(clip.frames[index], shown[index], table, f"{trick.name}, {index}") for index in indices])
    columns.append([_cell(clip.frames[index], clip.truths[index], table, f"truth, {index}") for index in indices])
    return np.hstack([np.vstack(column) for column in columns])


def _cell(image: Image, mask: Image, table: Image, text: str) -> Image:
    drawn = overlay(image, mask, table, 0.5)
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(drawn, text, (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.8, color, thickness, cv2.LINE_AA)
    return drawn
