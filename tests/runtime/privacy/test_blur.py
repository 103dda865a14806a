from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.draw import color_table
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.privacy import PrivacyBlur, coarse
from edgeseg_runtime.result import SemanticResult, StageTimes
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sources.base import Frame

CONTRACT = Contract(
    labels=(Label("road", (0, 0, 0)), Label("person", (255, 0, 0)), Label("car", (0, 0, 255))), height=24, width=32
)
ROAD, PERSON, CAR = range(3)


def make_shot(
    image: Image,
    mask: Mask,
    *,
    at: float = 100.0,
    fresh: bool = True,
    masked_at: float | None = None,
    contract: Contract = CONTRACT,
) -> Shot:
    frame = Frame(0, image, at, None, "0")
    result = SemanticResult(mask, contract, StageTimes(0, 0, 0))
    return Shot(frame, result, color_table(contract), 0.5, masked_at=masked_at, fresh=fresh)


def noise(seed: int, size: tuple[int, int] = (96, 128)) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def scene(size: tuple[int, int] = (96, 128)) -> tuple[Image, Mask]:
    """Noise, with a person of 40×30 pixels in it."""
    mask = np.full(size, ROAD, np.uint8)
    mask[30:70, 50:80] = PERSON
    return noise(1, size), mask


def detail(image: Image, where: npt.NDArray[np.bool_]) -> float:
    """Mean energy of what is finer than a few pixels, at `where`."""
    fine = image.astype(np.float64) - cv2.GaussianBlur(image.astype(np.float64), (0, 0), 3)
    return float((fine**2).mean(axis=2)[where].mean())


def everything_is_hidden(image: Image, shown: Image) -> bool:
    return bool(np.array_equal(shown, coarse(image)))


