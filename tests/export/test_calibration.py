from __future__ import annotations

import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp

from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg_export.calibration import (
    MINIMUM,
    PictureFacts,
    audit,
    brightness,
    choose,
    facts,
    kolmogorov_smirnov,
)
from edgeseg_runtime.errors import CalibrationError

LEVELS = st.floats(0, 255, allow_nan=False)
NAMES = ("sky", "road", "sign")


def even(count: int, low: float = 40, high: float = 200) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.linspace(low, high, count)


class TestChoose:
    @given(st.integers(1, 80), st.integers(0, 200), st.integers(0, 2**32))
    def test_different_indices_in_order(self, count: int, available: int, seed: int) -> None:
        chosen = choose(count, available, seed)
        assert len(chosen) == min(count, available)
        assert chosen == sorted(set(chosen))
        assert all(0 <= index < available for index in chosen)
        assert chosen == choose(count, available, seed)

    def test_the_seed_decides(self) -> None:
        assert choose(10, 1000, 0) != choose(10, 1000, 1)

    def test_no_picture_is_left_out_for_ever(self) -> None:
        assert {index for seed in range(60) for index in choose(5, 20, seed)} == set(range(20))


@given(arrays(np.float64, st.integers(1, 40), elements=LEVELS), arrays(np.float64, st.integers(1, 40), elements=LEVELS))
def test_the_distance_is_that_of_kolmogorov_and_smirnov(
    first: np.ndarray[tuple[int], np.dtype[np.float64]], second: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of the p-value, which is not asked for
        expected = ks_2samp(first, second, method="asymp").statistic
    assert kolmogorov_smirnov(first, second) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_brightness_is_luma(blue: int, green: int, red: int) -> None:
    picture = np.full((50, 70, 3), (blue, green, red), np.uint8)
    assert brightness(picture) == pytest.approx(0.299 * red + 0.587 * green + 0.114 * blue, abs=1)


def test_facts_count_the_pictures_that_show_a_class() -> None:
    masks = [np.array([[0, 0], [255, 0]], np.uint8), np.array([[2, 0], [2, 255]], np.uint8)]
    found = facts([np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 100, np.uint8)], masks, 3)
    assert found.presence is not None
    assert found.presence.tolist() == [1.0, 0.0, 0.5]
    assert found.brightness.tolist() == [0.0, 100.0]


class TestAudit:
    def test_pictures_like_the_training_pictures_pass(self) -> None:
        shown = np.array([1.0, 0.9, 0.2])
        report = audit(PictureFacts(even(MINIMUM), shown), PictureFacts(even(300), shown), NAMES)
        assert report.problems() == []
        report.check()

    def test_too_few(self) -> None:
        report = audit(PictureFacts(even(MINIMUM - 1), None), PictureFacts(even(300), None), NAMES)
        with pytest.raises(CalibrationError, match=f"{MINIMUM - 1} calibration pictures are too few"):
            report.check()

    def test_dark_pictures_only(self) -> None:
        data = ProceduralData(ProceduralSpec(n=120), "train")
        samples = [data.read(index) for index in range(120)]
        training = facts([s.image for s in samples], [s.mask for s in samples], len(data.labels))
        darker = [cv2.convertScaleAbs(s.image, alpha=0.25) for s in samples[:MINIMUM]]
        dark = facts([np.asarray(image, np.uint8) for image in darker], None, len(data.labels))
        names = [label.name for label in data.labels]
        with pytest.raises(CalibrationError, match="brightness differs"):
            audit(dark, training, names).check()
        same = [s.image for s in samples[:MINIMUM]]
        audit(facts(same, [s.mask for s in samples[:MINIMUM]], len(names)), training, names).check()

    def test_a_class_that_no_picture_shows(self) -> None:
        training = PictureFacts(even(300), np.array([1.0, 0.9, 0.3]))
        report = audit(PictureFacts(even(MINIMUM), np.array([1.0, 0.8, 0.0])), training, NAMES)
        assert report.missing_classes == ("sign",)
        with pytest.raises(CalibrationError, match="no calibration picture shows sign; choose other pictures"):
            report.check()

    def test_a_class_rare_in_training_may_be_missing(self) -> None:
        training = PictureFacts(even(300), np.array([1.0, 0.9, 0.04]))
        assert not audit(PictureFacts(even(MINIMUM), np.array([1.0, 0.8, 0.0])), training, NAMES).problems()

    def test_every_problem_is_named(self) -> None:
        training = PictureFacts(even(300), np.array([1.0, 1.0, 1.0]))
        report = audit(PictureFacts(even(3, 0, 5), np.array([1.0, 0.0, 0.0])), training, NAMES)
        assert len(report.problems()) == 3


def test_pictures_of_one_class_are_refused_even_where_training_shows_no_more() -> None:
    images = [np.full((8, 8, 3), 3 * index, np.uint8) for index in range(MINIMUM)]
    masks = [np.full((8, 8), 1, np.uint8) for _ in images]
    measured = facts(images, masks, 3)
    with pytest.raises(CalibrationError, match="the calibration pictures show nothing but road"):
        audit(measured, measured, ("sky", "road", "car")).check()
    # without masks nobody can tell, and a model of one class has nothing else to show
    bare = facts(images, None, 3)
    audit(bare, measured, ("sky", "road", "car")).check()
    single = facts(images, [np.zeros((8, 8), np.uint8)] * MINIMUM, 1)
    audit(single, single, ("thing",)).check()
