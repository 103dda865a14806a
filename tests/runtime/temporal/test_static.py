"""What must never be skipped and what must be, against full inference and against the naive comparison."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, pi

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.temporal.static import (
    LOUDEST,
    OVER_MEDIAN,
    ROUNDING,
    TILE,
    StaticScene,
    energies,
    noise_of,
)
from edgeseg_runtime.temporal.thumbnail import Thumbnail, thumbnail

FPS = 15
SIZE = (240, 320)
GRAY = np.array((90, 90, 90), np.float32)
RED = np.array((40, 40, 200), np.float32)


def scene() -> npt.NDArray[np.float32]:
    """Smooth shapes in all shades, nothing red."""
    coarse = np.random.default_rng(1).integers(40, 160, (8, 10), np.uint8)
    shades = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    return np.dstack([shades] * 3).astype(np.float32)


class Camera:
    """Adds noise of its own to every picture: Gaussian, different in each pixel and colour."""

    def __init__(self, sigma: float, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._bank = self._rng.normal(0, sigma, (12, *SIZE, 3)).astype(np.float32)

    def __call__(self, picture: npt.NDArray[np.float32], gain: float = 1.0) -> Image:
        noise = np.roll(self._bank[self._rng.integers(12)], self._rng.integers(0, SIZE[1], 2), (0, 1))
        frame: Image = np.clip(np.rint(picture + gain * noise), 0, 255).astype(np.uint8)
        return frame


def with_square(picture: npt.NDArray[np.float32], x: float, y: float = 100, side: int = 40) -> npt.NDArray[np.float32]:
    """Return a picture with a red square whose left side is at x, to a fraction of a pixel."""
    columns = np.arange(SIZE[1])
    cover = np.clip(np.minimum(columns + 1 - x, x + side - columns), 0, 1)[None, :, None]
    drawn = picture.copy()
    rows = slice(int(y), int(y) + side)
    drawn[rows] = (1 - cover) * picture[rows] + cover * RED
    return drawn


def segment(frame: Image) -> npt.NDArray[np.bool_]:
    """The model: what is red, of the frame without its noise as far as that goes."""
    smooth = cv2.blur(frame, (3, 3)).astype(int)
    return smooth[..., 2] - smooth[..., 0] > 80  # type: ignore[no-any-return]


def zones(mask: npt.NDArray[np.bool_]) -> list[bool]:
    """Which of ten zones, two columns apart, the square has reached."""
    return [bool(mask[100:140, 60 + 2 * k : 62 + 2 * k].mean() > 0.5) for k in range(10)]


def events(
    frames: Iterator[Image], scene: StaticScene | None, *, last_seen: bool = False
) -> tuple[dict[int, float], float]:
    """Return when each zone was entered, as the masks tell, and the share of frames that were not inferred.

    `scene` None: every frame is inferred. `last_seen`: the fault that is to be shown, comparing with the frame before.
    """
    entered: dict[int, float] = {}
    state = [False] * 10
    inferred = count = 0
    for index, frame in enumerate(frames):
        now = index / FPS
        count += 1
        small = thumbnail(frame)
        changed = scene is None or scene.changed(small, now)
        if scene is not None and (changed or last_seen):
            scene.inferred(small, now)
        if not changed:
            continue
        inferred += 1
        before, state = state, zones(segment(frame))
        for zone, (was, is_now) in enumerate(zip(before, state, strict=True)):
            if is_now and not was:
                entered.setdefault(zone, now)
    return entered, 1 - inferred / count


def drift(sigma: float, speed: float = 1.0, seconds: int = 40) -> Iterator[Image]:
    """A red square that enters the zones at `speed` pixels a second, after ten seconds at rest outside."""
    camera, background = Camera(sigma), scene()
    for index in range(seconds * FPS):
        yield camera(with_square(background, 10 + speed * max(0.0, index / FPS - 10)))


def still(sigma: float, seconds: int = 40) -> Iterator[Image]:
    camera, picture = Camera(sigma), with_square(scene(), 30)
    for _ in range(seconds * FPS):
        yield camera(picture)


@pytest.mark.parametrize("sigma", [0.0, 3.0, 12.0])
def test_four_fifths_of_a_static_clip_are_saved_whatever_the_noise(sigma: float) -> None:
    _, saved = events(still(sigma), StaticScene(refresh_s=1.0))
    assert saved >= 0.8


@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_no_event_is_missed_at_one_pixel_a_second(sigma: float) -> None:
    expected, _ = events(drift(sigma), None)
    assert len(expected) >= 5
    found, saved = events(drift(sigma), StaticScene(refresh_s=1.0))
    assert found.keys() == expected.keys()
    assert all(expected[zone] <= found[zone] <= expected[zone] + 1.0 + 1 / FPS for zone in expected)
    assert saved > (0.3 if sigma else 0.15)  # it did skip: without noise, a hundredth of a pixel is a change


@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_drift_is_seen_even_without_a_forced_refresh(sigma: float) -> None:
    expected, _ = events(drift(sigma), None)
    found, saved = events(drift(sigma), StaticScene(refresh_s=inf))
    late = [found[zone] - expected[zone] for zone in expected]
    assert max(late) <= 3.0  # seconds, and so pixels
    assert saved > (0.5 if sigma else 0.15)


def test_drift_is_missed_when_compared_with_the_last_frame_seen() -> None:
    expected, _ = events(drift(3.0), None)
    missed, _ = events(drift(3.0), StaticScene(refresh_s=inf), last_seen=True)
    assert len(expected) >= 5 and not missed


def settled(camera: Camera, picture: npt.NDArray[np.float32], seconds: float = 5) -> tuple[StaticScene, float]:
    """Return a scene that has learned the camera's noise, its last frame inferred, and the time then."""
    scene = StaticScene(refresh_s=inf)
    for index in range(int(seconds * FPS)):
        scene.changed(thumbnail(camera(picture)), index / FPS)
    scene.inferred(thumbnail(camera(picture)), seconds)
    return scene, seconds


