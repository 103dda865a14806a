from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import ConfigError, FrameError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.privacy import Background, coarse
from edgeseg_runtime.privacy.background import Replacement, cover, edge
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame

CONTRACT = Contract(labels=(Label("room", (0, 0, 0)), Label("person", (255, 0, 0))), height=24, width=32)


def make_shot(image: Image, mask: Mask, *, fresh: bool = True, masked_at: float | None = None) -> Shot:
    result = SemanticResult(mask, CONTRACT, StageTimes(0, 0, 0))
    frame = Frame(0, image, 100.0, None, "0")
    return Shot(frame, result, color_table(CONTRACT), 0.5, masked_at=masked_at, fresh=fresh)


def scene() -> tuple[Image, Mask]:
    image = np.random.default_rng(1).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    mask = np.zeros((100, 120), np.uint8)
    mask[20:100, 40:90] = 1
    return image, mask


def test_the_person_stays_and_the_background_is_the_colour() -> None:
    image, mask = scene()
    shown = Background(["person"], CONTRACT, (10, 20, 30), feather=0)(make_shot(image, mask), 100.0)
    np.testing.assert_array_equal(shown[mask == 1], image[mask == 1])
    assert (shown[mask == 0] == [30, 20, 10]).all()


@pytest.mark.parametrize("replacement", [None, (0, 255, 0), np.full((7, 5, 3), 9, np.uint8)])
def test_no_pixel_outside_the_mask_shines_through(replacement: Replacement) -> None:
    image, mask = scene()
    other = image.copy()
    other[mask == 0] = 255 - other[mask == 0]
    shots = (make_shot(one, mask) for one in (image, other))
    first, second = (Background(["person"], CONTRACT, replacement, feather=0.1)(one, 100.0) for one in shots)
    if replacement is None:  # of a blurred background the averages remain
        assert (first[mask == 0] == coarse(image, 12)[mask == 0]).all()
    else:
        np.testing.assert_array_equal(first, second)


def test_the_edge_fades_inwards_as_the_distance_says() -> None:
    kept = np.zeros((60, 60), np.uint8)
    kept[10:50, 10:60] = 255  # touches the right border, where nothing fades
    alpha = edge(kept, 8.0)
    assert alpha.dtype == np.float32
    for row in range(60):
        for column in range(60):
            inside = 10 <= row < 50 and column >= 10
            distance = min(row - 9, 50 - row, column - 9) if inside else 0
            assert alpha[row, column] == pytest.approx(min(1.0, distance / 8), abs=0.03)
    np.testing.assert_array_equal(edge(kept, 0.0), kept / 255)


def test_without_a_feather_the_edge_is_a_step() -> None:
    kept = np.zeros((20, 20), np.uint8)
    kept[:, 10:] = 255
    assert np.diff(edge(kept, 0)[0]).max() == 1
    assert np.diff(edge(kept, 5)[0]).max() < 0.25


@pytest.mark.parametrize(
    ("fresh", "masked_at", "reason"), [(False, None, "there is no mask"), (False, 99.0, "the mask is 1.00 s old")]
)
def test_in_doubt_nothing_is_kept(fresh: bool, masked_at: float | None, reason: str) -> None:
    image, mask = scene()
    background = Background(["person"], CONTRACT, (1, 2, 3))
    shown = background(make_shot(image, mask, fresh=fresh, masked_at=masked_at), 100.0)
    assert (shown == [3, 2, 1]).all() and background.closed_because == reason
    shown[:] = 0  # whoever draws on it does not draw on the next one
    again = background(make_shot(image, mask), 100.0)
    assert background.closed_because is None and (again[0, 0] == [3, 2, 1]).all()
    assert np.array_equal(Background(["person"], CONTRACT)(make_shot(image, mask[:-1]), 100.0), coarse(image, 12))


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_a_picture_covers_any_frame(rows: int, columns: int, height: int, width: int) -> None:
    assert cover(np.zeros((rows, columns, 3), np.uint8), height, width).shape == (height, width, 3)


def test_a_picture_is_cut_in_its_middle_and_not_stretched() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 200
    assert (cover(wide, 10, 10) == 200).all()
    assert (cover(wide, 20, 20) == 200).all()
    high = np.zeros((40, 10, 3), np.uint8)
    high[15:25] = 200
    assert (cover(high, 5, 5) == 200).all()


def test_the_picture_follows_a_change_of_the_frame_size() -> None:
    background = Background(["person"], CONTRACT, np.full((7, 5, 3), 9, np.uint8))
    for size in ((10, 20), (30, 20)):
        image = np.zeros((*size, 3), np.uint8)
        assert (background(make_shot(image, np.zeros(size, np.uint8)), 100.0) == 9).all()


def test_settings_that_cannot_work_are_named() -> None:
    with pytest.raises(ConfigError, match="no class 'persn'; it has room, person"):
        Background(["persn"], CONTRACT)
    with pytest.raises(ConfigError, match=r"feather must be in 0\.\.0\.5"):
        Background(["person"], CONTRACT, feather=math.nan)
    with pytest.raises(ConfigError, match=r"three values in 0\.\.255"):
        Background(["person"], CONTRACT, (0, 0, 256))
    with pytest.raises(FrameError, match="must be uint8"):
        Background(["person"], CONTRACT, np.zeros((4, 4), np.uint8))
