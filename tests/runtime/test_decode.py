from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.contenders import everywhere
from edgeseg_runtime.decode import ScoreDecoder, Span
from edgeseg_runtime.errors import ScoresError

Array = npt.NDArray[Any]

sides = st.integers(1, 12)
targets = st.integers(1, 60)
seeds = st.integers(0, 2**32 - 1)


def random_scores(classes: int, height: int, width: int, seed: int, scale: float = 1.0) -> Array:
    """Scores whose classes differ in level, as trained nets' do: some win nowhere."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 2, (classes, 1, 1))
    return ((rng.normal(size=(classes, height, width)) + level) * scale).astype(np.float32)


def patchy_scores(classes: int, height: int, width: int, seed: int) -> Array:
    """Scores of classes that each fall off around a place of theirs, as things in a picture do."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    places = rng.uniform(0, (height, width), (classes, 2))
    distances = [np.hypot(rows - row, columns - column) for row, column in places]
    scores: Array = rng.normal(0, 0.3, (classes, height, width)) - distances
    return scores.astype(np.float32)


def weights(small: int, large: int) -> Array:
    """The (large, small) matrix of bilinear interpolation with half-pixel centres, in float64."""
    matrix = np.zeros((large, small))
    for row in range(large):
        place = (row + 0.5) * small / large - 0.5
        below = int(np.floor(place))
        share = place - below
        matrix[row, min(max(below, 0), small - 1)] += 1 - share
        matrix[row, min(max(below + 1, 0), small - 1)] += share
    return matrix


def upsample(scores: Array, height: int, width: int) -> Array:
    rows, columns = weights(scores.shape[1], height), weights(scores.shape[2], width)
    return np.asarray(rows @ scores.astype(np.float64) @ columns.T)


def assert_is_argmax(mask: Array, full: Array) -> None:
    """Every pixel's class has the largest score, up to what float32 rounds off the largest one."""
    chosen = np.take_along_axis(full, mask[None].astype(np.intp), axis=0)[0]
    assert (full.max(axis=0) - chosen <= 2e-6 * np.abs(full).max()).all()


@settings(max_examples=200)
@given(st.integers(1, 8), sides, sides, targets, targets, seeds)
def test_mask_is_the_argmax_of_the_interpolated_scores(
    classes: int, h: int, w: int, height: int, width: int, seed: int
) -> None:
    scores = random_scores(classes, h, w, seed)
    mask = ScoreDecoder(height, width)(scores)
    assert mask.shape == (height, width) and mask.dtype == np.uint8
    assert_is_argmax(mask, upsample(scores, height, width))


@pytest.mark.parametrize(("small", "large"), [((45, 60), (360, 480)), ((24, 32), (24, 32)), ((7, 9), (100, 37))])
@pytest.mark.parametrize("classes", [1, 2, 11, 40])
def test_agrees_with_pytorch(small: tuple[int, int], large: tuple[int, int], classes: int) -> None:
    scores = random_scores(classes, *small, seed=classes)
    full = F.interpolate(torch.from_numpy(scores)[None], large, mode="bilinear", align_corners=False)[0]
    mask = ScoreDecoder(*large)(scores)
    differs = mask != full.argmax(dim=0).numpy()
    # only pixels on the line between two classes may differ, where rounding decides
    best = torch.topk(full, min(2, classes), dim=0).values.numpy()
    assert differs.mean() < 1e-3
    if differs.any():
        assert (best[0] - best[-1])[differs].max() < 1e-5


@given(st.integers(1, 6), sides, sides, seeds)
def test_scores_of_the_masks_size_give_numpys_argmax_ties_and_all(classes: int, h: int, w: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 3, (classes, h, w)).astype(np.float32)  # full of ties
    np.testing.assert_array_equal(ScoreDecoder(h, w)(scores), scores.argmax(axis=0))


@given(st.integers(2, 6), sides, sides, st.integers(1, 5), seeds)
def test_ties_of_whole_planes_go_to_the_lower_class(classes: int, h: int, w: int, factor: int, seed: int) -> None:
    plane = random_scores(1, h, w, seed)[0]
    scores = np.stack([plane - 1, *[plane] * (classes - 1)])
    assert (ScoreDecoder(h * factor, w * factor)(scores) == 1).all()


@given(st.integers(1, 255), st.floats(-1e6, 1e6, width=32))
def test_constant_scores_give_the_first_class(classes: int, value: float) -> None:
    scores = np.full((classes, 2, 3), value, np.float32)
    assert (ScoreDecoder(8, 9)(scores) == 0).all()


