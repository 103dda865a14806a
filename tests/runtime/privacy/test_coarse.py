from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.privacy import coarse


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 16), st.integers(0, 2**31))
def test_any_size_keeps_its_shape_and_a_flat_picture_its_colour(height: int, width: int, cells: int, seed: int) -> None:
    colour = np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8)
    image = np.broadcast_to(colour, (height, width, 3)).copy()
    np.testing.assert_array_equal(coarse(image, cells), image)


def test_only_averages_matter() -> None:
    """Two pictures with the same average in every cell, one flat and one all detail, become the same."""
    rng = np.random.default_rng(3)
    averages = rng.integers(40, 216, (8, 12, 3)).repeat(30, 0).repeat(30, 1)
    stripes = np.where(np.arange(360) % 2, 40, -40)[None, :, None]
    flat, detailed = averages.astype(np.uint8), (averages + stripes).astype(np.uint8)
    assert np.abs(flat.astype(int) - detailed).min() == 40
    assert np.abs(coarse(flat).astype(int) - coarse(detailed)).max() <= 1


@pytest.mark.parametrize("size", [(80, 80), (256, 320)])
def test_no_more_values_remain_than_there_are_cells(size: tuple[int, int]) -> None:
    """The result is a linear function of few numbers: pictures of noise span no more dimensions than that."""
    rng = np.random.default_rng(4)
    cells = 8 * round(size[1] / (size[0] / 8))
    step = size[0] // 40
    rows = [
        coarse(rng.integers(0, 256, (*size, 3), dtype=np.uint8))[::step, ::step, 0].ravel().astype(float) - 127.5
        for _ in range(cells + 30)
    ]
    strength = np.linalg.svd(np.array(rows), compute_uv=False)
    # what is beyond the number of cells is the rounding to whole values, and no more: about .3 a pixel
    assert strength[cells:].max() < 0.6 * np.sqrt(len(rows[0]))
