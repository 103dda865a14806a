from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_area, box_iou

from edgeseg.training.instances.boxes import contains, covered_share, pixels_in


def boxes_of(values: list[tuple[int, int, int, int]]) -> Tensor:
    """Return boxes whose corners lie on whole pixels."""
    rows = [[left, top, left + width, top + height] for left, top, width, height in values]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


BOXES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20)), max_size=5)


def test_points_on_the_border_are_outside() -> None:
    box = torch.tensor([[2.0, 3.0, 6.0, 9.0]])
    points = torch.tensor([[4.0, 4.0], [2.0, 4.0], [6.0, 4.0], [4.0, 3.0], [4.0, 9.0], [2.1, 8.9], [7.0, 4.0]])
    assert contains(box, points).tolist() == [[True, False, False, False, False, True, False]]


def test_the_share_of_a_box_inside_another_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0], [5.0, 5.0, 5.0, 9.0]])
    others = torch.tensor([[5.0, 0.0, 15.0, 4.0], [0.0, 0.0, 100.0, 100.0]])
    expected = torch.tensor([[0.2, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert torch.allclose(covered_share(boxes, others), expected)


@given(BOXES, BOXES)
def test_the_share_and_torchvisions_overlap_speak_of_one_intersection(
    some: list[tuple[int, int, int, int]], others: list[tuple[int, int, int, int]]
) -> None:
    first, second = boxes_of(some), boxes_of(others)
    shared = covered_share(first, second) * box_area(first)[:, None]
    union = box_area(first)[:, None] + box_area(second) - shared
    assert torch.allclose(shared / union, box_iou(first, second), atol=1e-6)


@given(BOXES, st.integers(1, 12), st.integers(1, 12))
def test_the_pixels_of_a_coarse_grid_are_those_that_hold_a_fine_one(
    values: list[tuple[int, int, int, int]], height: int, width: int
) -> None:
    boxes, fine = boxes_of(values), np.zeros((len(values), 40, 40), bool)
    for index, (left, top, columns, rows) in enumerate(values):
        fine[index, top : top + rows, left : left + columns] = True
    found = pixels_in(boxes, (height, width), (40 / height, 40 / width)).numpy()
    y, x = np.arange(40), np.arange(40)
    expected = np.zeros((len(values), height, width), bool)
    for index in range(len(values)):
        for row in range(height):
            for column in range(width):
                down = (y + 1 > row * 40 / height) & (y < (row + 1) * 40 / height)
                across = (x + 1 > column * 40 / width) & (x < (column + 1) * 40 / width)
                expected[index, row, column] = fine[index][np.ix_(down, across)].any()
    assert np.array_equal(found, expected)
    assert found.any(axis=(1, 2)).all()
