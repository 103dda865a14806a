from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.temporal.hysteresis import LabelSmoother
from edgeseg_runtime.temporal.thumbnail import Thumbnail

PICTURE: Thumbnail = np.zeros((32, 48, 3), np.uint8)


def reference(values: list[int], frames: int) -> list[int]:
    """What one pixel shows: a new class once the last `frames` values all are it."""
    shown = [values[0]]
    for index in range(1, len(values)):
        run = values[max(0, index - frames + 1) : index + 1]
        agreed = len(run) == frames and len(set(run)) == 1
        shown.append(values[index] if agreed else shown[-1])
    return shown


@given(st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=1, max_size=12), st.integers(1, 4))
def test_a_pixel_takes_a_class_once_enough_masks_in_a_row_say_so(masks: list[list[int]], frames: int) -> None:
    smoother = LabelSmoother(frames=frames, motion=False)
    arrays = [np.array(mask, np.uint8).reshape(2, 3) for mask in masks]
    shown = [smoother.smooth(mask, PICTURE, index / 10).ravel().tolist() for index, mask in enumerate(arrays)]
    expected = [reference([mask[pixel] for mask in masks], frames) for pixel in range(6)]
    assert shown == [list(row) for row in zip(*expected, strict=True)]


def test_a_long_run_does_not_start_over() -> None:
    smoother = LabelSmoother(frames=255, motion=False)
    smoother.smooth(np.zeros((2, 2), np.uint8), PICTURE, 0.0)
    shown = [smoother.smooth(np.ones((2, 2), np.uint8), PICTURE, index / 10).max() for index in range(1, 600)]
    assert shown == [0] * 254 + [1] * 345


def test_masks_follow_the_picture() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (24, 64, 3), np.uint8)
    wide = cv2.resize(coarse, (256, 96), interpolation=cv2.INTER_CUBIC)
    truth = np.zeros((96, 256), np.uint8)
    truth[:, 80:160] = 1

    def last(motion: bool) -> float:
        smoother = LabelSmoother(frames=3, motion=motion)
        for step in range(8):
            window = np.s_[:, 5 * step : 5 * step + 128]
            mask = np.ascontiguousarray(truth[window])
            shown = smoother.smooth(mask, np.ascontiguousarray(wide[window]), step / 10)
        return float((shown != mask).mean())

    assert last(motion=True) < 0.03
    assert last(motion=False) > 0.1


def test_masks_are_left_as_they_are_and_not_shared() -> None:
    smoother = LabelSmoother(frames=2, motion=False)
    first, second = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    shown = smoother.smooth(first, PICTURE, 0.0)
    shown[:], first[:] = 9, 9
    assert (smoother.smooth(second, PICTURE, 0.1) == 0).all()
    assert (second == 1).all()


@pytest.mark.parametrize("gap", ["time", "size", "mask", "reset"])
def test_the_past_is_forgotten_where_it_no_longer_fits(gap: str) -> None:
    smoother = LabelSmoother(frames=5, motion=False, max_gap_s=0.5)
    smoother.smooth(np.zeros((4, 4), np.uint8), PICTURE, 1.0)
    picture, mask, now = PICTURE, np.ones((4, 4), np.uint8), 1.1
    if gap == "time":
        now = 1.6
    elif gap == "size":
        picture = np.zeros((30, 48, 3), np.uint8)
    elif gap == "mask":
        mask = np.ones((4, 5), np.uint8)
    else:
        smoother.reset()
    assert (smoother.smooth(mask, picture, now) == 1).all()


@pytest.mark.parametrize("frames", [0, 256])
def test_settings_outside_what_is_allowed_are_refused(frames: int) -> None:
    with pytest.raises(ConfigError, match=f"frames must be 1 to 255, got {frames}"):
        LabelSmoother(frames=frames)
    with pytest.raises(ConfigError, match="max_gap_s must be above 0 seconds, got -1"):
        LabelSmoother(max_gap_s=-1)