@given(st.integers(0, 254))
def test_every_class_index_can_be_given(winner: int) -> None:
    scores = np.zeros((255, 2, 2), np.float32)
    scores[winner] = 1
    assert (ScoreDecoder(10, 10)(scores) == winner).all()


@pytest.mark.parametrize("scale", [1e-36, 1e-20, 1e-6, 1e6, 1e20, 1e36])
@pytest.mark.parametrize("size", [(10, 14), (40, 56)])
def test_magnitude_does_not_matter(scale: float, size: tuple[int, int]) -> None:
    scores = random_scores(6, 5, 7, seed=3, scale=scale)
    mask = ScoreDecoder(*size)(scores)
    assert_is_argmax(mask, upsample(scores, *size))
    assert len(np.unique(mask)) > 1


def test_one_class_out_of_scale_does_not_spoil_the_others() -> None:
    scores = random_scores(4, 6, 6, seed=5)
    scores[3] = -1e30
    np.testing.assert_array_equal(ScoreDecoder(48, 48)(scores), ScoreDecoder(48, 48)(scores[:3]))


@settings(max_examples=200)
@given(st.integers(1, 8), sides, sides, st.sampled_from([4, 6, 8, 16]), seeds)
def test_parts_of_planes_give_what_whole_planes_give(classes: int, h: int, w: int, factor: int, seed: int) -> None:
    scores = patchy_scores(classes, h, w, seed)
    size = h * factor, w * factor
    mask = ScoreDecoder(*size)(scores)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgeseg_runtime.decode.contenders", lambda scores: everywhere(*scores.shape))
        np.testing.assert_array_equal(mask, ScoreDecoder(*size)(scores))
    assert_is_argmax(mask, upsample(scores, *size))


@given(sides, st.integers(1, 20), st.data())
def test_a_span_holds_the_pixels_that_only_its_cells_make(cells: int, factor: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, cells - 1))
    last = data.draw(st.integers(first, cells - 1))
    matrix = weights(cells, cells * factor)
    span = Span.of(first, last, cells, cells * factor)
    made = np.flatnonzero((matrix[:, : span.cells.start] == 0).all(1) & (matrix[:, span.cells.stop :] == 0).all(1))
    if last > first or first == 0 or last == cells - 1:
        np.testing.assert_array_equal(made, np.arange(cells * factor)[span.pixels])
    alone = weights(span.cells.stop - span.cells.start, span.enlarged)
    np.testing.assert_array_equal(alone[span.inner], matrix[span.pixels, span.cells])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [(4, 4), (32, 32)])
def test_scores_that_are_no_numbers_are_refused(value: float, size: tuple[int, int]) -> None:
    scores = np.zeros((3, 4, 4), np.float32)
    scores[1, 2, 2] = value
    with pytest.raises(ScoresError, match="NaN or infinite"):
        ScoreDecoder(*size)(scores)


@pytest.mark.parametrize(
    "scores", [np.zeros((3, 4, 4), np.float64), np.zeros((1, 3, 4, 4), np.float32), np.zeros((4, 4), np.float32)]
)
def test_arrays_of_another_kind_are_refused(scores: Any) -> None:
    with pytest.raises(ValueError, match="float32"):
        ScoreDecoder(8, 8)(scores)


def test_masks_are_new_each_time_and_buffers_leave_no_trace() -> None:
    decoder = ScoreDecoder(40, 40)
    first, second = random_scores(5, 5, 5, seed=1), random_scores(5, 5, 5, seed=2)
    mask = decoder(first)
    kept = mask.copy()
    decoder(second)
    np.testing.assert_array_equal(mask, kept)
    np.testing.assert_array_equal(decoder(first), kept)


def test_scores_are_read_only_to_the_decoder() -> None:
    for size in ((5, 5), (40, 40)):
        scores = random_scores(5, 5, 5, seed=1)
        expected = ScoreDecoder(*size)(scores.copy())
        scores.flags.writeable = False
        np.testing.assert_array_equal(ScoreDecoder(*size)(scores), expected)


def test_scores_in_another_memory_order_give_the_same_mask() -> None:
    scores = random_scores(5, 6, 7, seed=9)
    turned = np.ascontiguousarray(scores.transpose(1, 2, 0)).transpose(2, 0, 1)  # channels last, as some engines give
    np.testing.assert_array_equal(ScoreDecoder(36, 42)(turned), ScoreDecoder(36, 42)(scores))
