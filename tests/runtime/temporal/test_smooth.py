from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.decode import Scores
from edgeseg_runtime.errors import ConfigError, FrameError
from edgeseg_runtime.temporal.smooth import ScoreSmoother
from edgeseg_runtime.temporal.thumbnail import Thumbnail

CONTRACT = Contract(tuple(Label(name, (0, 0, 0)) for name in "abc"), height=96, width=128)
PICTURE: Thumbnail = np.zeros((96, 128, 3), np.uint8)


def column(*values: float) -> Scores:
    """Scores of three classes, the same in all of 12×16 cells."""
    return np.broadcast_to(np.array(values, np.float32)[:, None, None], (3, 12, 16)).copy()


def texture(seed: int = 0) -> Thumbnail:
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 64, 3), np.uint8)
    return cv2.resize(coarse, (256, 96), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def still(**settings: float) -> ScoreSmoother:
    return ScoreSmoother(CONTRACT, motion=False, **settings)


def test_the_past_fades_by_half_in_its_half_life() -> None:
    smoother = still(half_life_s=0.2, margin=0)
    assert (smoother.smooth(column(8, 0, 0), PICTURE, 1.0) == column(8, 0, 0)).all()
    np.testing.assert_allclose(smoother.smooth(column(0, 0, 4), PICTURE, 1.2), column(4, 0, 2), rtol=1e-5)
    np.testing.assert_allclose(smoother.smooth(column(0, 0, 4), PICTURE, 1.6), column(1, 0, 3.5), rtol=1e-5)


@pytest.mark.parametrize("fps", [10, 20, 40])
def test_the_frame_rate_does_not_matter(fps: int) -> None:
    smoother = still(half_life_s=0.1, margin=0)
    smoother.smooth(column(1, 0, 0), PICTURE, 0.0)
    for index in range(1, fps * 3 // 10 + 1):
        smoothed = smoother.smooth(column(0, 1, 0), PICTURE, index / fps)
    np.testing.assert_allclose(smoothed, column(0.125, 0.875, 0), rtol=1e-4)


def test_a_class_changes_only_when_another_wins_by_the_margin() -> None:
    smoother = still(half_life_s=1e-3, margin=1.0)  # the past itself counts for nothing here
    smoother.smooth(column(2, 0, 0), PICTURE, 0.0)
    assert (smoother.smooth(column(0, 0.9, 0), PICTURE, 0.1).argmax(0) == 0).all()
    assert (smoother.smooth(column(0, 1.1, 0), PICTURE, 0.2).argmax(0) == 1).all()
    assert (smoother.smooth(column(0.9, 0, 0), PICTURE, 0.3).argmax(0) == 1).all()  # and the same the way back
    assert (smoother.smooth(column(0, 0, 1.1), PICTURE, 0.4).argmax(0) == 2).all()


def test_the_margin_does_not_add_up() -> None:
    smoother = still(half_life_s=0.1, margin=1.0)
    for index in range(50):
        smoothed = smoother.smooth(column(2, 0, 0), PICTURE, 0.1 * index)
    np.testing.assert_allclose(smoothed, column(3, 0, 0), rtol=1e-5)


def test_flicker_ends_and_a_true_change_comes_through() -> None:
    rng = np.random.default_rng(0)
    smoother = still()
    raw, shown = [], []
    for index in range(60):
        scores = rng.normal(0, 0.5, (3, 12, 16)).astype(np.float32)
        scores[0 if index < 30 else 1] += 1.0
        raw.append(scores.argmax(0))
        shown.append(smoother.smooth(scores, PICTURE, index / 15).argmax(0))
    steady = np.s_[5:30]
    assert (np.diff(raw[steady], axis=0) != 0).mean() > 0.1  # what it would look like without
    assert (np.diff(shown[steady], axis=0) != 0).mean() < 0.005
    assert (shown[45] == 1).mean() > 0.97  # a second later


def test_the_past_follows_the_picture() -> None:
    wide = texture()
    scores = np.zeros((3, 24, 64), np.float32)  # of the whole panorama, a cell for 4×4 pixels
    scores[0], scores[1, :, 20:40] = 1, 3

    def last(motion: bool) -> float:
        smoother = ScoreSmoother(replace(CONTRACT), half_life_s=0.3, motion=motion)
        for step in range(8):
            cells = scores[:, :, step : step + 32].copy()
            smoothed = smoother.smooth(cells, np.ascontiguousarray(wide[:, 4 * step : 4 * step + 128]), step / 10)
        return float((smoothed.argmax(0) != cells.argmax(0)).mean())

    assert last(motion=True) < 0.02
    assert last(motion=False) > 0.1


def test_the_padding_of_a_letterbox_stays_out_of_it() -> None:
    contract = replace(CONTRACT, resize="letterbox")
    wide = texture(1)[:48]  # 48×128 pixels of content: the upper half of the input
    smoother = ScoreSmoother(contract, half_life_s=10.0, margin=0)
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 1, (3, 24, 64)).astype(np.float32)
    smoother.smooth(scores[:, :, :32].copy(), np.ascontiguousarray(wide[:, :128]), 0.0)
    smoothed = smoother.smooth(np.zeros((3, 24, 32), np.float32), np.ascontiguousarray(wide[:, 8:136]), 0.001)
    content, padding = np.s_[:, 1:11, 2:28], np.s_[:, 12:]
    np.testing.assert_allclose(smoothed[content], scores[:, 1:11, 4:30], atol=0.4)
    np.testing.assert_allclose(smoothed[padding], scores[:, 12:, :32], rtol=1e-2)


def test_scores_are_left_as_they_are_and_not_shared() -> None:
    smoother = still()
    first, second = column(1, 0, 0), column(0, 1, 0)
    smoother.smooth(first, PICTURE, 0.0)
    first[:] = 99  # an engine may reuse its output
    smoothed = smoother.smooth(second, PICTURE, 0.1)
    assert (second == column(0, 1, 0)).all() and smoothed.max() < 3
    smoothed[:] = 99
    assert smoother.smooth(second, PICTURE, 0.2).max() < 3


@pytest.mark.parametrize("gap", ["time", "size", "cells", "reset", "backwards"])
def test_the_past_is_forgotten_where_it_no_longer_fits(gap: str) -> None:
    smoother = still(max_gap_s=0.5)
    smoother.smooth(column(9, 0, 0), PICTURE, 1.0)
    picture, now, scores = PICTURE, 1.1, column(0, 1, 0)
    if gap == "time":
        now = 1.6
    elif gap == "backwards":
        now = 0.9
    elif gap == "size":
        picture = np.zeros((90, 128, 3), np.uint8)
    elif gap == "cells":
        scores = scores[:, :6]
    else:
        smoother.reset()
    assert (smoother.smooth(scores, picture, now) == scores).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_do_not_stay_in_the_past(value: float) -> None:
    smoother = still()
    smoother.smooth(column(1, 0, 0), PICTURE, 0.0)
    damaged = column(0, 0, 0)
    damaged[1, 3, 3] = value
    given = smoother.smooth(damaged, PICTURE, 0.1)
    np.testing.assert_array_equal(given, damaged)  # for the decoder to refuse
    assert np.isfinite(smoother.smooth(column(0, 1, 0), PICTURE, 0.2)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"half_life_s": 0}, "half_life_s must be above 0 seconds, got 0"),
        ({"margin": -1}, "margin must be at least 0, got -1"),
        ({"max_gap_s": 0}, "max_gap_s must be above 0 seconds, got 0"),
    ],
)
def test_settings_outside_what_is_allowed_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        still(**settings)


def test_a_model_that_gives_masks_has_nothing_to_smooth_here() -> None:
    with pytest.raises(ConfigError, match="no scores to smooth"):
        ScoreSmoother(replace(CONTRACT, output="mask"))


def test_a_picture_too_small_to_find_motion_in_is_refused() -> None:
    smoother = ScoreSmoother(CONTRACT)
    tiny = np.zeros((12, 16, 3), np.uint8)
    smoother.smooth(column(1, 0, 0), tiny, 0.0)
    with pytest.raises(FrameError, match="at least 16×16"):
        smoother.smooth(column(1, 0, 0), tiny, 0.1)
