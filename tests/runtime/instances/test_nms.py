from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.instances.nms import BLOCK, iou, nms

Floats = npt.NDArray[np.float32]


def scene(seed: int, count: int, classes: int = 3) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Boxes in heaps, so that many overlap, with whole-numbered sides and few different scores, so that some tie."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 6, (count, 2)) * 20 + rng.integers(0, 4, (count, 2))
    sizes = rng.integers(8, 16, (count, 2))
    boxes = np.concatenate([corners, corners + sizes], 1).astype(np.float32)
    return boxes, (rng.integers(1, 30, count) / 30).astype(np.float32), rng.integers(0, classes, count)


# Where two boxes overlap by exactly as much: with 0.3, which is no float, torchvision compares in two precisions.
@pytest.mark.parametrize("overlap", [0.0625, 0.25, 0.5, 0.611, 1.0])
@pytest.mark.parametrize("count", [1, 2, 40, BLOCK, 3 * BLOCK + 7])
def test_it_leaves_what_torchvision_leaves_in_its_order(count: int, overlap: float) -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    for seed in range(3):
        boxes, scores, labels = scene(seed, count)
        wanted = ops.batched_nms(*(torch.from_numpy(values) for values in (boxes, scores, labels)), overlap)
        assert nms(boxes, scores, labels, overlap, count).tolist() == wanted.tolist()
        assert nms(boxes, scores, labels, overlap, 5).tolist() == wanted.tolist()[:5]


def plain(boxes: Floats, scores: Floats, labels: npt.NDArray[np.int64], overlap: float) -> list[int]:
    """As the textbook tells it, a pair at a time."""
    stay: list[int] = []
    for index in sorted(range(len(scores)), key=lambda place: (-scores[place], place)):
        if not any(
            labels[index] == labels[kept] and iou(boxes[[kept]], boxes[[index]])[0, 0] > np.float32(overlap)
            for kept in stay
        ):
            stay.append(index)
    return stay


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.floats(0.01, 1))
def test_it_is_the_textbooks(seed: int, count: int, overlap: float) -> None:
    boxes, scores, labels = scene(seed, count)
    stay = nms(boxes, scores, labels, overlap, max(count, 1))
    assert stay.tolist() == plain(boxes, scores, labels, overlap)
    rising = -np.sort(-scores[stay])
    np.testing.assert_array_equal(scores[stay], rising)


def test_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 5.1], [5, 5, 5, 5], [5, 5, 5, 5]], np.float32)
    assert iou(boxes[:1], boxes).tolist() == [[1.0, 0.5, pytest.approx(0.51), 0.0, 0.0]]
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.6], np.float32)
    same, other = np.zeros(5, np.int64), np.array([0, 0, 1, 0, 0])
    assert nms(boxes, scores, same, 0.5, 9).tolist() == [0, 1, 3, 4]  # 0.5 is not larger than 0.5, 0.51 is
    assert nms(boxes, scores, other, 0.5, 9).tolist() == [0, 1, 2, 3, 4]
    assert nms(boxes, scores, same, 0.5, 1).tolist() == [0]
    assert nms(boxes[:0], scores[:0], same[:0], 0.5, 9).tolist() == []


def test_of_equal_scores_the_first_is_the_surer() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [2, 0, 12, 10]], np.float32)
    assert nms(boxes, np.full(3, 0.5, np.float32), np.zeros(3, np.int64), 0.5, 9).tolist() == [0]


def test_one_that_went_takes_no_other_with_it() -> None:
    # the second overlaps both others, which do not overlap each other; across blocks too
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    far = np.tile(np.array([[100, 100, 101, 101]], np.float32), (BLOCK - 2, 1))
    far += 2 * np.arange(len(far), dtype=np.float32)[:, None]
    boxes = np.concatenate([boxes[:2], far, boxes[2:]])
    scores = np.linspace(1, 0.5, len(boxes)).astype(np.float32)
    stay = nms(boxes, scores, np.zeros(len(boxes), np.int64), 0.4, len(boxes)).tolist()
    assert stay == [place for place in range(len(boxes)) if place != 1]