def test_the_person_is_blurred_to_the_pixel_and_the_rest_is_not() -> None:
    image, mask = scene()
    blur = PrivacyBlur(["person"], CONTRACT, margin=0)
    shown = blur(make_shot(image, mask), 100.0)
    inside = mask == PERSON
    np.testing.assert_array_equal(shown[~inside], image[~inside])
    np.testing.assert_array_equal(shown[inside], coarse(image)[inside])
    assert detail(coarse(image), inside) < 0.001 * detail(image, inside)
    assert blur.closed_because is None
    np.testing.assert_array_equal(image, noise(1))  # the frame is others' too


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(8, 70), st.integers(8, 70), st.floats(0, 0.1))
def test_the_region_with_its_margin_depends_on_averages_only(seed: int, height: int, width: int, margin: float) -> None:
    """Brute force for the margin; and no pixel within is the original's, whatever the mask's shape."""
    rng = np.random.default_rng(seed)
    image, mask = noise(seed, (height, width)), rng.choice(np.array([0, 0, 0, 0, 1, 2], np.uint8), (height, width))
    shown = PrivacyBlur(["person"], CONTRACT, margin=margin)(make_shot(image, mask), 100.0)
    reach = math.ceil(margin * min(height, width))
    protected = np.zeros((height, width), bool)
    for row, column in zip(*np.nonzero(mask == PERSON), strict=True):
        protected[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = True
    np.testing.assert_array_equal(shown, np.where(protected[..., None], coarse(image), image))


def test_what_differs_only_inside_the_region_differs_little_in_the_result() -> None:
    """Another face with the same coarse colours gives the same picture: no detail can be got back."""
    image, mask = scene((240, 320))
    cell = 240 // 8
    base = np.full_like(image, 128)
    faces = []
    for seed in (5, 6):
        change = np.random.default_rng(seed).integers(-90, 91, (240, 320, 3)).astype(float)
        for row in range(0, 240, cell):  # no cell's average tells them apart
            for column in range(0, 320, cell):
                block = change[row : row + cell, column : column + cell]
                inside = (mask == PERSON)[row : row + cell, column : column + cell]
                block[~inside] = 0
                if inside.any():
                    block[inside] -= block[inside].mean(axis=0)
        faces.append((base + change).clip(0, 255).round().astype(np.uint8))
    blur = PrivacyBlur(["person"], CONTRACT)
    first, second = (blur(make_shot(face, mask), 100.0) for face in faces)
    assert np.abs(faces[0].astype(int) - faces[1]).max() > 100
    assert np.abs(first.astype(int) - second).max() <= 2
    # a weak blur, as is often used, shows which face it is
    weak = [cv2.GaussianBlur(face, (7, 7), 0).astype(int) for face in faces]
    assert np.abs(weak[0] - weak[1]).max() > 20


Spoil = Callable[[Image, Mask], tuple[Shot, float]]

DOUBTS: dict[str, tuple[Spoil, str]] = {
    "no mask": (lambda i, m: (make_shot(i, np.full_like(m, 255), fresh=False), 100.0), "there is no mask"),
    "old mask": (lambda i, m: (make_shot(i, m, fresh=False, masked_at=99.0), 100.0), "the mask is 1.00 s old"),
    "shown late": (lambda i, m: (make_shot(i, m, fresh=False, masked_at=99.9), 100.5), "the mask is 0.60 s old"),
    "mask of the future": (lambda i, m: (make_shot(i, m, fresh=False, masked_at=101.0), 100.0), "the mask is -1.00 s"),
    "no time": (lambda i, m: (make_shot(i, m, fresh=False, masked_at=math.nan), 100.0), "the mask is nan s old"),
    "other model": (
        lambda i, m: (make_shot(i, m, contract=replace(CONTRACT, labels=CONTRACT.labels[:1])), 100.0),
        "the model has no class 'person'",
    ),
    "other size": (lambda i, m: (make_shot(i, m[:-1]), 100.0), "does not fit the picture"),
    "other kind": (lambda i, m: (make_shot(i, m.astype(np.int32)), 100.0), "int32"),
    "no array": (lambda i, _: (make_shot(i, None), 100.0), "the blur failed: AttributeError"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", DOUBTS)
def test_in_doubt_everything_is_blurred(case: str) -> None:
    spoil, reason = DOUBTS[case]
    image, mask = scene()
    blur = PrivacyBlur(["person"], CONTRACT)
    shown = blur(*spoil(image, mask))
    assert everything_is_hidden(image, shown)
    assert blur.closed_because is not None and reason in blur.closed_because
    blur(make_shot(image, mask), 100.0)
    assert blur.closed_because is None  # and opens again


def test_any_error_hides_everything_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("edgeseg_runtime.privacy.blur.cv2.dilate", fail)
    image, mask = scene()
    blur = PrivacyBlur(["person"], CONTRACT)
    for _ in range(3):
        assert everything_is_hidden(image, blur(make_shot(image, mask), 100.0))
    assert blur.closed_because == "the blur failed: MemoryError"
    assert caplog.text.count("is hidden") == 1 and "no room" in caplog.text
    monkeypatch.setattr("edgeseg_runtime.privacy.blur.coarse", fail)  # not even that can be done
    assert not blur(make_shot(image, mask), 100.0).any()
    assert blur(make_shot(image, mask), 100.0).shape == image.shape


@pytest.mark.parametrize(
    "image", [None, np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3))]
)
def test_what_is_no_picture_gives_black(image: Image) -> None:
    shown = PrivacyBlur(["person"], CONTRACT)(make_shot(image, np.zeros((4, 4), np.uint8)), 100.0)
    assert shown.dtype == np.uint8 and shown.ndim == 3 and shown.shape[2] == 3


def test_an_old_mask_without_failing_closed_leaks_the_person() -> None:
    """The negative control: he has walked on, and the mask has stayed."""
    size = (96, 128)
    image, old_mask = noise(2, size), np.zeros(size, np.uint8)
    old_mask[30:70, 5:25] = PERSON
    where_he_is = np.zeros(size, bool)
    where_he_is[30:70, 60:80] = True
    late = make_shot(image, old_mask, fresh=False, masked_at=99.0)
    careless = PrivacyBlur(["person"], CONTRACT, max_age=10, speed=0)(late, 100.0)
    assert detail(careless, where_he_is) == detail(image, where_he_is)
    careful = PrivacyBlur(["person"], CONTRACT)(late, 100.0)
    assert detail(careful, where_he_is) < 0.001 * detail(image, where_he_is)


def test_a_mask_of_an_earlier_frame_reaches_further() -> None:
    image, mask = scene()
    blur = PrivacyBlur(["person"], CONTRACT, margin=0, speed=0.5)
    widths = []
    for masked_at in (100.0, 99.9, 99.8):
        shown = blur(make_shot(image, mask, fresh=masked_at == 100.0, masked_at=masked_at), 100.0)
        assert blur.closed_because is None
        columns = np.nonzero((shown != image).any(axis=(0, 2)))[0]
        widths.append(int(columns[-1] - columns[0] + 1))
    # half the shorter side (48 pixels) a second, to both sides
    assert widths == [30, 30 + 2 * math.ceil(4.8), 30 + 2 * math.ceil(9.6)]


@pytest.mark.realdata
@pytest.mark.parametrize("clip", ["car-roundabout", "horsejump-high", "scooter-black"])
def test_masks_of_earlier_frames_still_cover_what_moves(clip: str) -> None:
    """True masks of real clips (24 frames a second), held for up to 7 frames."""
    folder = Path(os.environ.get("EDGESEG_DATA", "../shared/data")) / "davis" / "Annotations" / clip
    if not folder.is_dir():
        pytest.skip(f"no real masks at {folder}; set EDGESEG_DATA")
    pictures = [np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in sorted(folder.iterdir())]
    masks = [(picture > 0).astype(np.uint8) for picture in pictures]
    white, worst = np.full((*masks[0].shape, 3), 255, np.uint8), 0.0
    careful, careless = PrivacyBlur(["person"], CONTRACT, cells=1), PrivacyBlur(["person"], CONTRACT, cells=1, speed=0)
    for place in range(7, len(masks)):
        white[:] = 100
        white[masks[place] == PERSON] = 255  # shown only where it is not covered
        late = make_shot(white, masks[place - 7], fresh=False, masked_at=100 - 7 / 24)
        assert not (careful(late, 100.0)[masks[place] == PERSON] == 255).any()
        assert careful.closed_because is None
        worst = max(worst, float((careless(late, 100.0)[masks[place] == PERSON] == 255).mean()))
    assert worst > 0.05  # the margin alone does not do it


def test_a_mask_of_the_frame_itself_fits_however_long_the_model_took() -> None:
    image, mask = scene()
    blur = PrivacyBlur(["person"], CONTRACT)
    blur(make_shot(image, mask), 107.0)
    assert blur.closed_because is None


def test_pixels_of_no_class_are_blurred_too() -> None:
    image, mask = scene()
    mask[0:10, 0:10] = 255
    mask[80:90, 0:10] = 3  # the contract has classes 0..2
    shown = PrivacyBlur(["person"], CONTRACT, margin=0)(make_shot(image, mask), 100.0)
    hidden = (mask == PERSON) | (mask > CAR)
    np.testing.assert_array_equal(shown, np.where(hidden[..., None], coarse(image), image))


@pytest.mark.parametrize("classes", [["persn"], []])
def test_classes_that_are_none_are_named(classes: list[str]) -> None:
    with pytest.raises(ConfigError, match="road, person, car"):
        PrivacyBlur(classes, CONTRACT)


@pytest.mark.parametrize("bad", [{"margin": -0.1}, {"speed": math.nan}, {"max_age": 11}, {"cells": 0}, {"cells": 17}])
def test_settings_that_cannot_protect_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"a privacy blur needs margin in 0\.\.0\.5"):
        PrivacyBlur(["person"], CONTRACT, **bad)  # type: ignore[arg-type]
