from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.data.open import open_data
from edgeseg.optimize.scoring import Subset, confusions, estimate, mean_iou
from edgeseg_runtime.metrics import ConfusionMatrix, Scores
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.progress import silent


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 4))
def test_mean_iou_is_that_of_edgeseg_eval(seed: int, classes: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 3, (rows, classes, classes))
    expected = [Scores(matrix).mean_iou for matrix in counts]
    np.testing.assert_allclose(mean_iou(counts), expected, equal_nan=True)


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_subset_is_spread_over_the_data(total: int, count: int) -> None:
    data = open_data(f"procedural:64x64,n={2 * total}", "val")
    subset = Subset.of(data, count)
    assert len(subset) == min(count, len(data)) == len(set(subset.indices))
    assert all(0 <= index < len(data) for index in subset.indices)
    gaps = np.diff([*subset.indices, len(data) + subset.indices[0]])
    assert gaps.max() - gaps.min() <= 1
    assert subset.name(len(subset) - 1) == data.name(subset.indices[-1])
    assert subset.labels == data.labels


def test_confusions_add_up_to_the_score() -> None:
    data = Subset.of(open_data("procedural:64x64,n=24", "val"), 6)
    generator = np.random.default_rng(0)
    wrong = {index: generator.random((64, 64)) < 0.3 for index in range(6)}
    truths = [data.read(index).mask for index in range(6)]
    matrix = ConfusionMatrix(len(data.labels), 255)
    masks = [np.where((truth == 255) | wrong[index], 0, truth).astype(np.uint8) for index, truth in enumerate(truths)]
    for truth, mask in zip(truths, masks, strict=True):
        matrix.update(truth, mask)
    answers = iter(masks)

    def segment(_: Image) -> Mask:
        return next(answers)

    counts = confusions(segment, data, "x", silent)
    assert counts.shape == (6, len(data.labels), len(data.labels))
    assert (counts.sum(0) == matrix.counts).all()


def noisy(
    generator: np.random.Generator, pictures: int, error: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Confusions of a net that errs on a share of the pixels, more on some pictures than on others."""
    counts = np.zeros((pictures, 3, 3), np.int64)
    for picture in counts:
        share = error * generator.uniform(0.5, 1.5)
        for truth in range(3):
            picture[truth] = generator.multinomial(
                1000, [1 - share if truth == called else share / 2 for called in range(3)]
            )
    return counts


def test_the_ceiling_holds_for_all_pictures() -> None:
    """The truth lies below the upper end of a 95 % interval in 97.5 % of all cases; 90 % leaves room for chance."""
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        original, variant = noisy(generator, 200, 0.1), noisy(generator, 200, 0.2)
        few = generator.choice(200, 20, replace=False)
        found = estimate(original[few], variant[few], float(mean_iou(original.sum(0))))
        held += found.ceiling >= float(mean_iou(variant.sum(0)))
        assert found.ceiling < float(mean_iou(original.sum(0))), "such a loss shows on twenty pictures"
    assert held >= 54


def test_one_picture_bounds_nothing_and_all_pictures_leave_nothing_open() -> None:
    counts = noisy(np.random.default_rng(2), 5, 0.2)
    assert estimate(counts[:1], counts[:1], 0.5).ceiling == 1.0
    complete = estimate(counts, counts, 0.5, complete=True)
    assert complete.ceiling == complete.mean_iou == pytest.approx(Scores(counts.sum(0)).mean_iou)


def test_a_variant_that_is_the_original_keeps_its_score() -> None:
    counts = noisy(np.random.default_rng(3), 12, 0.2)
    assert estimate(counts, counts, 0.61).ceiling == pytest.approx(0.61)
