from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from edgeseg.data.instances.base import Instance, InstanceSample
from edgeseg.training.batch_preview import GAP, LINE, TILE_WIDTH
from edgeseg.training.instances.pictures import OPACITY, outlined, prediction_strip, write_batch
from edgeseg_runtime.draw import color_table
from tests.edgeseg.training.instances.scenes import CONTRACT, LABELS, Guess, rectangle, result

GRAY = np.full((40, 60, 3), 100, np.uint8)
TABLE = color_table(CONTRACT)


def blended(label: int) -> Any:
    return (OPACITY * np.array(LABELS[label].color[::-1]) + (1 - OPACITY) * 100).astype(np.uint8)


def test_objects_have_their_classes_colour_and_outlines_of_their_own() -> None:
    drawn = outlined(GRAY, [(0, rectangle(5, 5, 10, 12), False), (0, rectangle(20, 30, 10, 12), False)], TABLE)
    for top, left in ((5, 5), (20, 30)):
        assert (drawn[top + 1 : top + 9, left + 1 : left + 11] == blended(0)).all()
        frame = drawn[top : top + 10, left : left + 12].copy()
        assert len(np.unique(np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]]), axis=0)) == 1
    assert (drawn[5, 5] != drawn[20, 30]).any()
    untouched = drawn.copy()
    untouched[5:15, 5:17] = untouched[20:30, 30:42] = 100
    assert np.array_equal(untouched, GRAY)
    assert (GRAY == 100).all()


def test_crowds_are_striped() -> None:
    drawn = outlined(GRAY, [(1, rectangle(5, 5, 20, 20), True)], TABLE)
    assert set(np.unique(drawn[5:25, 5:25])) == {90, 230}


def test_nothing_found_is_the_picture() -> None:
    assert np.array_equal(outlined(GRAY, [], TABLE), GRAY)


def test_a_strip_is_picture_truth_and_what_is_found() -> None:
    sample = InstanceSample(GRAY, (Instance(1, rectangle(5, 5, 10, 12)),))
    strip = prediction_strip(sample, result([Guess(2, 0.9, rectangle(20, 30, 10, 12))], 40, 60), CONTRACT)
    assert strip.shape == (40, 180, 3)
    assert np.array_equal(strip[:, :60], GRAY)
    assert (strip[10, 60 + 10] == blended(1)).all() and (strip[25, 60 + 35] == 100).all()
    assert (strip[10, 120 + 10] == 100).all() and (strip[25, 120 + 35] == blended(2)).all()


@pytest.mark.parametrize("count", [0, 2])
def test_a_batch_is_a_page_with_masks_boxes_and_classes(tmp_path: Path, count: int) -> None:
    masks = torch.zeros(count, 80, 160, dtype=torch.uint8)
    boxes = torch.tensor([[10, 20, 50, 60], [90, 10, 130, 50]], dtype=torch.float32)[:count]
    for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
        mask[top + 4 : bottom, left:right] = 1
        mask[top:bottom, left + 4 : right] = 1  # all but a corner, which only the box has
    target = {
        "boxes": boxes, "labels": torch.tensor([0, 2])[:count], "masks": masks, "crowd": torch.zeros(count).bool(),
    }  # fmt: skip
    frame = torch.full((80, 160, 3), 100, dtype=torch.uint8)
    write_batch(tmp_path / "batch.png", [(frame, target)], CONTRACT)
    page = cv2.imread(str(tmp_path / "batch.png"))
    assert page is not None
    assert page.shape == (160 + GAP + LINE, 4 * (TILE_WIDTH + GAP), 3)
    assert (page[:160, :TILE_WIDTH] == 100).all()
    drawn = page[:160, TILE_WIDTH + GAP : 2 * TILE_WIDTH + GAP]  # twice the size
    if not count:
        assert (drawn == 100).all()
        return
    assert (drawn[80, 60] == blended(0)).all() and (drawn[60, 220] == blended(2)).all()
    corner = drawn[2 * 20, 2 * 10]
    assert (corner != 100).any() and (corner == drawn[2 * 60 - 1, 2 * 50 - 1]).all()
    assert (drawn[2 * 20 + 2, 2 * 10 + 2] == 100).all()
