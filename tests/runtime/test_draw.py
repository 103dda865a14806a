from __future__ import annotations

import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.draw import color_table, colorize, overlay


def test_classes_get_their_colours_as_bgr(colour_contract: Contract) -> None:
    mask = np.array([[0, 1, 2, 3, 255]], np.uint8)
    picture = colorize(mask, color_table(colour_contract))
    assert picture.tolist() == [[[0, 0, 255], [0, 255, 0], [255, 0, 0], [0, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize("opacity", [0.0, 0.3, 0.5, 1.0])
def test_overlay_blends_by_opacity(colour_contract: Contract, opacity: float) -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (20, 30, 3), np.uint8)
    mask = rng.integers(0, 3, (20, 30), np.uint8)
    table = color_table(colour_contract)
    wanted = opacity * table[mask, 0].astype(float) + (1 - opacity) * frame
    assert np.abs(overlay(frame, mask, table, opacity) - wanted).max() <= 0.5 + 1e-6
    if opacity == 0:
        np.testing.assert_array_equal(overlay(frame, mask, table, opacity), frame)
