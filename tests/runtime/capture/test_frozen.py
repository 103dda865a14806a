from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

import cv2
import numpy as np
import pytest

from edgeseg_runtime.capture.frozen import FrozenWatch
from edgeseg_runtime.preprocess import Image
from tests.runtime.capture.pictures import H264Decoder
from tests.servers.h264 import Encoder
from tests.servers.scene import Stamp, draw

SIZE = (120, 160)
STILL = draw(Stamp(1, 1.0), SIZE)


_BLOCKS = np.random.default_rng(3).integers(30, 220, (15, 20, 3)).astype(np.uint8)
SCENE = cast("Image", cv2.GaussianBlur(_BLOCKS.repeat(16, 0).repeat(16, 1), (9, 9), 0))
"""Slopes, which an encoder never reproduces exactly."""


def noisy(seed: int, deviation: float, still: Image = STILL) -> Image:
    noise = np.random.default_rng(seed).normal(0, deviation, still.shape)
    return np.clip(still + noise, 0, 255).round().astype(np.uint8)


def first_found(pictures: Sequence[Image], after: float = 2.5, keys: Sequence[bool] | None = None) -> float | None:
    """Return the seconds into the stream, at 25 frames a second, at which the camera is found frozen."""
    watch = FrozenWatch(after)
    for index, picture in enumerate(pictures):
        if watch.frozen(picture, 100 + index / 25, None if keys is None else keys[index]):
            return index / 25
    return None


def through_h264(
    pictures: Iterable[Image], keyframe_every: int = 50, quality: int = 23
) -> tuple[list[Image], list[bool]]:
    """Return what comes out at the other end, and which are key frames."""
    encoder, decoder = Encoder(25, keyframe_every, quality=quality), H264Decoder()
    frames = [frame for picture in pictures for frame in decoder.frames(encoder.encode(picture))]
    images = [cast("Image", frame.to_ndarray(format="bgr24")) for frame in frames]
    return images, [bool(frame.key_frame) for frame in frames]


def test_the_same_picture_is_found_after_the_time_given() -> None:
    assert first_found([STILL] * 200, after=2.0) == 2.0
    assert first_found([STILL] * 200, after=1.0) == 1.0
    assert first_found([STILL] * 200, after=0) is None


def test_a_change_begins_anew_and_ends_it() -> None:
    watch = FrozenWatch(1.0)
    assert not watch.frozen(STILL, 0.0)
    assert not watch.frozen(noisy(1, 2), 0.75)
    assert not watch.frozen(noisy(1, 2), 1.5)
    assert watch.frozen(noisy(1, 2), 1.75)
    assert not watch.frozen(STILL, 2.0)


def test_another_size_is_another_picture() -> None:
    watch = FrozenWatch(1.0)
    assert not watch.frozen(STILL, 0.0)
    assert not watch.frozen(draw(Stamp(1, 1.0), (60, 80)), 2.0)


def through_jpeg(picture: Image) -> Image:
    return cast("Image", cv2.imdecode(cv2.imencode(".jpg", picture)[1], cv2.IMREAD_COLOR))


@pytest.mark.parametrize("deviation", [0.5, 1.0, 3.0])
def test_a_static_scene_with_noise_is_not_frozen(deviation: float) -> None:
    pictures = [noisy(seed, deviation) for seed in range(250)]
    assert first_found(pictures) is None
    if deviation >= 1:
        assert first_found([through_jpeg(picture) for picture in pictures]) is None
    mean_change = np.mean([cv2.absdiff(pictures[0], picture).mean() for picture in pictures[1:]])
    if deviation <= 1:
        assert mean_change < 2, "the negative control: a tolerance of 2 grey levels would take it for frozen"


@pytest.mark.parametrize("quality", [18, 23, 30])
def test_a_frozen_camera_that_encodes_its_one_picture_anew_is_found_within_5_s(quality: int) -> None:
    pictures, keys = through_h264([SCENE] * 130, quality=quality)
    found = first_found(pictures, keys=keys)
    assert found is not None
    assert found <= 5.0


def test_to_the_bit_that_camera_would_not_be_found() -> None:
    """The negative control: each key frame looks a little different."""
    pictures, _ = through_h264([SCENE] * 130)
    assert first_found(pictures) is None


@pytest.mark.parametrize(
    ("quality", "deviation"),
    [
        (23, 1.0),
        (35, 4.0),
        pytest.param(18, 0.5, marks=pytest.mark.slow),
        pytest.param(30, 2.0, marks=pytest.mark.slow),
    ],
)
def test_noise_in_h264_is_not_frozen(quality: int, deviation: float) -> None:
    pictures, keys = through_h264((noisy(seed, deviation, SCENE) for seed in range(130)), quality=quality)
    assert len(pictures) == 130
    assert first_found(pictures, keys=keys) is None
    between_keys = pictures[102:130]
    if quality == 35:
        changes = [cv2.absdiff(a, b).any() for a, b in pairwise(between_keys)]
        assert not all(changes), "the negative control: noise does vanish between key frames"


def test_something_small_that_moves_is_not_frozen() -> None:
    def scene(index: int) -> Image:
        picture = SCENE.copy()
        cv2.circle(picture, (10 + index, 60), 9, (0, 0, 255), -1)
        return picture

    pictures, keys = through_h264(scene(index) for index in range(130))
    assert first_found(pictures, keys=keys) is None


def test_h264_thaws_at_once_when_something_moves() -> None:
    moved = SCENE.copy()
    cv2.circle(moved, (80, 60), 20, (0, 0, 255), -1)
    pictures, keys = through_h264([SCENE] * 130 + [moved] * 3)
    watch = FrozenWatch(2.5)
    verdicts = [
        watch.frozen(picture, index / 25, key) for index, (picture, key) in enumerate(zip(pictures, keys, strict=True))
    ]
    assert verdicts[129]
    assert not verdicts[130]