def ask(scene: StaticScene, frame: Image, now: float) -> bool:
    return scene.changed(thumbnail(frame), now)


@pytest.mark.parametrize("sigma", [0.0, 4.0])
def test_a_small_thing_counts_and_is_not_averaged_away(sigma: float) -> None:
    camera, background = Camera(sigma), scene()
    static, now = settled(camera, background)
    assert not ask(static, camera(background), now + 0.1)
    for x in range(50, 70):
        assert ask(static, camera(with_square(background, x, side=4)), now + 0.1)
    before, after = (thumbnail(camera(picture)).mean() for picture in (background, with_square(background, 50, side=4)))
    assert abs(after - before) < 0.1  # what a comparison of whole pictures would have to go by


@pytest.mark.parametrize("by", [-6, 6])
def test_a_change_of_light_is_a_change(by: int) -> None:
    camera, background = Camera(2.0), scene()
    static, now = settled(camera, background)
    assert not ask(static, camera(background), now + 0.1)
    assert ask(static, camera(background + by), now + 0.1)


def test_a_change_of_colour_alone_is_a_change() -> None:
    camera, background = Camera(2.0), scene()
    static, now = settled(camera, background)
    tinted = background.copy()
    tinted[60:90, 60:90] += np.array((-30 * 0.587 / 0.114, 30, 0), np.float32) * 0.3  # of the same luminance
    assert ask(static, camera(tinted), now + 0.1)


def test_what_moves_all_the_time_is_never_taken_for_noise() -> None:
    camera, background = Camera(2.0), scene()
    static, changed = StaticScene(refresh_s=inf), []
    for index in range(60 * FPS):
        frame = thumbnail(camera(with_square(background, 100 + 10 * np.sin(2 * pi * index / FPS / 1.7), side=20)))
        changed.append(static.changed(frame, index / FPS))
        if changed[-1]:
            static.inferred(frame, index / FPS)
    assert np.mean(changed) > 0.9


