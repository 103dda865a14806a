from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg_runtime.temporal.cut import CutDetector
from edgeseg_runtime.temporal.thumbnail import Thumbnail, thumbnail


def landscape(seed: int, width: int = 400) -> Thumbnail:
    """Smooth shapes in colours of their own."""
    rng = np.random.default_rng(seed)
    low, high = np.sort(rng.integers(0, 256, (2, 3)), 0)
    coarse = rng.integers(low, np.maximum(high, low + 40).clip(0, 256), (6, width // 20, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, 90), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def answers(pictures: list[Thumbnail]) -> list[bool]:
    detector = CutDetector()
    return [detector.cut(picture) for picture in pictures]


def test_another_scene_is_a_cut_and_the_same_is_none() -> None:
    one, other = landscape(0)[:, :160], landscape(1)[:, :160]
    assert answers([one, one, other, other, one]) == [False, False, True, False, True]


def test_a_fast_pan_is_no_cut() -> None:
    wide = landscape(2)
    assert not any(answers([wide[:, x : x + 160] for x in range(0, 240, 6)]))


@pytest.mark.parametrize("gain", [0.5, 0.75, 1.4])
def test_light_that_goes_on_or_off_is_no_cut(gain: float) -> None:
    scene = landscape(3)[:, :160]
    assert answers([scene, np.clip(scene * gain, 0, 255).astype(np.uint8)]) == [False, False]


def test_noise_on_a_picture_without_structure_is_no_cut() -> None:
    rng = np.random.default_rng(0)
    pictures = [np.clip(128 + rng.normal(0, 4, (90, 160, 3)), 0, 255).astype(np.uint8) for _ in range(20)]
    assert not any(answers(pictures))
    assert not any(answers([np.zeros((90, 160, 3), np.uint8)] * 3))


def test_black_in_between_is_two_cuts() -> None:
    scene = landscape(4)[:, :160]
    assert answers([scene, np.zeros_like(scene), scene]) == [False, True, True]


def test_pictures_of_two_sizes_can_be_compared() -> None:
    scene = landscape(5)[:, :160]
    small: Thumbnail = cv2.resize(scene, (120, 60), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    assert answers([scene, small, landscape(6)[:, :160]]) == [False, False, True]


def test_after_a_reset_the_first_picture_is_no_cut() -> None:
    detector = CutDetector()
    detector.cut(landscape(0)[:, :160])
    detector.reset()
    assert not detector.cut(landscape(1)[:, :160])


@pytest.mark.realdata
def test_cuts_between_real_clips_are_found_and_none_within_them() -> None:
    folder = Path(os.environ.get("EDGESEG_DATA", "../shared/data")) / "davis" / "JPEGImages"
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}; set EDGESEG_DATA")
    clips = [sorted(clip.glob("*.jpg"))[:40] for clip in sorted(folder.iterdir())]
    found, expected = [], []
    detector = CutDetector()
    for number, clip in enumerate(clips):
        for place, path in enumerate(clip):
            image = cv2.imread(str(path))
            assert image is not None
            found.append(detector.cut(thumbnail(image)))  # type: ignore[arg-type]
            expected.append(number > 0 and place == 0)
    assert found == expected
