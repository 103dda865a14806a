from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_bench.temporal_metrics import Consistency, Field, origins
from edgeseg_runtime.preprocess import Mask


def shift(height: int, width: int, dx: float, dy: float = 0.0) -> Field:
    field = np.empty((height, width, 2), np.float32)
    field[...] = (dx, dy)
    return field


def row(*values: int) -> Mask:
    return np.array([values], np.uint8)


def measured(masks: tuple[Mask, Mask], truths: tuple[Mask, Mask], field: Field, classes: int = 3) -> Consistency:
    figures = Consistency(classes, 255)
    figures.update(masks, truths, origins(field))
    return figures


def test_a_scene_that_moves_one_pixel_by_hand() -> None:
    # everything moves one to the right; the pixel at the left comes from outside
    truths = row(0, 0, 1, 1, 2), row(0, 0, 0, 1, 1)
    masks = row(0, 1, 1, 1, 2), row(0, 0, 0, 1, 1)  # one pixel was wrong before, and is right now
    figures = measured(masks, truths, shift(1, 5, -1))
    assert figures.steady == 4 and figures.flickering == 1
    assert figures.flicker == 0.25
    # moved: 0 1 1 1 beside 0 0 1 1: class 0 has 1 of 2, class 1 has 2 of 3
    assert figures.consistency == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_mask_that_stays_where_the_scene_moves_flickers() -> None:
    truths = row(0, 0, 1, 1, 1), row(0, 0, 0, 1, 1)
    held = row(0, 0, 1, 1, 1)
    assert measured((held, held), truths, shift(1, 5, -1)).flickering == 1  # what was 0 at its origin is 1 now
    assert measured(truths, truths, shift(1, 5, -1)).flickering == 0


def test_a_true_change_is_no_flicker_but_is_not_consistent_either() -> None:
    truths = row(0, 0, 0, 0), row(0, 0, 0, 1)
    figures = measured(truths, truths, shift(1, 4, 0))
    assert figures.flicker == 0 and figures.steady == 3
    assert figures.consistency == pytest.approx((3 / 4 + 0) / 2)


def test_where_the_truth_is_not_known_nothing_is_steady() -> None:
    truths = row(255, 255, 0, 0), row(255, 0, 255, 0)
    figures = measured((row(0, 0, 0, 0), row(1, 1, 1, 1)), truths, shift(1, 4, 0))
    assert figures.steady == 1 and figures.flicker == 1.0


def test_nothing_measured_is_no_figure() -> None:
    assert isnan(Consistency(3, 255).flicker) and isnan(Consistency(3, 255).consistency)
    everything_outside = measured((row(0, 1), row(0, 1)), (row(0, 1), row(0, 1)), shift(1, 2, 9))
    assert everything_outside.steady == 0 and isnan(everything_outside.consistency)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 7))
def test_against_loops_over_pixels(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    figures, steady, flickering = Consistency(3, 255), 0, 0
    counts = np.zeros((3, 3), int)
    for _ in range(3):
        before, now = rng.integers(0, 3, (2, height, width), np.uint8)
        true_before, true_now = rng.choice(np.array([0, 1, 2, 255], np.uint8), (2, height, width))
        field = rng.normal(0, 2, (height, width, 2)).astype(np.float32)
        figures.update((before, now), (true_before, true_now), origins(field))
        for y in range(height):
            for x in range(width):
                from_x, from_y = round(x + float(field[y, x, 0])), round(y + float(field[y, x, 1]))
                if not (0 <= from_x < width and 0 <= from_y < height):
                    continue
                counts[before[from_y, from_x], now[y, x]] += 1
                if true_now[y, x] == true_before[from_y, from_x] != 255:
                    steady += 1
                    flickering += int(before[from_y, from_x] != now[y, x])
    assert (figures.steady, figures.flickering) == (steady, flickering)
    ious = [
        counts[label, label] / union
        for label in range(3)
        if (union := counts[label].sum() + counts[:, label].sum() - counts[label, label])
    ]
    assert figures.consistency == pytest.approx(np.mean(ious)) if ious else isnan(figures.consistency)