def test_noise_that_stays_for_some_frames_as_in_compressed_video_is_noise_all_the_same() -> None:
    camera, background = Camera(3.0), scene()
    static, changed = StaticScene(refresh_s=1.0), []
    for index in range(40 * FPS):
        if index % 8 == 0:
            frame = thumbnail(camera(background))
        changed.append(static.changed(frame, index / FPS))
        if changed[-1]:
            static.inferred(frame, index / FPS)
    assert np.mean(changed) <= 0.2


def test_noise_that_grows_costs_inference_until_it_is_learned() -> None:
    camera, background = Camera(2.0), scene()
    static, changed = StaticScene(refresh_s=1.0), []
    for index in range(60 * FPS):
        frame = thumbnail(camera(background, gain=1.0 if index < 20 * FPS else 3.0))
        changed.append(static.changed(frame, index / FPS))
        if changed[-1]:
            static.inferred(frame, index / FPS)
    assert np.mean(changed[20 * FPS : 25 * FPS]) > 0.9
    assert np.mean(changed[45 * FPS :]) <= 0.1


def test_until_the_noise_is_known_everything_counts_as_changed() -> None:
    camera, background = Camera(2.0), scene()
    static = StaticScene()
    answers = []
    for index in range(3 * FPS):
        frame = thumbnail(camera(background))
        answers.append(static.changed(frame, index / FPS))
        static.inferred(frame, index / FPS)
    assert all(answers[: int(1.5 * FPS)]) and not any(answers[int(2.5 * FPS) :])


def test_a_frame_is_refreshed_on_time_and_not_before() -> None:
    camera, background = Camera(2.0), scene()
    static, now = settled(camera, background)
    static.refresh_s = 0.5
    assert not ask(static, camera(background), now + 0.45)
    assert ask(static, camera(background), now + 0.5)


def test_another_size_counts_as_changed_and_its_noise_is_learned_anew() -> None:
    camera, background = Camera(2.0), scene()
    static, now = settled(camera, background)
    narrow = camera(background)[:, :200]
    assert ask(static, narrow, now + 0.1)
    static.inferred(thumbnail(narrow), now + 0.1)
    assert ask(static, narrow, now + 0.2)


def test_reset_forgets() -> None:
    camera, background = Camera(2.0), scene()
    static, now = settled(camera, background)
    static.reset()
    assert ask(static, camera(background), now + 0.1)


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_refresh_of_no_time_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=f"refresh_s must be above 0 seconds, got {value}"):
        StaticScene(refresh_s=value)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_energy_is_the_mean_squared_difference_in_each_tile(rows: int, columns: int, seed: int) -> None:
    one, other = np.random.default_rng(seed).integers(0, 256, (2, rows * TILE, columns * TILE, 3), np.uint8)
    squared = (one.astype(float) - other) ** 2
    expected = squared.reshape(rows, TILE, columns, TILE, 3).mean((1, 3, 4))
    np.testing.assert_allclose(energies(one, other), expected, rtol=1e-4)


def test_a_size_that_tiles_do_not_divide_is_covered_to_its_edge() -> None:
    one = np.zeros((TILE + 1, 2 * TILE + 1, 3), np.uint8)
    other: Thumbnail = one.copy()
    other[-1, -1] = 200
    assert energies(one, other).shape == (2, 3)
    assert energies(one, other)[-1, -1] > 100


def test_noise_is_the_quiet_quarter_within_its_bounds() -> None:
    samples = np.full((9, 1, 5), 4.0, np.float32)
    samples[3:, 0, 1] = 1000.0  # moved two thirds of the time
    samples[:, 0, 2] = 1000.0  # moved all the time
    samples[:, 0, 3] = 0.0
    np.testing.assert_allclose(noise_of(samples), [[4, 4, OVER_MEDIAN * 4, ROUNDING, 4]])
    assert noise_of(np.full((9, 1, 5), 1e4, np.float32)).max() == LOUDEST
